"""The tables of encounters and events of well-known data models: which column means what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class EncounterTable:
    """Columns of the table of encounters."""

    encounter: str = "encounter_id"
    patient: str = "patient_id"
    outcome: str = "outcome"
    positive: tuple[str, ...] = ("1", "true", "yes")
    start: str | None = "start"
    end: str | None = "end"
    stem: str | None = None


@dataclass(frozen=True)
class EventTable:
    """Columns of a table of events, and what its codes begin with; a stem is the name of its file."""

    encounter: str = "encounter_id"
    code: str = "code"
    description: str | None = "description"
    time: str | None = "time"
    state: str | None = "state"
    low: str | None = "range_low"
    high: str | None = "range_high"
    domain: str | None = "domain"
    prefix: str = ""
    stem: str | None = None
    names: tuple[str, str, str] | None = None  # stem, code and name of the table that explains the codes


@dataclass(frozen=True)
class EventPreset:
    """The tables of a data model."""

    encounters: EncounterTable
    events: tuple[EventTable, ...]


def _mimic(stem: str, code: str, domain: str, **columns: Any) -> EventTable:
    nothing = dict.fromkeys(("description", "time", "state", "low", "high", "domain"))
    return EventTable(**{**nothing, **columns}, encounter="HADM_ID", code=code, prefix=f"{domain}:", stem=stem)


PRESETS = {
    "generic": EventPreset(EncounterTable(), (EventTable(),)),
    "eicu": EventPreset(
        EncounterTable("stay_id", "patient_id", "hospital_status", ("Expired",), None, "unit_los_min"),
        (EventTable("stay_id", "concept", "description", "offset_min", None, None, None, "domain"),),
    ),
    "mimic3": EventPreset(
        EncounterTable(
            "HADM_ID", "SUBJECT_ID", "HOSPITAL_EXPIRE_FLAG", ("1",), "ADMITTIME", "DISCHTIME", stem="ADMISSIONS"
        ),
        (
            _mimic("DIAGNOSES_ICD", "ICD9_CODE", "dx", names=("D_ICD_DIAGNOSES", "ICD9_CODE", "LONG_TITLE")),
            _mimic("PROCEDURES_ICD", "ICD9_CODE", "px", names=("D_ICD_PROCEDURES", "ICD9_CODE", "LONG_TITLE")),
            _mimic("PRESCRIPTIONS", "DRUG", "drug", description="DRUG", time="STARTDATE"),
        ),
    ),
}
"""`eicu` reads tables drawn from the eICU database (Pollard et al. 2018, doi:10.1038/sdata.2018.178), `mimic3` the
files of MIMIC-III v1.4 (Johnson et al. 2016, doi:10.1038/sdata.2016.35); its ICD-9 codes have no times, as they are
billed after the discharge, so that none of them counts before a prediction time."""

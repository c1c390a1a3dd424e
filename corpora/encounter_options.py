"""How tables of encounters are read: the options that a script takes for both sites."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from corpora.errors import InputError

PRESENT_VALUES = ["P", "present", "yes", "true", "1"]
ABSENT_VALUES = ["A", "absent", "no", "false", "0"]
MISSING_VALUES = ["M", "missing", "", "nan", "null", "none", "<na>"]


@dataclass(kw_only=True)
class EncounterOptions:
    """The form of the tables, their columns, the prediction time, and what becomes of rows at fault."""

    _argument_group_name = "Encounters"

    encounter_format: Literal["events", "wide", "omop"] = field(
        default="events",
        metadata={
            "help": "events: a table of events and one of encounters (or MIMIC-III's); wide: a row an encounter, a "
            "column a finding; omop: CSV files of the OMOP common data model."
        },
    )
    encounter_preset: Literal["generic", "eicu", "mimic3"] = field(
        default="generic", metadata={"help": "events: whose column names; the options below replace single ones."}
    )
    prediction_hours: float | None = field(
        default=None,
        metadata={
            "help": "Only events up to this many hours after the start of the encounter count, and encounters that "
            "end earlier are left out; by default all events before its end."
        },
    )
    domains: list[str] = field(
        default_factory=list, metadata={"help": "Kinds of events to read, such as dx or drug; all when not given."}
    )
    outcome_column: str | None = field(default=None, metadata={"help": "Column of the outcome."})
    positive_values: list[str] = field(
        default_factory=list, metadata={"help": "Values of the outcome that count as 1, all others as 0."}
    )
    outcome_above: float | None = field(
        default=None,
        metadata={"help": "For an outcome that is a number, in place of values: above this it counts as 1."},
    )
    encounter_column: str | None = field(default=None, metadata={"help": "Column of the encounter's id."})
    patient_column: str | None = field(default=None, metadata={"help": "Column of the patient's id."})
    start_column: str | None = field(default=None, metadata={"help": "events: date at which an encounter starts."})
    end_column: str | None = field(
        default=None, metadata={"help": "events: date at which it ends, or a number of --time_unit after its start."}
    )
    code_column: str | None = field(default=None, metadata={"help": "events: column of the concept's code."})
    description_column: str | None = field(default=None, metadata={"help": "events: column of its description."})
    time_column: str | None = field(
        default=None, metadata={"help": "events: date, or a number of --time_unit after the start of the encounter."}
    )
    state_column: str | None = field(
        default=None, metadata={"help": "events: present, absent, a level, or a number to compare with a range."}
    )
    low_column: str | None = field(default=None, metadata={"help": "events: below this value the level is low."})
    high_column: str | None = field(default=None, metadata={"help": "events: above this value the level is high."})
    domain_column: str | None = field(default=None, metadata={"help": "events: column of the kind of event."})
    time_unit: Literal["minutes", "hours", "days"] = field(
        default="minutes", metadata={"help": "Of times that are numbers."}
    )
    concept_names: str | None = field(
        default=None,
        metadata={
            "help": "File of names, which go before descriptions: lines of 'CODE: name' (.txt), or a table with the "
            "columns code and name. wide: 'CODE_VALUE: name' names a level."
        },
    )
    name_levels: int = field(
        default=0, metadata={"help": "Last levels to keep of descriptions like 'a|b|c'; 0 keeps all, with commas."}
    )
    ignored_columns: list[str] = field(default_factory=list, metadata={"help": "wide: columns that are no findings."})
    present_values: list[str] = field(
        default_factory=lambda: list(PRESENT_VALUES), metadata={"help": "Values that mean present, in any case."}
    )
    absent_values: list[str] = field(
        default_factory=lambda: list(ABSENT_VALUES), metadata={"help": "Values that mean absent, in any case."}
    )
    missing_values: list[str] = field(
        default_factory=lambda: list(MISSING_VALUES), metadata={"help": "Values that mean unknown, besides empty ones."}
    )
    missing_as: Literal["unknown", "absent"] = field(
        default="unknown", metadata={"help": "wide: a missing finding is left out, or counts as absent."}
    )
    death_days: int = field(
        default=0, metadata={"help": "omop: the outcome is death up to this many days after the end of the visit."}
    )
    on_missing_outcome: Literal["error", "skip"] = field(
        default="error", metadata={"help": "An encounter without outcome: stop, or leave it out and count it."}
    )
    on_missing_name: Literal["error", "code", "skip"] = field(
        default="error",
        metadata={"help": "A concept without name: stop, let its code stand for it, or leave it out and count it."},
    )
    encounter_delimiter: str | None = field(
        default=None, metadata={"help": "Separator of CSV files; by default a comma, and a tab for .tsv."}
    )

    def __post_init__(self) -> None:
        if self.prediction_hours is not None and not 0 < self.prediction_hours < float("inf"):
            raise InputError(
                "--prediction_hours is not above 0", remedy="give hours after the start, or leave it out for all events"
            )
        if self.encounter_format == "wide" and self.prediction_hours is not None:
            raise InputError(
                "--prediction_hours needs times, which wide tables have not", remedy="leave it out, or give events"
            )
        if self.positive_values and self.outcome_above is not None:
            raise InputError("--positive_values and --outcome_above are both given", remedy="give one of them")
        for name in ("name_levels", "death_days"):
            if getattr(self, name) < 0:
                raise InputError(f"--{name} is below 0", remedy="give a whole number from 0 on")
        said = [value.strip().casefold() for value in (*self.present_values, *self.absent_values, *self.missing_values)]
        if len(set(said)) < len(said):
            raise InputError(
                "a value stands twice in --present_values, --absent_values and --missing_values",
                remedy="give each value one meaning",
            )

    @property
    def cut_off(self) -> float | None:
        """The prediction time in minutes after the start, None for the end of the encounter."""
        return None if self.prediction_hours is None else 60 * self.prediction_hours

    def meaning(self, value: str) -> str | None:
        """Return `present`, `absent` or `missing` for a value that means it, None for any other."""
        folded = value.strip().casefold()
        for meaning in ("present", "absent", "missing"):
            if folded in {one.strip().casefold() for one in getattr(self, f"{meaning}_values")}:
                return meaning
        return None

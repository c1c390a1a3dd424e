"""Tables of the OMOP common data model (version 5.4) to encounters: visits, their events, and death as outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from corpora.columns import identifier
from corpora.encounter_collector import EncounterCollector
from corpora.encounter_options import EncounterOptions
from corpora.encounters import ABSENT, MEASURED, PRESENT, Encounters
from corpora.errors import InputError
from corpora.event_times import Moment
from corpora.sources import find_sources
from corpora.table_rows import Place, Table, code_text, level_of, number_or_none

_PRESENT_NAMES = frozenset({"positive", "present", "detected", "reactive", "yes"})
_ABSENT_NAMES = frozenset({"negative", "absent", "not detected", "non-reactive", "nonreactive", "no"})
_DAY = 1440.0


class _Domain(NamedTuple):
    table: str
    concept: str
    time: str  # what comes before _datetime and _date
    domain: str


DOMAINS = (
    _Domain("CONDITION_OCCURRENCE", "condition_concept_id", "condition_start", "condition"),
    _Domain("DRUG_EXPOSURE", "drug_concept_id", "drug_exposure_start", "drug"),
    _Domain("PROCEDURE_OCCURRENCE", "procedure_concept_id", "procedure", "procedure"),
    _Domain("MEASUREMENT", "measurement_concept_id", "measurement", "measurement"),
)
"""The tables of events that are read, and the kind of event (`--domains`) that each holds."""
_MODEL = (*(domain.table for domain in DOMAINS), "VISIT_OCCURRENCE", "DEATH", "CONCEPT")
_RESULTS = ("value_as_number", "range_low", "range_high", "value_as_concept_id")


def read_omop_tables(files: Sequence[str | Path], options: EncounterOptions, site: str) -> Encounters:
    """Read the visits of a site as encounters.

    The outcome is death from the start of the visit until `death_days` days after its end (0: during the visit, by
    dates), from DEATH; or, with `--outcome_column`, that column of VISIT_OCCURRENCE, where discharge codes or flags of
    one's own may stand. What a visit that has not ended comes to is not known. Measurements are compared with their
    range: low, normal or high; results that are concepts are present, absent, or their name; others are `measured`.

    Args:
        files: A folder of the tables or the files themselves, named after the tables of the model: VISIT_OCCURRENCE
            and at least one table of events; CONCEPT for the names, and DEATH for the outcome.
        options: Domains, prediction time, outcome.
        site: Name of the site.

    Raises:
        InputError: A table, a row or a column is at fault.
    """
    tables = _find_tables(files, options)
    collector = EncounterCollector(options, site)
    needed = ["VISIT_OCCURRENCE"] if options.outcome_column else ["VISIT_OCCURRENCE", "DEATH"]
    for name in needed:
        if name not in tables:
            raise InputError(
                f"the table {name} of the OMOP model is missing",
                file=str(files[0]),
                remedy=f"give {name}.csv" + ("" if name != "DEATH" else ", or name an outcome with --outcome_column"),
            )
    domains = [domain for domain in DOMAINS if domain.table in tables]
    if not domains:
        raise InputError(
            "no table of events", file=str(files[0]), remedy=f"give {', '.join(domain.table for domain in DOMAINS)}"
        )
    _add_visits(tables, collector, options)
    wanted = {code for domain in domains for code in _concepts_of(tables[domain.table], domain)}
    names = _concept_names(tables.get("CONCEPT"), wanted)
    for domain in domains:
        _add_events(tables[domain.table], domain, names, collector, options)
    return collector.finish([table.source.name for table in tables.values()])


def _find_tables(files: Sequence[str | Path], options: EncounterOptions) -> dict[str, Table]:
    paths = [path for entry in files for path in _inside(Path(entry))]
    tables: dict[str, Table] = {}
    for source in find_sources(paths):
        stem = source.stem.upper()
        if stem not in _MODEL:
            raise InputError(
                "the file is not named after a table of the OMOP model that is read",
                file=source.name,
                remedy=f"give {', '.join(_MODEL)}",
            )
        if stem in tables:
            raise InputError(f"the table {stem} is given twice", file=source.name, remedy="give one file for each")
        tables[stem] = Table(source, options.encounter_delimiter)
    return tables


def _inside(path: Path) -> list[Path]:
    """Return the files of a folder that are named after tables of the model, or the file itself."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.iterdir() if file.is_file() and file.name.split(".")[0].upper() in _MODEL)
    if not found:
        raise InputError("the folder holds no table of the OMOP model", file=path, remedy=f"give {', '.join(_MODEL)}")
    return found


def _add_visits(tables: Mapping[str, Table], collector: EncounterCollector, options: EncounterOptions) -> None:
    visits = tables["VISIT_OCCURRENCE"]
    for column in ("visit_occurrence_id", "person_id", *filter(None, [options.outcome_column])):
        visits.require(column, "export VISIT_OCCURRENCE with the columns of the OMOP model")
    deaths = _deaths(tables["DEATH"], options) if options.outcome_column is None else {}
    columns = {"visit": "visit_occurrence_id", "person": "person_id", "outcome": options.outcome_column}
    for place, cells in visits.rows({**columns, **_time_columns("visit_start"), **_time_columns("visit_end")}):
        start, end = (_time(cells, part, place) for part in ("visit_start", "visit_end"))
        person, reason = identifier(cells["person"]), None
        if options.outcome_column is not None:
            positive = options.positive_values or ["1"]
            outcome = place.outcome(cells["outcome"], options.outcome_column, positive, options.outcome_above)
        elif end is None:
            outcome = None
        else:
            death = deaths.get(person)
            # A death of which only the day is known counts where it may have come before the end.
            outcome = int(death is not None and death.earliest <= end.latest + options.death_days * _DAY)
            if death is not None and start is not None and death.latest < start.earliest:
                reason = "death before the encounter"
            elif death is not None and death.latest < end.latest:
                end = death
        collector.add_encounter(
            identifier(cells["visit"]),
            person,
            outcome,
            place,
            start=start,
            end=end,
            outcome_column=options.outcome_column or "visit_end_date",
            reason=reason,
        )


def _deaths(table: Table, options: EncounterOptions) -> dict[str | None, Moment]:
    """Return the first death of each person, as a few exports hold several."""
    deaths: dict[str | None, Moment] = {}
    table.require("person_id", "export DEATH with the columns of the OMOP model")
    for place, cells in table.rows({"person": "person_id", **_time_columns("death")}):
        moment, person = _time(cells, "death", place), identifier(cells["person"])
        if moment is None:
            raise place.fault("the date of death is missing", "fill it", "death_date")
        deaths[person] = min(deaths.get(person, moment), moment)
    return deaths


def _concepts_of(table: Table, domain: _Domain) -> set[str]:
    for column in ("visit_occurrence_id", domain.concept):
        table.require(column, f"export {domain.table} with the columns of the OMOP model")
    columns = {"concept": domain.concept, "result": "value_as_concept_id"}
    return {code_text(value) for _, cells in table.rows(columns) for value in cells.values()} - {"", "0"}


def _concept_names(table: Table | None, wanted: set[str]) -> dict[str, str]:
    if table is None:
        return {}
    for column in ("concept_id", "concept_name"):
        table.require(column, "export CONCEPT with the columns of the OMOP model")
    rows = table.rows(["concept_id", "concept_name"])
    return {code: cells["concept_name"] for _, cells in rows if (code := code_text(cells["concept_id"])) in wanted}


def _add_events(
    table: Table, domain: _Domain, names: dict[str, str], collector: EncounterCollector, options: EncounterOptions
) -> None:
    columns = {"visit": "visit_occurrence_id", "concept": domain.concept, **_time_columns(domain.time)}
    is_measurement = domain.table == "MEASUREMENT"
    columns |= {name: name for name in _RESULTS if is_measurement}
    for place, cells in table.rows(columns):
        concept = code_text(cells["concept"])
        collector.add_event(
            identifier(cells["visit"]),
            # 0 stands for "no matching concept".
            f"omop:{concept}" if concept not in ("", "0") else None,
            names.get(concept),
            place,
            state=_result(cells, names) if is_measurement else PRESENT,
            time=_time(cells, domain.time, place),
            domain=domain.domain,
        )


def _result(cells: Mapping[str, Any], names: Mapping[str, str]) -> str:
    number, low, high = (number_or_none(cells[name]) for name in _RESULTS[:3])
    if number is not None and (level := level_of(number, low, high)):
        return level
    result = names.get(code_text(cells["value_as_concept_id"]), "").strip().casefold()
    if result in _PRESENT_NAMES or result in _ABSENT_NAMES:
        return PRESENT if result in _PRESENT_NAMES else ABSENT
    return result or MEASURED


def _time_columns(prefix: str) -> dict[str, str]:
    return {name: name for name in (f"{prefix}_datetime", f"{prefix}_date")}


def _time(cells: Mapping[str, Any], prefix: str, place: Place) -> Moment | None:
    """Return the time of day where it is known, and the date otherwise."""
    moments = (place.date(cells[name], name) for name in _time_columns(prefix))
    return next((moment for moment in moments if moment is not None), None)

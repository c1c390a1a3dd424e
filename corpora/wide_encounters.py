"""Wide tables, a row an encounter and a column a finding that is present, absent, missing or at a level."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from corpora.columns import identifier
from corpora.encounter_collector import EncounterCollector
from corpora.encounter_options import EncounterOptions
from corpora.encounters import ABSENT, PRESENT, Encounters
from corpora.errors import InputError
from corpora.sources import find_sources
from corpora.table_rows import Place, Table, number_or_none


class _Said(NamedTuple):
    finding: tuple[str, str] | None
    name: str | None


def read_wide_encounters(files: Sequence[str | Path], options: EncounterOptions, site: str) -> Encounters:
    """Read encounters from wide tables.

    Every column but those of the outcome, the ids and `ignored_columns` is a finding; its header is the code. Where
    `concept_names` has a line `CODE_VALUE: name`, that value is a level with a name of its own: a concept of the code
    `CODE_VALUE` that is present. A value that neither means present, absent nor missing is a level of the finding.

    Args:
        files: CSV, TSV, JSON lines or Parquet, each also .gz; rows of several files follow one another.
        options: Outcome, ids, names and the meaning of values. Without a column of ids, `FILE-ROW` are made; without
            one of patients, each encounter is a patient. The report counts cells as events.
        site: Name of the site.

    Raises:
        InputError: A file, a row or a column is at fault.
    """
    if options.outcome_column is None or not (options.positive_values or options.outcome_above is not None):
        raise InputError(
            "a wide table needs its outcome named",
            remedy="give --outcome_column and --positive_values (or --outcome_above)",
        )
    collector = EncounterCollector(options, site)
    sources = find_sources(files)
    for source in sources:
        _add_table(Table(source, options.encounter_delimiter), collector, options)
    return collector.finish([source.name for source in sources])


def _add_table(table: Table, collector: EncounterCollector, options: EncounterOptions) -> None:
    ids = {"outcome": options.outcome_column, "encounter": options.encounter_column, "patient": options.patient_column}
    ids = {role: column or _standard(table, f"{role}_id") for role, column in ids.items()}
    for role, column in ids.items():
        if column is not None:
            table.require(column, f"name the right one with --{role}_column")
    for column in options.ignored_columns:
        table.require(column, "check --ignored_columns")
    others = {table.find(column) for column in (*ids.values(), *options.ignored_columns) if column}
    findings = [column for column in table.columns if column not in others]
    if not findings:
        raise InputError("no column is left as a finding", file=table.source.name, remedy="check --ignored_columns")
    reader = _Reader(collector, options)
    for place, cells in table.rows([*findings, *filter(None, ids.values())]):
        encounter = identifier(cells[ids["encounter"]]) if ids["encounter"] else f"{table.source.stem}-{place.row}"
        patient = identifier(cells[ids["patient"]]) if ids["patient"] else encounter
        outcome = place.outcome(
            cells[ids["outcome"]], options.outcome_column, options.positive_values, options.outcome_above
        )
        collector.add_encounter(encounter, patient, outcome, place, outcome_column=options.outcome_column)
        said = [reader.said(column, cells[column], place) for column in findings]
        collector.add_findings(encounter, [one.finding for one in said], [one.name for one in said], place)


def _standard(table: Table, column: str) -> str | None:
    return column if table.has(column) else None


class _Reader:
    """Knows what each value of each column says."""

    def __init__(self, collector: EncounterCollector, options: EncounterOptions) -> None:
        self.names, self.options = collector.names.given, options
        self._known: dict[tuple[str, object], _Said] = {}

    def said(self, column: str, value: object, place: Place) -> _Said:
        key = (column, value)
        if key not in self._known:
            text = identifier(int(value) if isinstance(value, bool) else value) or ""
            self._known[key] = self._read(column, text, place)
        return self._known[key]

    def _read(self, column: str, text: str, place: Place) -> _Said:
        if f"{column}_{text}" in self.names:
            return _Said((f"{column}_{text}", PRESENT), None)
        name = None if self.names else column  # the header is a name where no file should have one
        meaning = self.options.meaning(text) if text else "missing"
        if meaning == "missing":
            return _Said((column, ABSENT) if self.options.missing_as == "absent" else None, name)
        if meaning is None and number_or_none(text) is not None:
            remedy = "make it levels such as low, normal and high, or name it in --ignored_columns"
            raise place.fault("the finding is a number, not present, absent or a level", remedy, column)
        return _Said((column, meaning or text), name)

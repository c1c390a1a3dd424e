"""Tables of events, one row each, with a table of encounters: generic, eICU's and MIMIC-III's columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from corpora.columns import identifier
from corpora.encounter_collector import EncounterCollector
from corpora.encounter_options import EncounterOptions
from corpora.encounters import MEASURED, PRESENT, Encounters
from corpora.errors import InputError
from corpora.event_presets import PRESETS, EncounterTable, EventPreset, EventTable
from corpora.records import NULL_TEXTS
from corpora.sources import find_sources
from corpora.table_rows import Place, Table, code_text, level_of, number_or_none

_ENCOUNTER_COLUMNS = ("encounter", "patient", "outcome", "start", "end")
_EVENT_COLUMNS = ("encounter", "code", "description", "time", "state", "low", "high", "domain")


def read_event_tables(files: Sequence[str | Path], options: EncounterOptions, site: str) -> Encounters:
    """Read encounters from a table of encounters and tables of events.

    The tables are told apart by their columns, those of MIMIC-III by their file names. Several files of one kind are
    read one after the other. Exact repeats of an event are one.

    Args:
        files: CSV, TSV, JSON lines or Parquet, each also .gz, in any order.
        options: Preset, columns and prediction time.
        site: Name of the site.

    Raises:
        InputError: A file, a row or a column is at fault.
    """
    preset = _replaced(PRESETS[options.encounter_preset], options)
    tables = [Table(source, options.encounter_delimiter) for source in find_sources(files)]
    encounters, events, names = _sort(tables, preset, options)
    collector = EncounterCollector(options, site)
    for table in encounters:
        _add_encounters(table, preset.encounters, collector, options)
    for table, columns in events:
        described = _read_names(columns, names, options)
        _add_events(table, columns, described, collector, options)
    return collector.finish(files)


def _replaced(preset: EventPreset, options: EncounterOptions) -> EventPreset:
    """Return the preset with the columns that the options name."""

    def given(names: Sequence[str]) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(options, f"{name}_column"))}

    if len(preset.events) > 1 and (wrong := set(given(_EVENT_COLUMNS)) - {"encounter"}):
        raise InputError(
            f"--{min(wrong)}_column is given, but the preset {options.encounter_preset} has several tables of events",
            remedy="use --encounter_preset generic",
        )
    positive = {"positive": tuple(options.positive_values)} if options.positive_values else {}
    return EventPreset(
        replace(preset.encounters, **given(_ENCOUNTER_COLUMNS), **positive),
        tuple(replace(table, **given(_EVENT_COLUMNS)) for table in preset.events),
    )


def _sort(
    tables: Sequence[Table], preset: EventPreset, options: EncounterOptions
) -> tuple[list[Table], list[tuple[Table, EventTable]], list[Table]]:
    encounters: list[Table] = []
    events: list[tuple[Table, EventTable]] = []
    names = []
    stems = {columns.names[0] for columns in preset.events if columns.names}
    for table in tables:
        columns = next((one for one in preset.events if _is_events(table, one)), None)
        if columns is not None:
            events.append((table, columns))
        elif any(table.called(stem) for stem in stems):
            names.append(table)
        elif preset.encounters.stem is None or table.called(preset.encounters.stem):
            encounters.append(table)
        else:
            raise InputError(
                "the table is not one that the preset reads",
                file=table.source.name,
                remedy=f"name the file after its table, or give another --encounter_preset than "
                f"{options.encounter_preset}",
            )
    for table in encounters:
        _require_encounters(table, preset)
        _check_named(table, _ENCOUNTER_COLUMNS, options)
    for table, _ in events:
        _check_named(table, _EVENT_COLUMNS, options)
    for kind, found in (("encounters", encounters), ("events", events)):
        if not found:
            column = preset.encounters.outcome if kind == "encounters" else preset.events[0].code
            raise InputError(
                f"none of the files is a table of {kind}",
                remedy=f"give the file that has the column '{column}' as well",
            )
    return encounters, events, names


def _require_encounters(table: Table, preset: EventPreset) -> None:
    """Refuse a table that is neither of encounters nor of events."""
    columns = preset.encounters
    lacking = next(
        (column for column in (columns.encounter, columns.patient, columns.outcome) if not table.has(column)), None
    )
    if lacking is None:
        return
    events = next((c for c in (preset.events[0].encounter, preset.events[0].code) if not table.has(c)), lacking)
    no_events = "" if columns.stem else f", nor one of events, as it lacks '{events}'"
    raise InputError(
        f"the table is not one of encounters, as it lacks '{lacking}'{no_events}",
        file=table.source.name,
        remedy="name the columns with --encounter_column, --patient_column, --outcome_column and --code_column, or "
        "choose an --encounter_preset",
    )


def _is_events(table: Table, columns: EventTable) -> bool:
    if columns.stem is not None:
        if not table.called(columns.stem):
            return False
        for column in (columns.encounter, columns.code):
            table.require(column, f"export it with the columns of {columns.stem}")
        return True
    return table.has(columns.encounter, columns.code)


def _check_named(table: Table, names: Sequence[str], options: EncounterOptions) -> None:
    """Refuse a table that lacks a column which the user named, where the preset's own may be missing."""
    for name in names:
        if column := getattr(options, f"{name}_column"):
            table.require(column, f"check --{name}_column")


def _add_encounters(
    table: Table, columns: EncounterTable, collector: EncounterCollector, options: EncounterOptions
) -> None:
    names = {name: getattr(columns, name) for name in _ENCOUNTER_COLUMNS}
    for place, cells in table.rows(names):
        collector.add_encounter(
            identifier(cells["encounter"]),
            identifier(cells["patient"]),
            place.outcome(cells["outcome"], columns.outcome, columns.positive, options.outcome_above),
            place,
            # A number of minutes since when? Events with offsets need no start.
            start=place.date(cells["start"], columns.start),
            end=place.moment(cells["end"], columns.end, options.time_unit),
            outcome_column=columns.outcome,
        )


def _read_names(columns: EventTable, tables: Sequence[Table], options: EncounterOptions) -> dict[str, str]:
    if columns.names is None:
        return {}
    stem, code, name = columns.names
    return {
        code_text(cells["code"]): cells["name"]
        for table in tables
        if table.called(stem)
        for _, cells in table.rows({"code": code, "name": name})
    }


def _add_events(
    table: Table,
    columns: EventTable,
    described: dict[str, str],
    collector: EncounterCollector,
    options: EncounterOptions,
) -> None:
    for place, cells in table.rows({name: getattr(columns, name) for name in _EVENT_COLUMNS}):
        code = code_text(cells["code"])
        collector.add_event(
            identifier(cells["encounter"]),
            columns.prefix + code if code else None,
            described.get(code, cells["description"]),
            place,
            state=_state(cells, table, place, columns, options),
            time=place.moment(cells["time"], columns.time, options.time_unit),
            domain=identifier(cells["domain"]) or columns.prefix.rstrip(":") or None,
        )


def _state(
    cells: dict[str, Any], table: Table, place: Place, columns: EventTable, options: EncounterOptions
) -> str | None:
    text = identifier(cells["state"])
    if text is None or text in NULL_TEXTS:
        return PRESENT
    number = number_or_none(text)
    if number is not None and (level := level_of(number, *(number_or_none(cells[end]) for end in ("low", "high")))):
        return level
    meaning = options.meaning(text)
    if meaning is None and number is not None:
        if any(column and table.has(column) for column in (columns.low, columns.high)):
            return MEASURED
        remedy = "give --low_column and --high_column, or levels such as low, normal and high"
        raise place.fault("the state is a number without a range to compare it with", remedy, columns.state)
    return None if meaning == "missing" else meaning or text.casefold()

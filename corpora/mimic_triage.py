"""The triage task of the study on MIMIC-III: which team takes the patient whom a discharge summary describes.

Taylor et al., "Developing Healthcare Language Model Embedding Spaces" (arXiv 2403.19802, 2024): the twenty commonest
primary ICD-9 codes, grouped into seven teams. Here: NOTEEVENTS and DIAGNOSES_ICD to one summary an admission.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.columns import identifier
from corpora.errors import InputError
from corpora.reading import available_columns, read_rows
from corpora.records import NULL_TEXTS
from corpora.sources import Source, find_sources

TRIAGE_CODES = {
    "Cardiology": ("41401", "41071", "4241", "4240", "4280", "41011", "41041"),
    "Obstetrics": ("V3001", "V3000", "V3101"),
    "Respiratory": ("51881", "486", "5070"),
    "Neurology": ("431", "430"),
    "Gastroenterology": ("5789", "5770"),
    "AcuteMedicine": ("0389", "5849"),
    "Oncology": ("1983",),
}
"""Team to ICD-9-CM codes, as MIMIC writes them. The study's list has lost the leading zero of 0389 (septicaemia)."""

CATEGORY, DESCRIPTION = "Discharge summary", "Report"
"""The notes of the task. The other description is Addendum: what is added later describes no whole stay."""

_TEAM_OF_CODE = {code: team for team, codes in TRIAGE_CODES.items() for code in codes}
# Spreadsheets take codes for numbers. No other ICD-9 code is written like one of these without its leading zero: 389
# (hearing loss) is a heading, under which codes of four and five digits stand.
_TEAM_OF_NUMBER = {code.lstrip("0"): team for code, team in _TEAM_OF_CODE.items()}
_TABLES = {
    "notes": ("NOTEEVENTS", ("ROW_ID", "SUBJECT_ID", "HADM_ID", "CATEGORY", "DESCRIPTION", "ISERROR", "TEXT")),
    "diagnoses": ("DIAGNOSES_ICD", ("HADM_ID", "SEQ_NUM", "ICD9_CODE")),
}


def triage_team(code: str) -> str | None:
    """Return the team of a primary diagnosis, or None where it is not among the twenty.

    Args:
        code: ICD-9-CM, with its dot ("038.9", also "38.9") or without ("0389", also "389").
    """
    category, dot, rest = code.strip().upper().partition(".")
    if dot:  # what stands before the dot has three characters: 428.0 is 4280, and 389.0 is not 038.9
        return _TEAM_OF_CODE.get(category.zfill(3) + rest)
    return _TEAM_OF_CODE.get(category) or _TEAM_OF_NUMBER.get(category)


@dataclass
class Cohort:
    """The chosen discharge summaries.

    Args:
        admissions: Document id to admission, in the order of the notes' row ids.
        rows: Rows of NOTEEVENTS.
        dropped: Rows left out, by reason.
        diagnoses: Admissions with a primary diagnosis, and those whose team is known.
    """

    admissions: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    diagnoses: dict[str, int] = field(default_factory=dict)


def read_teams(diagnoses: str | Path) -> tuple[dict[str, str], dict[str, int]]:
    """Read the team of each admission from its primary diagnosis (SEQ_NUM 1).

    Args:
        diagnoses: DIAGNOSES_ICD of MIMIC-III: CSV, Parquet, ..., also .gz.

    Returns:
        Admission to team; numbers of `admissions` with a primary diagnosis and of those `in_a_team`.

    Raises:
        InputError: A column is missing, a code is a number with a fraction, an admission has two primary diagnoses, or
            none has one of the twenty codes.
    """
    codes: dict[str, str] = {}
    for source, row, cells in _rows(diagnoses, "diagnoses"):
        if identifier(cells["SEQ_NUM"]) != "1":
            continue
        admission, code = identifier(cells["HADM_ID"]), cells["ICD9_CODE"]
        if isinstance(code, float) and code == code:
            raise InputError(
                "the code is a number, which may have lost its zeros at the end",
                file=source.name,
                row=row,
                column="ICD9_CODE",
                remedy="export the column as text",
            )
        # Not `identifier`, which takes the zero from 428.0.
        code = "" if code is None or code != code else str(code).strip()
        if admission is None or not code:
            continue
        if codes.setdefault(admission, code) != code:
            raise InputError(
                f"admission {admission} has a second primary diagnosis",
                file=source.name,
                row=row,
                column="SEQ_NUM",
                remedy="keep one row with SEQ_NUM 1 for each admission",
            )
    teams = {admission: team for admission, code in codes.items() if (team := triage_team(code))}
    if not teams:
        raise InputError(
            f"none of {len(codes):,} primary diagnoses is one of the {len(_TEAM_OF_CODE)} codes of the task",
            file=diagnoses,
            column="ICD9_CODE",
            remedy="give DIAGNOSES_ICD of MIMIC-III, with ICD-9 codes",
        )
    return teams, {"admissions": len(codes), "in_a_team": len(teams)}


def select_cohort(
    notes: str | Path, diagnoses: str | Path, file: Path, advance: Callable[[], Any] = lambda: None
) -> Cohort:
    """Write the discharge summaries of the task to a JSON lines file, in the order of their row ids.

    A summary counts when CATEGORY is "Discharge summary", DESCRIPTION is "Report" (no addendum), ISERROR is not 1, it
    has a text, and the primary diagnosis of its admission has a team. Of several in one admission the one of the lowest
    ROW_ID is taken. NOTEEVENTS is read once; texts go to the disk one by one.

    Args:
        notes: NOTEEVENTS of MIMIC-III: CSV, Parquet, ..., also .gz.
        diagnoses: DIAGNOSES_ICD of MIMIC-III.
        file: To write, with text, document_id (the ROW_ID), patient_id and triage_team.
        advance: Called after each row of NOTEEVENTS.

    Raises:
        InputError: A column is missing, a chosen row has no patient or no row id of its own, or no row is chosen.
    """
    cohort = Cohort()
    teams, cohort.diagnoses = read_teams(diagnoses)
    candidates = file.with_name("candidates.jsonl")
    chosen: dict[str, tuple[int, int]] = {}  # admission to row id and place in the file
    seen: set[int] = set()
    with candidates.open("wb") as stream:
        for source, row, cells in _rows(notes, "notes"):
            cohort.rows += 1
            advance()
            admission = identifier(cells["HADM_ID"])
            reason = _reason_to_drop(cells, admission, teams)
            if reason:
                cohort.dropped[reason] += 1
                continue
            row_id, patient = identifier(cells["ROW_ID"]), identifier(cells["SUBJECT_ID"])
            if row_id is None or not row_id.isdecimal() or int(row_id) in seen:
                raise InputError(
                    "the row id is missing, no whole number, or that of an earlier row",
                    file=source.name,
                    row=row,
                    column="ROW_ID",
                    remedy="number the rows",
                )
            if patient is None:
                raise InputError(
                    "the patient id is missing",
                    file=source.name,
                    row=row,
                    column="SUBJECT_ID",
                    remedy="export the column, by which the splits keep patients whole",
                )
            seen.add(int(row_id))
            if admission in chosen:
                cohort.dropped["further report of the admission"] += 1
            if admission not in chosen or int(row_id) < chosen[admission][0]:
                chosen[admission] = int(row_id), stream.tell()
                line = {
                    "text": cells["TEXT"],
                    "document_id": str(int(row_id)),
                    "patient_id": patient,
                    "triage_team": teams[admission],
                }
                stream.write(json.dumps(line).encode() + b"\n")
    if not chosen:
        raise InputError(
            f"none of {cohort.rows:,} notes is a discharge summary of an admission with a team",
            file=notes,
            remedy="give NOTEEVENTS and DIAGNOSES_ICD of the same MIMIC-III",
        )
    with candidates.open("rb") as stream, file.open("wb") as output:
        for admission, (row_id, place) in sorted(chosen.items(), key=lambda item: item[1]):
            stream.seek(place)
            output.write(stream.readline())
            cohort.admissions[str(row_id)] = admission
    candidates.unlink()
    return cohort


def _reason_to_drop(cells: dict[str, Any], admission: str | None, teams: dict[str, str]) -> str | None:
    """Return why a row is left out; the first reason that holds."""
    text = cells["TEXT"]
    reasons = {
        "other category": _words(cells["CATEGORY"]) != CATEGORY.casefold(),
        "entered in error": identifier(cells["ISERROR"]) == "1",
        "addendum": _words(cells["DESCRIPTION"]) != DESCRIPTION.casefold(),
        "no admission": admission is None,
        "diagnosis of no team": admission not in teams,
        "empty text": not isinstance(text, str) or text in NULL_TEXTS or text.isspace(),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _words(value: Any) -> str:
    return str(value).strip().casefold()


def check_tables(notes: str | Path, diagnoses: str | Path) -> list[Source]:
    """Return the sources of both tables after a look at their columns, before hours are spent on their rows.

    Raises:
        InputError: A table or a column is missing.
    """
    return [
        source for table, inputs in (("notes", notes), ("diagnoses", diagnoses)) for source, _ in _find(inputs, table)
    ]


def _find(inputs: str | Path, option: str) -> list[tuple[Source, dict[str, str]]]:
    """Return the sources of a table, each with the names that it gives the columns of MIMIC-III."""
    table, columns = _TABLES[option]
    found = []
    for source in find_sources(inputs):
        available = {column.strip().casefold(): column for column in available_columns(source)}
        for column in columns:
            if column.casefold() not in available:
                raise InputError(
                    "the column is missing",
                    file=source.name,
                    column=column,
                    remedy=f"give {table} of MIMIC-III as --{option}",
                )
        found.append((source, {column: available[column.casefold()] for column in columns}))
    return found


def _rows(inputs: str | Path, option: str) -> Iterator[tuple[Source, int, dict[str, Any]]]:
    """Yield source, number and cells of each row, under the names that MIMIC-III gives the columns."""
    for source, names in _find(inputs, option):
        for row, cells in read_rows(source, list(names.values())):
            yield source, row, {column: cells.get(name) for column, name in names.items()}

"""Which columns of the input mean what, and the presets for well-known exports."""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import re
import shlex
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from corpora.errors import InputError


@dataclass(frozen=True)
class NoteColumns:
    """Names of the input's columns.

    A name left at None means the standard name (`document_id`, `patient_id`, `note_category`) when the input has a
    column of that name, and no such column otherwise. Names match exactly, or without regard to case where only one
    column does.

    Args:
        text_column: The document.
        document_id_column: An id that occurs once. Without one, ids are made as `FILESTEM-ROW`.
        patient_column: Id of the patient; keeps the documents of one patient in one split.
        category_column: Kind of note (discharge summary, radiology, ...).
        label_columns: Labels to carry along: strings, integers or lists of strings.
        admission_column: Id of the hospital stay; read only to leave admissions out.
        error_column: A flag, 1 where the note was entered in error; such rows are dropped and counted.
        split_column: The split that a row belongs to, for data that comes already split. The splits of a
            `DatasetDict` are offered as a column called `split`.
    """

    text_column: str = "text"
    document_id_column: str | None = None
    patient_column: str | None = None
    category_column: str | None = None
    label_columns: tuple[str, ...] = ()
    admission_column: str | None = None
    error_column: str | None = None
    split_column: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_columns", tuple(self.label_columns))
        for name in self.label_columns:
            if name in STANDARD_COLUMNS:
                raise InputError(
                    "a label column cannot have the name of a standard column",
                    column=name,
                    remedy="rename it in the input",
                )
        if len(set(self.label_columns)) < len(self.label_columns):
            raise InputError("--label_columns names a column twice", remedy="name each label column once")
        for option in _NAMED_IN_REPORTS:
            if getattr(self, option) == self.text_column:
                raise InputError(
                    "the text is no id and no category: reports and messages would show it",
                    column=self.text_column,
                    remedy=f"name another column with --{option}",
                )


# Columns whose values reports and messages may hold.
_NAMED_IN_REPORTS = ("document_id_column", "patient_column", "category_column", "split_column")
_SHOWN_ID = 40
_WHOLE_FLOAT = re.compile(r"^(-?[0-9]+)\.0$")

STANDARD_NAMES = {
    "document_id_column": "document_id",
    "patient_column": "patient_id",
    "category_column": "note_category",
}
STANDARD_COLUMNS = ("text", "document_id", "patient_id", "note_category", "dup_group")

PRESETS = {
    "generic": NoteColumns(),
    "mimic3": NoteColumns(
        text_column="TEXT",
        document_id_column="ROW_ID",
        patient_column="SUBJECT_ID",
        category_column="CATEGORY",
        admission_column="HADM_ID",
        error_column="ISERROR",
    ),
}
"""`mimic3` reads NOTEEVENTS of MIMIC-III v1.4 (Johnson et al., 2016, doi:10.1038/sdata.2016.35)."""


def preset_columns(preset: str, **overrides: Any) -> NoteColumns:
    """Return the preset's columns, replaced by those `overrides` that are not None.

    Raises:
        InputError: No such preset.
    """
    if preset not in PRESETS:
        raise InputError(f"there is no preset '{preset}'", remedy=f"choose one of {', '.join(PRESETS)}")
    return replace(PRESETS[preset], **{name: value for name, value in overrides.items() if value is not None})


def resolve_columns(columns: NoteColumns, available: Sequence[str], file: str) -> NoteColumns:
    """Return `columns` as the input spells them, with the standard names filled in where the input has them.

    Args:
        columns: What the user asked for.
        available: The input's columns.
        file: The input's name, for messages.

    Raises:
        InputError: A named column is not there.
    """
    found: dict[str, Any] = {}
    for field in fields(NoteColumns):
        asked = getattr(columns, field.name)
        if field.name == "label_columns":
            found[field.name] = tuple(_find(name, available, file, field.name) for name in asked)
        elif asked is not None:
            found[field.name] = _find(asked, available, file, field.name)
        elif STANDARD_NAMES.get(field.name) in available:
            found[field.name] = STANDARD_NAMES[field.name]
    return NoteColumns(**found)


def _find(name: str, available: Sequence[str], file: str, option: str) -> str:
    if name in available:
        return name
    folded = [column for column in available if column.casefold() == name.casefold()]
    if len(folded) == 1:
        return folded[0]
    # Column names are not document text, but a file without a header shows its first row as names: say no more than
    # a near match, and the number of the others.
    near = difflib.get_close_matches(name, [column for column in available if len(column) <= 40], n=1)
    if near:
        remedy = f"did you mean --{option} {shlex.quote(near[0])}?"  # to be pasted into a shell
    elif len(available) == 1 and ";" in available[0]:
        remedy = "the file seems to be separated by semicolons: pass --delimiter ';'"
    else:
        remedy = f"name the right one of its {len(available)} columns with --{option}"
    raise InputError("the column is missing", file=file, column=name, remedy=remedy)


def identifier(value: Any) -> str | None:
    """Return an id as text: None for null or blank, "12" for 12, 12.0, " 12 " and "12.0".

    The last is what pandas writes for whole numbers in a column with gaps.
    """
    if value is None or value != value:  # NaN differs from itself
        return None
    return _WHOLE_FLOAT.sub(r"\1", str(value).strip()) or None


def shown_id(value: str) -> str:
    """Return an id in quotes for a message, or its length where it may be text of a patient."""
    is_id = len(value) <= _SHOWN_ID and value.isprintable() and not any(map(str.isspace, value))
    return f"'{value}'" if is_id else f"of {len(value):,} characters"


def read_admissions(file: str | Path, admission_column: str | None = None) -> frozenset[str]:
    """Read the admissions to leave out: one id a line, or a CSV file with a column of that name.

    Args:
        file: The list; may be compressed (.gz).
        admission_column: Name of the column in a CSV file, found without regard to case.

    Raises:
        InputError: The file is missing, is no text, holds no id, or holds several columns of which none has the name.
    """
    path = Path(file)
    if not path.is_file():
        raise InputError("the list of admissions is missing", file=file, remedy="check --exclude_admissions")
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix.lower() == ".gz" else content
        rows = [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if row]
    except (UnicodeDecodeError, csv.Error, OSError, EOFError, zlib.error) as error:
        raise InputError(
            "the list of admissions cannot be read as UTF-8 text", file=file, remedy="give one admission id a line"
        ) from error
    ids = _admission_cells(rows, admission_column, file)
    admissions = frozenset(found for found in map(identifier, ids) if found)
    if not admissions:
        raise InputError("the list of admissions is empty", file=file, remedy="give one admission id a line")
    return admissions


def _admission_cells(rows: list[list[str]], name: str | None, file: str | Path) -> Iterable[str]:
    header = [cell.strip().casefold() for cell in rows[0]] if rows else []
    if name is not None and header.count(name.casefold()) == 1:
        position = header.index(name.casefold())
        return [row[position] for row in rows[1:] if len(row) > position]
    if any(len(row) > 1 for row in rows):
        raise InputError(
            "the column is missing",
            file=file,
            column=name or "HADM_ID",
            remedy="give one admission id a line, or a CSV file with that column",
        )
    return [row[0] for row in rows]

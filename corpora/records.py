"""Raw rows to validated notes: null and numeric text, ids, labels, and the rows to leave out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from corpora.columns import STANDARD_NAMES, NoteColumns, identifier, resolve_columns
from corpora.errors import InputError
from corpora.reading import PEEKED_OBJECTS, available_columns, read_rows
from corpora.sources import Source

NULL_TEXTS = frozenset({"", "nan", "NaN", "null", "NULL", "None", "<NA>"})
"""What exports write for a missing text."""
_NULL_CELLS = frozenset({"", "nan", "NaN", "<NA>"})
_NUMERIC_ROWS = 100
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "development": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass
class ReadingOptions:
    """How rows that hold no usable note are dealt with."""

    _argument_group_name = "Reading"

    on_empty_text: Literal["error", "skip"] = field(
        default="error",
        metadata={"help": "a row whose text is null or blank: stop, or drop and count it"},
    )
    on_too_long: Literal["error", "skip"] = field(
        default="error",
        metadata={"help": "a document above max_characters: stop, or drop and count it"},
    )
    on_missing_patient: Literal["error", "skip", "keep"] = field(
        default="error",
        metadata={
            "help": "a row without a patient id, in input that has such ids: stop, drop and count it, or keep it as a "
            "patient of its own"
        },
    )
    max_characters: int = field(
        default=1_000_000,
        metadata={"help": "longest document; beyond it, two records have most likely run together"},
    )
    delimiter: str | None = field(
        default=None,
        metadata={"help": "separator of CSV files; by default a comma, and a tab for .tsv"},
    )

    def __post_init__(self) -> None:
        if self.max_characters < 1:
            raise InputError("--max_characters is below 1", remedy="give the longest document to accept")


class NoteRecord(NamedTuple):
    """One row of the input.

    Args:
        row: Its number in the source, from 1.
        text: The document, unchanged; empty when dropped.
        document_id: Its id, made as `STEM-ROW` where the input has none.
        patient_id: Its patient, if the input has patients.
        note_category: Its category, if known.
        labels: One JSON text or None for each label column.
        split: train, validation or test, for input that comes split.
        dropped: Why the row is left out, or None.
    """

    row: int
    text: str
    document_id: str
    patient_id: str | None
    note_category: str | None
    labels: tuple[str | None, ...]
    split: str | None
    dropped: str | None


def read_records(
    source: Source,
    columns: NoteColumns,
    options: ReadingOptions | None = None,
    excluded_admissions: frozenset[str] = frozenset(),
) -> Iterator[NoteRecord]:
    """Yield a record for each row of a source, dropped rows included.

    Args:
        source: What to read.
        columns: Its columns, as `resolve_columns` spelled them.
        options: What to do about rows that hold no usable note.
        excluded_admissions: Ids of admissions to leave out.

    Raises:
        InputError: A row is at fault; the message names file, row and column.
    """
    options = options or ReadingOptions()
    names = [columns.text_column, *columns.label_columns]
    names += [
        name
        for name in (
            columns.document_id_column,
            columns.patient_column,
            columns.category_column,
            columns.admission_column if excluded_admissions else None,
            columns.error_column,
            columns.split_column,
        )
        if name is not None
    ]
    reader = _RecordReader(source, columns, options, excluded_admissions)
    for row, values in read_rows(source, list(dict.fromkeys(names)), options.delimiter):
        yield reader.record(row, values)
    reader.finish()


class _RecordReader:
    def __init__(self, source: Source, columns: NoteColumns, options: ReadingOptions, excluded: frozenset[str]) -> None:
        self.source, self.columns, self.options, self.excluded = source, columns, options, excluded
        self.is_csv = source.kind in ("csv", "tsv")
        # Standard columns that the first objects of a JSON lines file lack.
        lacking = [name for option, name in STANDARD_NAMES.items() if getattr(columns, option) is None]
        self.lacking = lacking if source.kind == "json lines" else []
        self.numeric_rows: int | None = 0  # None once a text that is no number has been seen
        self.rows = 0

    def record(self, row: int, values: dict[str, Any]) -> NoteRecord:
        columns = self.columns
        self.rows += 1
        text, dropped = self._text(row, values)
        document_id = identifier(values.get(columns.document_id_column)) if columns.document_id_column else None
        if columns.document_id_column and document_id is None:
            raise self._fault("the document id is missing", row, columns.document_id_column, "give each row an id")
        patient_id = identifier(values.get(columns.patient_column)) if columns.patient_column else None
        if patient_id in NULL_TEXTS:  # as pandas and SQL write what is missing; else all of these were one patient
            patient_id = None
        self._refuse_late_columns(row, values)
        if columns.error_column and identifier(values.get(columns.error_column)) == "1":
            dropped = "entered in error"
        elif self.excluded and identifier(values.get(columns.admission_column)) in self.excluded:
            dropped = "excluded admission"
        elif dropped is not None:
            self._refuse(row, text, dropped)
        elif columns.patient_column and patient_id is None and self.options.on_missing_patient != "keep":
            if self.options.on_missing_patient == "error":
                remedy = "give it one, or pass --on_missing_patient skip (or keep)"
                raise self._fault("the patient id is missing", row, columns.patient_column, remedy)
            dropped = "no patient id"
        category = values.get(columns.category_column) if columns.category_column else None
        return NoteRecord(
            row=row,
            text="" if dropped else text,
            document_id=document_id or f"{self.source.stem}-{row}",
            patient_id=patient_id,
            note_category=None if self.is_csv and category in _NULL_CELLS else identifier(category),
            labels=tuple(self._label(row, name, values.get(name)) for name in columns.label_columns),
            split=self._split(row, values) if columns.split_column else None,
            dropped=dropped,
        )

    def finish(self) -> None:
        if not self.rows:
            raise InputError("the file holds no rows", file=self.source.name, remedy="check how it was exported")
        if self.numeric_rows:
            raise self._numeric(1)

    def _refuse_late_columns(self, row: int, values: dict[str, Any]) -> None:
        for name in self.lacking:
            if name in values:
                remedy = f"let one of the first {PEEKED_OBJECTS:,} rows have it, null for example"
                raise self._fault("the rows before this one have no such column", row, name, remedy)

    def _text(self, row: int, values: dict[str, Any]) -> tuple[str, str | None]:
        name = self.columns.text_column
        if name not in values:
            raise self._fault("the column is missing from this row", row, name, "give each row a text")
        text = values[name]
        if text is None or text != text or (isinstance(text, str) and (text in NULL_TEXTS or text.isspace())):
            return "", "empty text"
        if not isinstance(text, str):
            kind = "numbers" if isinstance(text, (int, float)) else f"values of type {type(text).__name__}"
            raise self._fault(f"the column holds {kind}, not text", row, name, "name the text with --text_column")
        if self.numeric_rows is not None:
            self.numeric_rows = self.numeric_rows + 1 if _is_number(text) else None
            if self.numeric_rows == _NUMERIC_ROWS:
                raise self._numeric(1)
        return text, "too long" if len(text) > self.options.max_characters else None

    def _refuse(self, row: int, text: str, reason: str) -> None:
        """Raise for an empty or over-long text unless the user chose to skip it."""
        name = self.columns.text_column
        if reason == "empty text" and self.options.on_empty_text == "error":
            remedy = "fill it, or drop such rows with --on_empty_text skip"
            raise self._fault("the text is empty", row, name, remedy)
        if reason == "too long" and self.options.on_too_long == "error":
            raise self._fault(
                f"a document of {len(text):,} characters, above --max_characters {self.options.max_characters:,}",
                row,
                name,
                "raise the limit, or drop such rows with --on_too_long skip",
            )

    def _numeric(self, row: int) -> InputError:
        remedy = "name the text with --text_column"
        return self._fault("the column holds numbers, not text", row, self.columns.text_column, remedy)

    def _label(self, row: int, name: str, value: Any) -> str | None:
        if value is None or value != value or (self.is_csv and value in _NULL_CELLS):
            return None
        if isinstance(value, bool):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self._fault("the label is a number beyond 64 bits", row, name, "write it as text, in quotes")
        if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
            return json.dumps(list(value), ensure_ascii=True)
        if isinstance(value, (str, int)):
            return json.dumps(value, ensure_ascii=True)
        kind = "a list of other things than text" if isinstance(value, (list, tuple)) else type(value).__name__
        remedy = "a label is text, a whole number or a list of texts"
        raise self._fault(f"the label is {kind}", row, name, remedy)

    def _split(self, row: int, values: dict[str, Any]) -> str:
        name = self.columns.split_column
        split = SPLIT_NAMES.get(str(values.get(name)).strip().casefold())
        if split is None:
            raise self._fault("the split is not known", row, name, "write train, validation or test")
        return split

    def _fault(self, problem: str, row: int, column: str | None, remedy: str) -> InputError:
        return InputError(problem, file=self.source.name, row=row, column=column, remedy=remedy)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def resolve_all(
    sources: Sequence[Source], columns: NoteColumns, options: ReadingOptions | None = None
) -> list[NoteColumns]:
    """Resolve the columns of every source before the first is read, so that a fault in the last shows at once.

    Raises:
        InputError: A named column is missing, or only some of the sources have patients.
    """
    delimiter = options.delimiter if options else None
    resolved = [resolve_columns(columns, available_columns(source, delimiter), source.name) for source in sources]
    for attribute in ("patient_column", "category_column"):
        have = [getattr(one, attribute) is not None for one in resolved]
        if any(have) and not all(have):
            raise InputError(
                f"no {attribute.replace('_column', '')} column, where another input has one",
                file=sources[have.index(False)].name,
                remedy=f"name it with --{attribute}, or prepare the inputs one by one",
            )
    return resolved


def label_kind(kinds: set[str], column: str) -> str:
    """Return the one type that holds every value of a label column: int, string or list.

    Args:
        kinds: Kinds of its values seen (`kind_of_label`).
        column: Its name, for the message.

    Raises:
        InputError: Lists and single values are mixed.
    """
    if "list" in kinds and len(kinds) > 1:
        raise InputError(
            "the label is a list in some rows and a single value in others", column=column, remedy="use lists in all"
        )
    return "list" if "list" in kinds else "int" if kinds == {"int"} else "string"


def kind_of_label(label: str) -> str:
    """Return the kind of a label in JSON: int, string or list."""
    return "list" if label[0] == "[" else "string" if label[0] == '"' else "int"


def label_value(label: str | None, kind: str) -> Any:
    """Return a label in JSON as a value of its column's kind."""
    if label is None:
        return None
    value = json.loads(label)
    return str(value) if kind == "string" else value

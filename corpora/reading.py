"""Streaming raw rows out of a source, one at a time, whatever its kind."""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from corpora.errors import InputError
from corpora.sources import Source, load_hub_dataset

FIELD_LIMIT = 2**27
"""Longest field and line, in bytes: a quote that is never closed must not read the whole file into memory."""
PEEKED_OBJECTS = 1_000
"""JSON objects looked at to learn the columns, as a JSON lines file has no header."""
_BATCH_ROWS = 256
_DAMAGED = (EOFError, zlib.error, gzip.BadGzipFile)

Row = dict[str, Any]


def available_columns(source: Source, delimiter: str | None = None) -> list[str]:
    """Return the source's columns: the header, the schema, or the keys of the first objects of a JSON lines file.

    Raises:
        InputError: The source cannot be read or holds no header.
    """
    if source.kind in ("csv", "tsv"):
        with TextLines(source.name) as lines:
            return _header(_csv_reader(lines, source, delimiter), source, lines)
    if source.kind == "json lines":
        names: dict[str, None] = {}
        for (_, row), _ in zip(_json_rows(source), range(PEEKED_OBJECTS), strict=False):
            names.update(dict.fromkeys(row))
        if not names:
            raise InputError("the file holds no rows", file=source.name, remedy="check how it was exported")
        return list(names)
    if source.kind == "parquet":
        with _open_parquet(source) as parquet:
            names = list(parquet.schema_arrow.names)
        if len(set(names)) < len(names):
            raise InputError("two columns have the same name", file=source.name, remedy="rename one of them")
        return names
    names = list(_dataset(source).column_names)
    return names if source.split is None or "split" in names else [*names, "split"]


def read_rows(source: Source, columns: Sequence[str], delimiter: str | None = None) -> Iterator[tuple[int, Row]]:
    """Yield `(row number, {column: value})` from the first row, counted from 1, to the last.

    Memory holds one row, or one small batch of a columnar file. Values of CSV files are strings; a key that a JSON
    object lacks is left out of its row.

    Args:
        source: What to read.
        columns: The columns wanted; all must be among `available_columns`.
        delimiter: Separator of CSV and TSV files; by default that of the kind.

    Raises:
        InputError: A row cannot be read.
    """
    if source.kind in ("csv", "tsv"):
        return _csv_rows(source, columns, delimiter)
    if source.kind == "json lines":
        return _json_rows(source)
    if source.kind == "parquet":
        return _parquet_rows(source, columns)
    return _dataset_rows(source, columns)


class TextLines:
    """Decodes a file line by line, so that a bad byte is found in its own row, not a buffer ahead of it."""

    def __init__(self, name: str) -> None:
        self.name, self.fault = name, None
        opener = gzip.open if name.lower().endswith(".gz") else Path.open
        self.stream: IO[bytes] = opener(Path(name), "rb")

    def __enter__(self) -> TextLines:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def __iter__(self) -> Iterator[str]:
        first = True
        while True:
            try:
                line = self.stream.readline(FIELD_LIMIT)
            except _DAMAGED:
                self.fault = "the compressed file is damaged or cut short", "copy or export it again"
                return
            if not line:
                return
            if len(line) == FIELD_LIMIT and not line.endswith(b"\n"):
                self.fault = f"a line of more than {FIELD_LIMIT:,} bytes", "check the line breaks of the file"
                return
            try:
                yield line.decode("utf-8-sig" if first else "utf-8")
            except UnicodeDecodeError as error:
                found = "UTF-16" if first and line[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "WINDOWS-1252"
                self.fault = (
                    f"invalid UTF-8 at byte {error.start + 1} of the line",
                    f"convert the file, for example with: iconv -f {found} -t UTF-8",
                )
                return
            first = False

    def check(self, row: int | None) -> None:
        """Raise the fault, if any, that ended the iteration."""
        if self.fault:
            raise InputError(self.fault[0], file=self.name, row=row, remedy=self.fault[1])


def _csv_reader(lines: TextLines, source: Source, delimiter: str | None) -> Any:
    csv.field_size_limit(FIELD_LIMIT)
    separator = "\t" if delimiter == "\\t" else delimiter or ("\t" if source.kind == "tsv" else ",")
    if len(separator) != 1:
        raise InputError("--delimiter is not a single character", remedy="give one, for example ';'")
    return csv.reader(iter(lines), delimiter=separator, strict=True)


def _header(reader: Any, source: Source, lines: TextLines) -> list[str]:
    try:
        header = next((row for row in reader if row), None)
    except csv.Error as error:
        lines.check(None)
        raise InputError("the header cannot be read", file=source.name, remedy=_csv_remedy(error)) from error
    lines.check(None)
    if header is None:
        raise InputError("the file is empty", file=source.name, remedy="check how it was exported")
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        first, second = [number for number, name in enumerate(header, 1) if name == twice][:2]
        # Not the name itself: the first row of a file without a header is text of a document.
        raise InputError(
            f"fields {first} and {second} of the header have the same name",
            file=source.name,
            remedy="rename one of them, or put a header above the first row",
        )
    return header


def _csv_remedy(error: csv.Error) -> str:
    if "field limit" in str(error):
        return "a quote is never closed, or the field is too long"
    if "unexpected end" in str(error):
        return "a quote is never closed"
    return "put fields that hold separators, quotes or line breaks in double quotes, and double the quotes inside"


def _csv_rows(source: Source, columns: Sequence[str], delimiter: str | None) -> Iterator[tuple[int, Row]]:
    with TextLines(source.name) as lines:
        reader = _csv_reader(lines, source, delimiter)
        header = _header(reader, source, lines)
        positions = [(name, header.index(name)) for name in columns]
        number = 0
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                lines.check(number + 1)
                raise InputError(
                    f"the row cannot be read (near line {reader.line_num:,})",
                    file=source.name,
                    row=number + 1,
                    remedy=_csv_remedy(error),
                ) from error
            lines.check(number + 1)
            if cells is None:
                return
            if not cells:
                continue
            number += 1
            if len(cells) != len(header):
                raise InputError(
                    f"{len(cells)} fields where the header has {len(header)}",
                    file=source.name,
                    row=number,
                    remedy="check the quotes and separators of this row",
                )
            yield number, {name: cells[position] for name, position in positions}


def _json_rows(source: Source) -> Iterator[tuple[int, Row]]:
    with TextLines(source.name) as lines:
        number = 0
        for number, line in enumerate(lines, 1):
            if line.isspace():
                continue
            yield number, _json_object(line, source.name, number)
        lines.check(number + 1)


def _json_object(line: str, file: str, number: int) -> Row:
    remedy = "the file must hold one whole JSON object a line"
    if number == 1 and line.lstrip().startswith("["):
        raise InputError("the file holds a JSON array", file=file, remedy="convert it with: jq -c '.[]'")
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # ValueError: a number of thousands of digits
        place = f" at character {error.pos + 1:,}" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(f"broken JSON{place}", file=file, row=number, remedy=remedy) from error
    if not isinstance(row, dict):
        raise InputError("the line is no JSON object", file=file, row=number, remedy=remedy)
    if "\\ud" in line or "\\uD" in line:
        _refuse_surrogates(row, file, number)
    return row


def _refuse_surrogates(row: Row, file: str, number: int) -> None:
    for name, value in row.items():
        try:
            json.dumps([name, value], ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                "half of a surrogate pair, which is no character",
                file=file,
                row=number,
                column=name if name.isprintable() else None,
                remedy="write characters beyond U+FFFF as a whole pair",
            ) from error


class _open_parquet:  # noqa: N801 - a context manager, used like a function
    """Opens a Parquet file; a compressed one is unpacked first, as Parquet is read from its end."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __enter__(self) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        name = self.source.name
        try:
            self.stream: IO[bytes] = Path(name).open("rb")
            if name.lower().endswith(".gz"):
                packed, self.stream = self.stream, tempfile.TemporaryFile()
                with packed, gzip.open(packed, "rb") as unpacked:
                    shutil.copyfileobj(unpacked, self.stream)
            self.stream.seek(0)
            return pq.ParquetFile(self.stream, memory_map=False, pre_buffer=False)
        except (pa.ArrowException, *_DAMAGED) as error:
            self.stream.close()
            raise InputError(
                "the Parquet file is damaged or cut short", file=name, remedy="copy or export it again"
            ) from error

    def __exit__(self, *_: object) -> None:
        self.stream.close()


def _parquet_rows(source: Source, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    import pyarrow as pa

    with _open_parquet(source) as parquet:
        number = 0
        batches = parquet.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns))
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError) as error:
                raise InputError(
                    "the Parquet file is damaged", file=source.name, row=number + 1, remedy="export it again"
                ) from error
            if batch is None:
                return
            for row in _batch_rows(batch, source.name, number):
                number += 1
                yield number, row


def _batch_rows(batch: Any, file: str, before: int) -> Iterator[Row]:
    try:
        yield from batch.to_pylist()
        return
    except (UnicodeDecodeError, OverflowError, ValueError) as error:
        fault = error
    for name, values in zip(batch.schema.names, batch.columns, strict=True):
        for position, value in enumerate(values):
            try:
                value.as_py()
            except UnicodeDecodeError:
                problem, remedy = "invalid UTF-8", "write the column as UTF-8 text"
            except (OverflowError, ValueError):
                problem, remedy = "a date that the calendar does not have", "leave it empty, or name another column"
            else:
                continue
            raise InputError(problem, file=file, row=before + position + 1, column=name, remedy=remedy) from fault


def _dataset(source: Source) -> Any:
    import datasets

    if source.kind == "hub dataset":
        return load_hub_dataset(source.name)[source.split]
    folder = Path(source.name)
    try:
        return datasets.load_from_disk(folder / source.split if source.split else folder)
    except Exception as error:  # Arrow, JSON and file errors of a damaged folder
        raise InputError("the saved dataset is damaged", file=folder, remedy="save it again") from error


def _dataset_rows(source: Source, columns: Sequence[str]) -> Iterator[tuple[int, Row]]:
    dataset = _dataset(source)
    stored = [name for name in columns if name in dataset.column_names]
    with_split = {"split": source.split} if "split" in columns and "split" not in stored else {}
    number = 0
    for table in dataset.select_columns(stored).with_format("arrow").iter(batch_size=_BATCH_ROWS):
        for batch in table.to_batches():
            for row in _batch_rows(batch, source.name, number):
                number += 1
                yield number, row | with_split

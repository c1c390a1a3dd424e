"""Rows of the tables of a data model: found by their columns or file names, read under the model's own names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from corpora.columns import identifier
from corpora.errors import InputError
from corpora.event_times import Moment, read_moment
from corpora.reading import available_columns, read_rows
from corpora.records import NULL_TEXTS
from corpora.sources import Source


class Place(NamedTuple):
    """Where a row stands, for messages."""

    file: str
    row: int

    def fault(self, problem: str, remedy: str | None, column: str | None = None) -> InputError:
        """Return the error to raise."""
        return InputError(problem, file=self.file, row=self.row, column=column, remedy=remedy)

    def moment(self, value: Any, column: str | None, unit: str = "minutes") -> Moment | None:
        """Return `read_moment`, whose error names the place."""
        try:
            return read_moment(value, unit)
        except InputError as error:
            raise self.fault(error.problem, error.remedy, column) from None

    def date(self, value: Any, column: str | None) -> Moment | None:
        """Return a date, or None where it is missing; refuse numbers."""
        moment = self.moment(value, column)
        if moment is not None and not moment.dated:
            raise self.fault("the time is a number, not a date", "give dates, or name another column", column)
        return moment

    def outcome(self, value: Any, column: str, positive: Sequence[str], above: float | None = None) -> int | None:
        """Return 1 for one of the positive values or for a number above a limit, 0 otherwise, None where it is missing.

        Args:
            value: A cell; truth values and whole numbers are compared as 1 and 0.
            column: For messages.
            positive: The values, in any case.
            above: The limit, in place of the values.
        """
        text = identifier(int(value) if isinstance(value, bool) else value)
        if text is None or text in NULL_TEXTS:
            return None
        if above is None:
            return int(text.casefold() in {one.strip().casefold() for one in positive})
        number = number_or_none(text)
        if number is None:
            raise self.fault("the outcome is no number", "give --positive_values in place of --outcome_above", column)
        return int(number > above)

    def offset(self, time: Moment | None, start: Moment | None) -> Moment | None:
        """Return `Moment.after`, whose error names the place; None for no time."""
        try:
            return None if time is None else time.after(start)
        except InputError as error:
            raise self.fault(error.problem, error.remedy) from None


class Table:
    """A source whose columns are found by their exact names, or without regard to case where only one fits.

    Args:
        source: The file.
        delimiter: Of CSV files.
    """

    def __init__(self, source: Source, delimiter: str | None = None) -> None:
        self.source, self.delimiter = source, delimiter
        self.columns = available_columns(source, delimiter)
        folded = [name.strip().casefold() for name in self.columns]
        self._folded = {one: name for one, name in zip(folded, self.columns, strict=True) if folded.count(one) == 1}

    def find(self, column: str) -> str | None:
        """Return the column as the file spells it, or None where it is missing."""
        return column if column in self.columns else self._folded.get(column.casefold())

    def has(self, *columns: str | None) -> bool:
        """Tell whether it has these columns; those that are None do not count."""
        return all(self.find(column) is not None for column in columns if column is not None)

    def called(self, stem: str) -> bool:
        """Tell whether the file's name is that of a table of a data model, as in DIAGNOSES_ICD.csv.gz."""
        return self.source.stem.casefold() == stem.casefold()

    def require(self, column: str, remedy: str) -> None:
        """Raise an `InputError` when the column is missing."""
        if not self.has(column):
            raise InputError("the column is missing", file=self.source.name, column=column, remedy=remedy)

    def rows(self, columns: Mapping[str, str | None] | Sequence[str]) -> Iterator[tuple[Place, dict[str, Any]]]:
        """Yield the place and the cells of each row.

        Args:
            columns: What to call a cell: the table's column; cells of columns that are None, or that the table lacks,
                are None. A sequence of columns stands for their own names.
        """
        named = columns if isinstance(columns, Mapping) else {column: column for column in columns}
        spelled = {name: self.find(column) for name, column in named.items() if column}
        found = {name: column for name, column in spelled.items() if column is not None}
        lacking = dict.fromkeys(named.keys() - found.keys())
        nests = self.source.kind not in ("csv", "tsv")
        for row, cells in read_rows(self.source, list(dict.fromkeys(found.values())), self.delimiter):
            for column in found.values() if nests else ():
                if isinstance(cells.get(column), (list, dict)):
                    remedy = "give each of its values a row of its own, or name another column"
                    raise Place(self.source.name, row).fault("the cell is no single value", remedy, column)
            yield (
                Place(self.source.name, row),
                {**lacking, **{name: cells.get(column) for name, column in found.items()}},
            )


def code_text(value: Any) -> str:
    """Return a code as text, empty where it is missing; unlike an id, "428.0" stays what it is."""
    if isinstance(value, float) and value == value and value.is_integer():
        value = int(value)
    text = "" if value is None or value != value else str(value).strip()
    return "" if text in NULL_TEXTS else text


def number_or_none(value: Any) -> float | None:
    """Return a cell as a finite number, or None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None


def level_of(number: float, low: float | None, high: float | None) -> str | None:
    """Return `low`, `normal` or `high`, or None where there is no range to compare with."""
    if low is None and high is None:
        return None
    if low is not None and number < low:
        return "low"
    return "high" if high is not None and number > high else "normal"

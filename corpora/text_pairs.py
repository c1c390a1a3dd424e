"""Similarity files: pairs of texts that people have rated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.reading import available_columns, read_rows
from corpora.sources import find_sources


@dataclass(frozen=True)
class TextPairs:
    """Pairs of texts and how similar people find them.

    Args:
        first: `pairs` texts.
        second: `pairs` texts.
        ratings: `pairs` numbers, higher for more similar texts.
    """

    first: list[str]
    second: list[str]
    ratings: list[float]

    def __len__(self) -> int:
        return len(self.ratings)


def read_text_pairs(file: str | Path, first_column: str, second_column: str, rating_column: str) -> TextPairs:
    """Read a file of rated pairs of texts.

    Args:
        file: CSV, TSV, JSON lines or Parquet, each also .gz, or a folder of one saved dataset.
        first_column: Column of the first text.
        second_column: Column of the second.
        rating_column: Column of the rating, a number.

    Raises:
        InputError: The file cannot be read, a column is missing or named twice, a text is empty or none, a rating is no
            finite number, or there are fewer than three pairs.
    """
    names = (first_column, second_column, rating_column)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError("the column is named twice", file=file, column=twice, remedy="name three different columns")
    sources = find_sources(file)
    if len(sources) > 1:
        raise InputError("one file or one split of pairs is needed", file=file, remedy="name a single file")
    columns = available_columns(sources[0])
    for name in names:
        if name not in columns:
            raise InputError("the column is missing", file=file, column=name, remedy="check its name in the header")
    pairs = TextPairs([], [], [])
    for row, values in read_rows(sources[0], names):
        pairs.first.append(_text(values.get(first_column), file, row, first_column))
        pairs.second.append(_text(values.get(second_column), file, row, second_column))
        pairs.ratings.append(_rating(values.get(rating_column), file, row, rating_column))
    if len(pairs) < 3:
        raise InputError(f"{len(pairs)} pairs have no rank correlation", file=file, remedy="give at least three")
    return pairs


def _text(value: Any, file: str | Path, row: int, column: str) -> str:
    if not isinstance(value, str):
        problem = "the text is missing" if value is None else f"a text is needed, not {type(value).__name__}"
        raise InputError(problem, file=file, row=row, column=column, remedy="mend or remove the row")
    if not value.strip():
        raise InputError("the text is empty", file=file, row=row, column=column, remedy="mend or remove the row")
    return value


def _rating(value: Any, file: str | Path, row: int, column: str) -> float:
    try:
        # A truth value is a number to Python, and a rating to those who rate by yes and no.
        rating = float(value)
    except (TypeError, ValueError, OverflowError):
        rating = math.nan
    if not math.isfinite(rating):
        # Not the value itself: in the wrong column it is text.
        raise InputError(
            "the rating is no finite number", file=file, row=row, column=column, remedy="mend or remove the row"
        ) from None
    return rating

"""Metadata columns as categories: which values they hold, how often, and their numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from corpora.columns import identifier
from corpora.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

NO_CATEGORY = -100  # what torch.nn.functional.cross_entropy leaves out
ID_COLUMNS = ("document_id", "patient_id", "dup_group")
# Names of categories are saved with the model and printed, so that free text among them would be patients' text.
MAX_LABEL_LENGTH = 80
MANY_LABELS = 20  # above it, a column most of whose values occur once is text
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True)
class CategoryColumn:
    """A column of the training documents whose values are categories.

    Args:
        name: The column.
        labels: Its values as text, sorted; the number of a category is its place here.
        counts: Training documents of each category.
        multi_label: A document has a list of categories rather than one.
    """

    name: str
    labels: tuple[str, ...]
    counts: tuple[int, ...]
    multi_label: bool = False

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {label: number for number, label in enumerate(self.labels)}

    def encode(self, value: Any) -> int | np.ndarray:
        """Return the number of a value; for a multi-label column its 0/1 vector.

        A missing value, and one that the training documents do not have, is `NO_CATEGORY`, or a vector of NaN. In a
        list, values unseen in training are passed over; a list of nothing else counts as missing, an empty one does
        not: it is a document of which none of the categories holds.
        """
        if not self.multi_label:
            return self._numbers.get(identifier(value), NO_CATEGORY)
        values = category_values(value)
        known = [self._numbers[one] for one in values if one in self._numbers]
        if value is None or (values and not known):
            return np.full(len(self.labels), np.nan, dtype=np.float32)
        vector = np.zeros(len(self.labels), dtype=np.float32)
        vector[known] = 1.0
        return vector

    def unseen(self, documents: Dataset) -> Counter[str]:
        """Count the categories of other documents that the training documents do not have."""
        counts = count_categories(documents, self.name)
        return Counter({label: count for label, count in counts.items() if label not in self._numbers})


def category_values(value: Any) -> list[str]:
    """Return the categories of one cell as text: none for null or blank, several for a list."""
    values = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
    return list(dict.fromkeys(text for text in map(identifier, values) if text is not None))


def count_categories(documents: Dataset, name: str) -> Counter[str]:
    """Return how many documents have each category; missing values count nowhere."""
    counts: Counter[str] = Counter()
    for cells in _cells(documents, name):
        for cell in cells:
            counts.update(category_values(cell))
    return counts


def category_column(documents: Dataset, name: str, max_categories: int = 200) -> CategoryColumn:
    """Find the categories of a column of the training documents.

    Args:
        documents: The training documents.
        name: Column of text, whole numbers, or lists of texts.
        max_categories: More different values than this are taken for free text, or for measurements.

    Raises:
        InputError: The column is missing, holds ids, is empty, has a single value, too many different ones, or values
            that look like free text. No value is shown, because it may be text of a patient.
    """
    if name in ID_COLUMNS:
        raise InputError("the column holds ids, not categories", column=name, remedy="choose another column")
    if name not in documents.column_names:
        raise InputError(
            "the column is missing",
            column=name,
            remedy="name it in --category_column or --label_columns of prepare_notes.py, or in --category_columns "
            "as the file spells it",
        )
    counts = count_categories(documents, name)
    if not counts:
        raise InputError("no training document has a category", column=name, remedy="choose another column")
    multi_label = any(isinstance(cell, list) for cells in _cells(documents, name) for cell in cells)
    if len(counts) == 1 and not multi_label:
        raise InputError(
            "all training documents that have a category have the same one",
            column=name,
            remedy="choose a column of several values",
        )
    if len(counts) > max_categories:
        raise InputError(
            f"{len(counts):,} different values in {len(documents):,} training documents are no categories but free "
            "text or measurements",
            column=name,
            remedy=f"choose another column, or pass --max_categories {len(counts)} if they are",
        )
    fault = text_fault(counts)
    if fault is not None:
        raise InputError(
            f"{fault}: the column looks like free text, which must not become names of categories",
            column=name,
            remedy="choose another column, or group its values first",
        )
    labels = sort_labels(counts)
    return CategoryColumn(name, tuple(labels), tuple(counts[label] for label in labels), multi_label)


def text_fault(counts: Mapping[str, int]) -> str | None:
    """Say what makes values look like free text rather than categories; None where they do not.

    Args:
        counts: Documents of each value.
    """
    once = sum(count == 1 for count in counts.values())
    longest = max(map(len, counts), default=0)
    if longest > MAX_LABEL_LENGTH:
        return f"values of up to {longest} characters"
    return f"{once:,} values occur once" if len(counts) > MANY_LABELS and once > len(counts) / 2 else None


def shown_names(counts: Mapping[str, int]) -> dict[str, str]:
    """Return the name of each value for reports: its own, or the same for all where they look like free text.

    Args:
        counts: Documents of each value.
    """
    if text_fault(counts) is None:
        return {name: name for name in counts}
    return dict.fromkeys(counts, f"{len(counts):,} values that look like free text")


def shown_counts(counts: Mapping[Any, int], shown: Mapping[Any, str]) -> dict[Any, int]:
    """Add up the counts of values that have one name in reports.

    Args:
        counts: Documents of each value.
        shown: Names from `shown_names`; a value without one keeps its own.
    """
    found: dict[Any, int] = {}
    for value, count in counts.items():
        name = shown.get(value, value)
        found[name] = found.get(name, 0) + count
    return found


def sort_labels(labels: Iterable[str]) -> list[str]:
    """Return labels sorted: numbers by size, then the others by their characters."""
    return sorted(labels, key=_sort_key)


def _sort_key(label: str) -> tuple[bool, float, str]:
    """Numbers come first, by size."""
    number = float(label) if _NUMBER.fullmatch(label) else None
    return number is None, number or 0.0, label


def _cells(documents: Dataset, name: str, size: int = 10_000) -> Iterator[Sequence[Any]]:
    plain = documents.with_format(None).select_columns(name)
    for start in range(0, len(plain), size):
        yield plain[start : start + size][name]

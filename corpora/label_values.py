"""Cells of a label column as labels: which are missing, ignored or grouped, in what order, and which are refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpora.category_columns import ID_COLUMNS, MAX_LABEL_LENGTH, category_values, sort_labels
from corpora.columns import identifier
from corpora.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

    from corpora.label_tasks import LabelOptions

SHOWN_LABEL = 40
"""Longest label that a message shows: a longer one may be text of a patient."""
_SHOWN_LABELS = 3
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"[-+]?[0-9]+")


@dataclass(frozen=True)
class LabelValues:
    """How the values of a column become labels.

    Args:
        group_of: Value to the class it is part of; empty where values are classes themselves.
        ignored: Values that count as missing.
    """

    group_of: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    @classmethod
    def of(cls, groups: Mapping[str, Sequence[Any]] | None, ignored: Iterable[Any]) -> LabelValues:
        """Check and turn around the groups that the user named.

        Raises:
            InputError: They are no lists, a value is in two groups or also ignored, or there are fewer than two.
        """
        group_of: dict[str, str] = {}
        left_out = frozenset(text for text in map(identifier, ignored) if text)
        for group, members in (groups or {}).items():
            if not isinstance(members, (list, tuple)) or not members or not str(group).strip():
                raise InputError(
                    "--label_groups is not a mapping of names to lists of labels",
                    remedy='write for example {"low": ["1", "2", "3"], "high": ["4", "5"]}',
                )
            for value in map(identifier, members):
                if value is None or value in group_of or value in left_out:
                    raise InputError(
                        f"--label_groups or --ignored_labels names {shown_label(value or '')} twice, or a blank",
                        remedy="put each label in one group",
                    )
                group_of[value] = str(group)
        if groups is not None and len(groups) < 2:
            raise InputError("--label_groups names fewer than two groups", remedy="name two or more")
        return cls(group_of, left_out)

    def labels_of(self, cell: Any) -> list[str] | None:
        """Return the labels of a cell, or None where it is missing, blank, or holds ignored values only.

        An empty list is not missing: it is a document of which none of the labels holds. A value in no group stays as
        it is.
        """
        values = category_values(cell)
        kept = [value for value in values if value not in self.ignored]
        if not kept and (values or not isinstance(cell, (list, tuple, np.ndarray))):
            return None
        return list(dict.fromkeys(self.group_of.get(value, value) for value in kept))


@dataclass(frozen=True)
class ColumnLabels:
    """The labels of a split.

    Args:
        rows: Labels of each document, None where they are missing.
        lists: Whether any cell is a list.
    """

    rows: list[list[str] | None]
    lists: bool


def read_values(
    documents: Dataset, name: str, values: LabelValues, split: str | None = None, file: str | Path | None = None
) -> ColumnLabels:
    """Read the labels of all documents.

    Args:
        documents: Of one split.
        name: The label column.
        values: How its values become labels.
        split: Name of the split, for messages.
        file: What messages call the corpus.

    Raises:
        InputError: The column is missing or holds ids or texts.
    """
    if name in (*ID_COLUMNS, "text"):
        raise InputError("the column holds ids or texts, not labels", file=file, column=name, remedy="choose another")
    if name not in documents.column_names:
        raise InputError(
            f"the column is missing from split {split}" if split else "the column is missing",
            file=file,
            column=name,
            remedy="name it in --label_columns of prepare_notes.py, or as the file spells it",
        )
    cells = documents.with_format(None).select_columns(name)[:][name]
    return ColumnLabels(
        [values.labels_of(cell) for cell in cells], any(isinstance(cell, (list, tuple)) for cell in cells)
    )


def task_labels(
    counts: Counter[str],
    order: Sequence[str],
    ordinal: bool,
    by_label_order: bool,
    name: str,
    file: str | Path | None = None,
) -> list[str]:
    """Return the labels of a task in order, those included that the order names and training lacks.

    Args:
        counts: Training documents of each label.
        order: The order asked for, by `label_order` or by the groups; empty for none.
        ordinal: Whether order means something.
        by_label_order: Whether `order` comes from `label_order` rather than from the groups.
        name: The label column.
        file: What messages call the corpus.

    Raises:
        InputError: No training document has a label, labels are missing from the order, are measurements, or have no
            order where one is needed.
    """
    if not counts:
        raise InputError("no training document has a label", file=file, column=name, remedy="choose another column")
    if order:
        others = [label for label in sort_labels(counts) if label not in order]
        if others:
            option = "--label_order" if by_label_order else "--label_groups"
            raise InputError(
                f"{len(others):,} labels of the training documents are not in {option} ({list_labels(others)})",
                file=file,
                column=name,
                remedy="add them, or name those that count as missing in --ignored_labels",
            )
        return list(order)
    if all(_NUMBER.fullmatch(label) for label in counts) and not all(map(_WHOLE.fullmatch, counts)):
        raise InputError(
            f"the column holds {len(counts):,} different numbers with fractions, which are measurements, not classes",
            file=file,
            column=name,
            remedy="choose another column, or name the values in order with --label_order if they are classes",
        )
    if not ordinal:
        return sort_labels(counts)
    if not all(map(_WHOLE.fullmatch, counts)):
        raise InputError(
            "the labels are no numbers, so their order is not known",
            file=file,
            column=name,
            remedy="name them in order, for example --label_order mild moderate severe",
        )
    return sorted(counts, key=int)


def check_classes(
    labels: Sequence[str],
    rare: Mapping[str, int],
    training: ColumnLabels,
    kind: str,
    options: LabelOptions,
    name: str,
    file: str | Path | None = None,
) -> None:
    """Refuse classes that cannot be told apart, or that are no classes.

    Raises:
        InputError: Fewer than two are left, or all documents have them, there are more than `max_classes`, or one has a
            name as long as a sentence.
    """
    problem, remedy = None, "choose another column"
    # One label that some documents have and others have not is a task; NaN-free rows of an empty list are the others.
    with_and_without = kind == "multi_label" and len(labels) == 1 and any(row == [] for row in training.rows)
    if len(labels) < 2 and not with_and_without:
        if not rare:
            problem = "all training documents that have a label have the same one"
        else:
            problem = (
                f"{len(labels)} class is left" if len(labels) == 1 else "no class is left"
            ) + f" without the {len(rare):,} that have fewer than {options.min_class_documents} training documents"
            remedy = "lower --min_class_documents, group labels by --label_groups, or choose another column"
    elif len(labels) > options.max_classes:
        problem = f"{len(labels):,} different labels are more than --max_classes {options.max_classes}"
        remedy = "choose another column, or raise it if they are classes"
    elif max(map(len, labels)) > MAX_LABEL_LENGTH:
        problem = f"a label of {max(map(len, labels)):,} characters looks like free text, which results must not hold"
        remedy = "choose another column, or give the labels short names by --label_groups"
    if problem:
        raise InputError(problem, file=file, column=name, remedy=remedy)


def shown_label(label: str) -> str:
    """Return a label in quotes for a message, or its length where it may be text of a patient."""
    return f"'{label}'" if len(label) <= SHOWN_LABEL and label.isprintable() else f"one of {len(label):,} characters"


def list_labels(labels: Sequence[str]) -> str:
    """Return the first few labels for a message, and the number of the others."""
    shown = ", ".join(map(shown_label, labels[:_SHOWN_LABELS]))
    return shown + (f" and {len(labels) - _SHOWN_LABELS:,} more" if len(labels) > _SHOWN_LABELS else "")

"""From a column of labels to a classification task: its classes, in order, and the documents that bear them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from corpora.category_columns import NO_CATEGORY, CategoryColumn
from corpora.columns import identifier
from corpora.errors import InputError
from corpora.label_values import LabelValues, check_classes, list_labels, read_values, task_labels

if TYPE_CHECKING:
    from datasets import Dataset

TaskKind = Literal["single_label", "multi_label", "ordinal"]


@dataclass
class LabelOptions:
    """How a column becomes classes."""

    _argument_group_name = "Labels"

    task: Literal["auto", "single_label", "multi_label", "ordinal"] = field(
        default="auto",
        metadata={
            "help": "what a document has: one class, several, or one of a graded scale; auto: several where the column "
            "holds lists, a scale where label_order is given, one otherwise"
        },
    )
    label_order: list[str] = field(
        default_factory=list,
        metadata={"help": "all labels in their order, for example mild moderate severe; by default numbers by size"},
    )
    label_groups: dict[str, list[str]] | None = field(
        default=None,
        metadata={"help": 'classes made of several labels, for example {"low": ["1", "2", "3"], "high": ["4", "5"]}'},
    )
    ignored_labels: list[str] = field(
        default_factory=list, metadata={"help": "labels that count as missing, for example unknown"}
    )
    min_class_documents: int = field(
        default=5, metadata={"help": "a class with fewer training documents is rare; 5 are one for each fold"}
    )
    rare_classes: Literal["drop", "error"] = field(
        default="drop", metadata={"help": "leave documents of rare classes out of all splits and count them, or stop"}
    )
    max_classes: int = field(default=200, metadata={"help": "more classes than this are no classes but other values"})

    def __post_init__(self) -> None:
        for name in ("min_class_documents", "max_classes"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} is below 1", remedy="give a number of 1 or more")
        for name in ("label_order", "ignored_labels"):
            if len(set(getattr(self, name))) < len(getattr(self, name)):
                raise InputError(f"--{name} names a label twice", remedy="name each once")


@dataclass(frozen=True)
class SplitLabels:
    """The documents of a split, by what their labels allow.

    Args:
        labelled: Documents that have a class of the task.
        missing: Documents without a label, or with ignored ones only.
        rare: Documents left out because all their labels are rare in training.
        unseen: Documents left out because no training document has any of their labels.
        classes: Documents of each class.
    """

    labelled: int
    missing: int
    rare: int
    unseen: int
    classes: dict[str, int]


@dataclass(frozen=True)
class ClassificationTask:
    """What is to be predicted, as the training documents define it.

    Args:
        name: The label column.
        kind: single_label, multi_label or ordinal.
        labels: The classes in order; the number of a class is its place here.
        values: How cells become labels: those ignored and those grouped.
        splits: Counts of each split.
        rare: Labels left out as rare, with their training documents.
        warnings: What the user should know, a line each, without labels.
    """

    name: str
    kind: TaskKind
    labels: tuple[str, ...]
    values: LabelValues
    splits: dict[str, SplitLabels]
    rare: dict[str, int]
    warnings: tuple[str, ...] = ()

    def targets(self, documents: Dataset) -> NDArray[np.int64] | NDArray[np.float32]:
        """Return the targets of documents, of any split or of none.

        Returns:
            `(documents,)` int64 numbers of classes, `NO_CATEGORY` where a document has none; or `(documents, classes)`
            float32 of 0 and 1, rows of NaN where a document has no known label.
        """
        return _targets(read_values(documents, self.name, self.values).rows, self._column)

    def labelled(self, documents: Dataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return positions and targets of the documents that can be trained on or scored.

        Returns:
            `(labelled,)` positions, and int64 targets `(labelled,)` or 0/1 `(labelled, classes)`.
        """
        targets = self.targets(documents)
        kept = np.flatnonzero(_has_class(targets))
        return kept, targets[kept].astype(np.int64)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "label_column": self.name,
            "task": self.kind,
            "labels": list(self.labels),
            "rare_classes": len(self.rare),  # no names: among values that occur once may be text of a patient
            "splits": {split: asdict(counts) for split, counts in self.splits.items()},
        }

    @property
    def _column(self) -> CategoryColumn:
        counts = tuple(next(iter(self.splits.values())).classes.values())
        return CategoryColumn(self.name, self.labels, counts, multi_label=self.kind == "multi_label")


def classification_task(
    corpus: Mapping[str, Dataset],
    name: str,
    options: LabelOptions | None = None,
    *,
    train_split: str = "train",
    file: str | Path | None = None,
) -> ClassificationTask:
    """Define a task by the training documents, and check that every split has documents for it.

    Documents without a label are left out and counted; so are those of classes that are rare in training, and those
    whose label no training document has.

    Args:
        corpus: Splits that are trained on, chosen by or scored, by name.
        name: The label column: text, whole numbers, or lists of texts.
        options: How the column becomes classes.
        train_split: The split that defines the classes.
        file: What messages call the corpus.

    Raises:
        InputError: The split or the column is missing, a split has no document that bears a label, the labels are
            measurements, all the same, too many, too rare (with `rare_classes="error"`), or not those that the options
            name. Labels longer than 40 characters, which may be text of a patient, are never shown.
    """
    options = options or LabelOptions()
    if train_split not in corpus:
        raise InputError(f"there is no split '{train_split}'", file=file, remedy=f"choose from {', '.join(corpus)}")
    parts = {train_split: corpus[train_split], **corpus}
    values = LabelValues.of(options.label_groups, options.ignored_labels)
    read = {split: read_values(part, name, values, split, file) for split, part in parts.items()}
    has_lists = any(part.lists for part in read.values())
    kind = _kind(options, has_lists, name, file)
    counts = Counter(label for row in read[train_split].rows if row is not None for label in row)
    order = [identifier(label) or "" for label in options.label_order] or list(options.label_groups or ())
    ordered = task_labels(counts, order, kind == "ordinal", bool(options.label_order), name, file)
    labels = tuple(label for label in ordered if counts[label] >= options.min_class_documents)
    rare = {label: counts[label] for label in ordered if counts[label] < options.min_class_documents}
    if rare and options.rare_classes == "error":
        raise InputError(
            f"{len(rare):,} of {len(ordered):,} classes have fewer than {options.min_class_documents} training "
            f"documents ({list_labels(list(rare))})",
            file=file,
            column=name,
            remedy="pass --rare_classes drop to leave them out, group them by --label_groups, or lower "
            "--min_class_documents",
        )
    check_classes(labels, rare, read[train_split], kind, options, name, file)
    column = CategoryColumn(name, labels, tuple(counts[label] for label in labels), kind == "multi_label")
    splits = {split: _count(part.rows, column, counts) for split, part in read.items()}
    for split, found in splits.items():
        if not found.labelled:
            raise InputError(
                f"no document of split {split} has a class of the training documents",
                file=file,
                column=name,
                remedy="split the documents so that each split has labels, or choose another column",
            )
    return ClassificationTask(name, kind, labels, values, splits, rare, _warnings(name, splits, rare, options))


def _kind(options: LabelOptions, has_lists: bool, name: str, file: str | Path | None) -> TaskKind:
    if options.task == "auto":
        return "multi_label" if has_lists else "ordinal" if options.label_order else "single_label"
    if has_lists and options.task != "multi_label":
        raise InputError(
            "documents bear lists of labels, not a single one",
            file=file,
            column=name,
            remedy="pass --task multi_label, or choose another column",
        )
    return options.task


def _targets(rows: list[list[str] | None], column: CategoryColumn) -> np.ndarray:
    if not column.multi_label:
        return np.array([column.encode(row[0]) if row else NO_CATEGORY for row in rows], dtype=np.int64)
    targets = np.empty((len(rows), len(column.labels)), dtype=np.float32)
    for position, row in enumerate(rows):
        targets[position] = column.encode(row)
    return targets


def _has_class(targets: np.ndarray) -> NDArray[np.bool_]:
    return targets != NO_CATEGORY if targets.ndim == 1 else ~np.isnan(targets).any(axis=1)


def _count(rows: list[list[str] | None], column: CategoryColumn, trained: Counter[str]) -> SplitLabels:
    targets = _targets(rows, column)
    kept = _has_class(targets)
    left_out = [row for row, has_class in zip(rows, kept, strict=True) if row is not None and not has_class]
    rare = sum(any(label in trained for label in row) for row in left_out)
    if targets.ndim == 1:
        classes = np.bincount(targets[kept], minlength=len(column.labels))
    else:
        classes = targets[kept].sum(axis=0)
    return SplitLabels(
        labelled=int(kept.sum()),
        missing=sum(row is None for row in rows),
        rare=rare,
        unseen=len(left_out) - rare,
        classes={label: int(count) for label, count in zip(column.labels, classes, strict=True)},
    )


def _warnings(
    name: str, splits: dict[str, SplitLabels], rare: dict[str, int], options: LabelOptions
) -> tuple[str, ...]:
    lines = []
    if rare:
        lost = ", ".join(f"{counts.rare:,} of {split}" for split, counts in splits.items() if counts.rare)
        lines.append(
            f"{name}: {len(rare):,} classes with fewer than {options.min_class_documents} training documents are left "
            f"out, with their documents ({lost or 'none'})"
        )
    for split, counts in splits.items():
        if counts.unseen:
            lines.append(
                f"{name}: {counts.unseen:,} documents of split {split} have a label that no training document has; "
                "they are left out of the scores"
            )
        empty = sum(not count for count in counts.classes.values())
        if empty:
            lines.append(f"{name}: {empty:,} of {len(counts.classes):,} classes have no document in split {split}")
    return tuple(lines)

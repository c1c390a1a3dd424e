"""Few-shot training samples: a few labelled documents a class, nested, and the same for every model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.errors import InputError


def few_shot_sample(
    labels: Sequence[Any] | np.ndarray,
    shots: int,
    seed: int,
    document_ids: Sequence[str] | None = None,
    *,
    strict: bool = False,
) -> NDArray[np.int64]:
    """Draw up to `shots` documents of each class.

    The sample depends on labels, document ids and seed alone: not on the order of rows, on documents without a label,
    or on a model. For one seed, a smaller number of shots draws a subset of a larger one's. A class with fewer
    documents gives all it has; `few_shot_shortage` says which those are.

    Where documents bear several labels, rounds go over the classes, the rarest first; a class that has fewer documents
    in the sample than the round's number draws one more. So every class has at least `shots` documents where there are
    as many, and classes that come with others have more. Documents of no class are never drawn.

    Args:
        labels: `(documents,)` classes as text or numbers, or `(documents, classes)` 0/1. Negative numbers and rows of
            NaN mean no label and are never drawn.
        shots: Documents a class.
        seed: Of the order in which documents are drawn.
        document_ids: `(documents,)` distinct ids. Without them, the order of rows stands for the order of ids.
        strict: Refuse classes with fewer documents.

    Returns:
        Sorted positions, int64.

    Raises:
        InputError: `shots` is below 1, no document bears a label, or `strict` and a class has too few documents.
    """
    if shots < 1:
        raise InputError(f"{shots} documents a class is below 1", remedy="give at least 1 shot")
    labels = np.asarray(labels)
    if strict and (short := few_shot_shortage(labels, shots)).classes:
        raise InputError(short.line(), remedy="ask for fewer shots, or let such classes give all they have")
    order = np.arange(len(labels)) if document_ids is None else np.argsort(np.asarray(document_ids, dtype=np.str_))
    generator = np.random.default_rng(seed)
    ordered = labels[order]
    chosen = _multi_label(ordered, shots, generator) if labels.ndim == 2 else _single_label(ordered, shots, generator)
    if not len(chosen):
        raise InputError("no training document bears a label", remedy="check the label column")
    return np.sort(order[chosen])


def _single_label(labels: np.ndarray, shots: int, generator: np.random.Generator) -> NDArray[np.int64]:
    chosen = [generator.permutation(np.flatnonzero(labels == name))[:shots] for name in _classes(labels)]
    return np.concatenate([*chosen, np.empty(0, np.int64)]).astype(np.int64)


def _multi_label(labels: np.ndarray, shots: int, generator: np.random.Generator) -> NDArray[np.int64]:
    bears = labels > 0  # NaN is not
    order = generator.permutation(np.flatnonzero(bears.any(axis=1)))
    queues = [order[bears[order, number]] for number in range(labels.shape[1])]
    rarest_first = sorted(range(len(queues)), key=lambda number: len(queues[number]))
    drawn = np.zeros(len(labels), dtype=bool)
    counts = np.zeros(labels.shape[1], dtype=np.int64)
    places = [0] * len(queues)
    for wanted in range(1, min(shots, max(map(len, queues), default=0)) + 1):
        for number in rarest_first:
            queue = queues[number]
            if counts[number] >= min(wanted, len(queue)):
                continue
            while drawn[queue[places[number]]]:
                places[number] += 1
            drawn[queue[places[number]]] = True
            counts += bears[queue[places[number]]]
    return np.flatnonzero(drawn)


def _classes(labels: np.ndarray) -> np.ndarray:
    names = np.unique(labels)
    return names[names >= 0] if np.issubdtype(names.dtype, np.number) else names


@dataclass(frozen=True)
class FewShotShortage:
    """Classes that have fewer documents than are asked for.

    Args:
        shots: Documents asked for, a class.
        available: Documents there are, of each class that falls short: its name, or its number where no names are
            known.
        classes_in_all: Number of classes.
    """

    shots: int
    available: dict[str, int]
    classes_in_all: int

    @property
    def classes(self) -> int:
        """How many classes fall short."""
        return len(self.available)

    def line(self) -> str:
        """Return one line for the user, with counts and without the names of classes."""
        if not self.available:
            return f"all {self.classes_in_all:,} classes have {self.shots:,} training documents or more"
        few, many = min(self.available.values()), max(self.available.values())
        have = f"{few:,}" if few == many else f"{few:,} to {many:,}"
        return (
            f"{self.classes:,} of {self.classes_in_all:,} classes have fewer than {self.shots:,} training documents "
            f"({have})"
        )


def few_shot_shortage(
    labels: Sequence[Any] | np.ndarray, shots: int, names: Sequence[str] | None = None
) -> FewShotShortage:
    """Find the classes that cannot give `shots` documents.

    Args:
        labels: As for `few_shot_sample`.
        shots: Documents a class.
        names: Of the classes, by number; for labels that are numbers or 0/1 rows. A class of which there is no
            document is then found too.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2:
        counts = dict(enumerate((labels > 0).sum(axis=0).tolist()))
    else:
        counts = {name.item(): int((labels == name).sum()) for name in _classes(labels)}
    if names is not None:
        counts = {name: counts.get(number, 0) for number, name in enumerate(names)}
    short = {str(name): count for name, count in counts.items() if count < shots}
    return FewShotShortage(shots, short, len(counts))

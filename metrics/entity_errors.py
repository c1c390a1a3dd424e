"""What kind of errors a tagger makes: each gold and each predicted entity falls into exactly one class.

| Class | Gold and predicted entity |
|---|---|
| `correct` | same boundaries, same type |
| `type` | same boundaries, other type |
| `boundary` | overlap, same type, other boundaries |
| `both` | overlap, other type, other boundaries |
| `missed` | a gold entity without a partner |
| `spurious` | a predicted entity without a partner |

Every entity has one partner at most. Pairs are taken in the order of the classes above, within a class those that share
most words first, and among these the earlier ones. So where one predicted entity spans two gold ones, one of them is a
boundary error and the other is missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.entity_matching import overlapping_spans
from metrics.entity_scores import Documents, Span, ordered_spans, type_numbers

ERROR_CLASSES = ("correct", "type", "boundary", "both", "missed", "spurious")


@dataclass(frozen=True, eq=False)
class EntityErrors:
    """Counts of classes and confused types.

    Args:
        by_type: `(types, 6)` int64 entities in the order of `ERROR_CLASSES`, under the type of the gold entity;
            spurious ones under the predicted type.
        confusion: `(types + 1, types + 1)` int64, gold types in rows and predicted types in columns. The last row holds
            the spurious entities, the last column the missed ones.
    """

    by_type: np.ndarray
    confusion: np.ndarray


def classified_entities(gold: Iterable[Span], predicted: Iterable[Span]) -> list[tuple[str, Span | None, Span | None]]:
    """Put the entities of one document into classes.

    Args:
        gold: Spans, which may overlap; the same span given twice counts once.
        predicted: Spans.

    Returns:
        Class, gold span and predicted span, by class. A missed entity has no predicted span, a spurious one no gold
        span.
    """
    true, said = ordered_spans(gold), ordered_spans(predicted)
    candidates = []
    for place, others in enumerate(overlapping_spans(said, true)):
        for other in others:
            (label, start, end), (true_label, true_start, true_end) = said[place], true[other]
            same_boundaries = (start, end) == (true_start, true_end)
            order = 2 * (not same_boundaries) + (label != true_label)
            shared = min(end, true_end) - max(start, true_start)
            candidates.append((order, -shared, other, place))
    found: list[tuple[str, Span | None, Span | None]] = []
    free_gold, free_predicted = dict.fromkeys(range(len(true))), dict.fromkeys(range(len(said)))
    for order, _, other, place in sorted(candidates):
        if other in free_gold and place in free_predicted:
            del free_gold[other], free_predicted[place]
            found.append((ERROR_CLASSES[order], true[other], said[place]))
    found += [("missed", true[other], None) for other in free_gold]
    return found + [("spurious", None, said[place]) for place in free_predicted]


def entity_errors(gold: Documents, predicted: Documents, labels: Sequence[str]) -> EntityErrors:
    """Count the classes of all documents' entities.

    Args:
        gold: Spans of each document.
        predicted: Spans of the same documents in the same order.
        labels: All types.

    Raises:
        ValueError: The numbers of documents differ, or a type is not among the labels.
    """
    numbers = type_numbers(labels, [*gold, *predicted])
    none = len(labels)
    by_type = np.zeros((none, len(ERROR_CLASSES)), dtype=np.int64)
    confusion = np.zeros((none + 1, none + 1), dtype=np.int64)
    for true, said in zip(gold, predicted, strict=True):
        for name, gold_span, predicted_span in classified_entities(true, said):
            row = none if gold_span is None else numbers[gold_span[0]]
            column = none if predicted_span is None else numbers[predicted_span[0]]
            confusion[row, column] += 1
            by_type[column if gold_span is None else row, ERROR_CLASSES.index(name)] += 1
    return EntityErrors(by_type, confusion)

"""Relaxed scores of entity recognition, by the four schemas of SemEval-2013 task 9 as nervaluate counts them.

Each predicted entity is paired with at most one gold entity that it overlaps, and the pair has an outcome:

| Schema | correct | otherwise |
|---|---|---|
| `strict` | same boundaries and type | incorrect |
| `exact` | same boundaries, any type | incorrect |
| `partial` | same boundaries, any type | partial, worth a half |
| `ent_type` | same type, any overlap | incorrect |

Gold entities without a partner are missed, predicted ones spurious. Precision is (correct + partial / 2) / (correct +
incorrect + partial + spurious), recall the same with missed in place of spurious (Segura-Bedmar et al. 2013; nervaluate
1.2). Each entity is in one pair, so F1 of `strict` is the strict micro-F1.

On entities that do not overlap within a document, as tags give them, the counts are nervaluate's; the tests hold them
against it. It differs where entities overlap: there a prediction can take the gold entity that a later prediction
matches to the letter, so that its result hangs on the order; here full matches are taken first. It also asks that a
prediction covers a hundredth of the gold entity, which matters for characters alone; here any overlap will do.
nervaluate is not called because it needs Python 3.11 and gives no counts by document.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from metrics.entity_scores import Documents, Span, ordered_spans, ratio

SCHEMAS = ("strict", "exact", "partial", "ent_type")
OUTCOMES = ("correct", "incorrect", "partial", "missed", "spurious")
_CORRECT, _INCORRECT, _PARTIAL, _MISSED, _SPURIOUS = range(len(OUTCOMES))


def matching_counts(gold: Documents, predicted: Documents) -> np.ndarray:
    """Count the outcomes of each document under each schema.

    Args:
        gold: Spans of each document; the same span given twice counts once.
        predicted: Spans of the same documents in the same order.

    Returns:
        `(documents, 4, 5)` int64, in the order of `SCHEMAS` and `OUTCOMES`.

    Raises:
        ValueError: The numbers of documents differ.
    """
    counts = np.zeros((len(gold), len(SCHEMAS), len(OUTCOMES)), dtype=np.int64)
    for row, true, said in zip(counts, gold, predicted, strict=True):
        true, said = ordered_spans(true), ordered_spans(said)
        same = set(true) & set(said)  # correct under every schema
        row[:, _CORRECT] = len(same)
        true, said = ([span for span in spans if span not in same] for spans in (true, said))
        overlaps = overlapping_spans(said, true)
        for schema, outcomes in zip(SCHEMAS, row, strict=True):
            _count_outcomes(true, said, overlaps, schema, outcomes)
    return counts


def matching_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return precision, recall and F1 of the relaxed schemas.

    Args:
        counts: `(..., 4, 5)`, summed over documents.

    Returns:
        `exact_precision`, `exact_recall`, `exact_f1`, `partial_...` and `ent_type_...`, arrays `(...)`.
    """
    found = {}
    for number, schema in enumerate(SCHEMAS):
        if schema == "strict":
            continue  # the strict micro scores
        correct, incorrect, partial, missed, spurious = np.moveaxis(counts[..., number, :], -1, 0)
        right, paired = correct + 0.5 * partial, correct + incorrect + partial
        found[f"{schema}_precision"] = ratio(right, paired + spurious)
        found[f"{schema}_recall"] = ratio(right, paired + missed)
        found[f"{schema}_f1"] = ratio(2 * right, 2 * paired + spurious + missed)
    return found


def overlapping_spans(spans: Sequence[Span], others: Sequence[Span]) -> list[list[int]]:
    """Return for each span the numbers of the others that it overlaps, ascending.

    Args:
        spans: Spans.
        others: Ordered by their starts; they may overlap each other.
    """
    starts = [start for _, start, _ in others]
    # Ends ascend once each is the furthest so far, so that both bounds can be searched for.
    reach = list(accumulate((end for _, _, end in others), max))
    return [
        [other for other in range(bisect_right(reach, start), bisect_left(starts, end)) if others[other][2] > start]
        for _, start, end in spans
    ]


def _count_outcomes(
    gold: Sequence[Span],
    predicted: Sequence[Span],
    overlaps: Sequence[Sequence[int]],
    schema: str,
    outcomes: np.ndarray,
) -> None:
    """Add the outcomes of one document's entities that are not predicted to the letter to `(5,)`."""
    free, rest = set(range(len(gold))), []
    for span, candidates in zip(predicted, overlaps, strict=True):
        partner = None
        if schema in ("exact", "partial"):
            partner = next((other for other in candidates if other in free and gold[other][1:] == span[1:]), None)
        if partner is None:
            rest.append((span, candidates))
        else:
            free.remove(partner)
            outcomes[_CORRECT] += 1
    for span, candidates in rest:
        left = [other for other in candidates if other in free]
        same_type = [other for other in left if gold[other][0] == span[0]] if schema == "ent_type" else []
        if same_type:
            free.remove(min(same_type, key=lambda other: _distance(span, gold[other])))
            outcomes[_CORRECT] += 1
        elif left:
            free.remove(left[0])
            outcomes[_PARTIAL if schema == "partial" else _INCORRECT] += 1
        else:
            outcomes[_SPURIOUS] += 1
    outcomes[_MISSED] += len(free)


def _distance(span: Span, other: Span) -> int:
    return abs(span[1] - other[1]) + abs(span[2] - other[2])

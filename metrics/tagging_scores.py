"""All scores of a tagger on some documents, and the counts by document that they follow from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.entity_errors import ERROR_CLASSES, entity_errors
from metrics.entity_matching import matching_counts, matching_scores
from metrics.entity_scores import Documents, entity_types, scores_by_type, strict_counts, strict_scores
from metrics.token_level import token_level_scores


@dataclass(frozen=True, eq=False)
class TaggingCounts:
    """What a tagger got right and wrong, without a word of the documents.

    Args:
        document_ids: Of the documents.
        labels: All types, in the order of the arrays.
        strict: `(documents, types, 3)`, see `metrics.entity_scores.strict_counts`.
        matching: `(documents, 4, 5)`, see `metrics.entity_matching.matching_counts`.
        errors: `(types, 6)`, see `metrics.entity_errors.EntityErrors`.
        confusion: `(types + 1, types + 1)`, see there.
    """

    document_ids: tuple[str, ...]
    labels: tuple[str, ...]
    strict: np.ndarray
    matching: np.ndarray
    errors: np.ndarray
    confusion: np.ndarray


def tagging_counts(
    gold: Documents,
    predicted: Documents,
    document_ids: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
) -> TaggingCounts:
    """Count all that is scored.

    Args:
        gold: Spans `(type, start, end)` of each document, in words or characters, ends exclusive.
        predicted: Spans of the same documents in the same order.
        document_ids: By default numbers.
        labels: All types; by default those that occur. Systems that are to be compared need the same.

    Raises:
        ValueError: The numbers of documents differ, or a type is not among the labels.
    """
    labels = entity_types(gold, predicted) if labels is None else labels
    ids = map(str, range(len(gold)) if document_ids is None else document_ids)
    errors = entity_errors(gold, predicted, labels)
    counts = TaggingCounts(
        document_ids=tuple(ids),
        labels=tuple(labels),
        strict=strict_counts(gold, predicted, labels),
        matching=matching_counts(gold, predicted),
        errors=errors.by_type,
        confusion=errors.confusion,
    )
    if len(counts.document_ids) != len(gold):
        raise ValueError(f"{len(counts.document_ids)} document ids for {len(gold)} documents")
    return counts


def scores_of_sums(strict: np.ndarray, matching: np.ndarray, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """Return all scores of entities from counts that are summed over documents.

    Args:
        strict: `(..., types, 3)`.
        matching: `(..., 4, 5)`.
        labels: Names of the types.

    Returns:
        By the names of `score_documents`, arrays `(...)`.
    """
    scores = strict_scores(strict) | matching_scores(matching)
    for name, values in scores_by_type(strict).items():
        scores |= {f"{name}_of_{label}": values[..., number] for number, label in enumerate(labels)}
    return scores


def scores_of_counts(counts: TaggingCounts) -> dict[str, float]:
    """Return the scores of `score_documents` that follow from the counts: all but those of tokens."""
    strict = counts.strict.sum(0)
    scores: Mapping[str, float | np.ndarray] = scores_of_sums(strict, counts.matching.sum(0), counts.labels)
    numbers = dict(zip(("true_positives", "predicted_entities", "gold_entities"), strict.sum(0), strict=True))
    for number, label in enumerate(counts.labels):
        numbers |= {f"predicted_of_{label}": strict[number, 1], f"gold_of_{label}": strict[number, 2]}
    numbers |= {f"errors_{name}": count for name, count in zip(ERROR_CLASSES, counts.errors.sum(0), strict=True)}
    return {name: float(value) for name, value in {**scores, **numbers}.items()}


def score_documents(
    gold: Documents,
    predicted: Documents,
    gold_tags: Iterable[Sequence[str]] | None = None,
    predicted_tags: Iterable[Sequence[str]] | None = None,
) -> dict[str, float]:
    """Score predicted entities.

    Args:
        gold: Spans `(type, start, end)` of each document, in words or characters, ends exclusive; from tags by
            `metrics.entity_scores.spans_by_document`.
        predicted: Spans of the same documents in the same order.
        gold_tags: Tags of each sentence, for the token-level scores.
        predicted_tags: Tags of the same sentences.

    Returns:
        Plain numbers:

        - `precision_micro`, `recall_micro`, `f1_micro` and the same with `macro` and `weighted`: strict, as seqeval's.
        - `precision_of_TYPE`, `recall_of_TYPE`, `f1_of_TYPE`, `gold_of_TYPE`, `predicted_of_TYPE`: strict, of each type
            that occurs.
        - `exact_precision`, `exact_recall`, `exact_f1` (boundaries), `partial_...` (overlap, worth a half) and
            `ent_type_...` (type and any overlap): relaxed, as nervaluate's.
        - `true_positives`, `predicted_entities`, `gold_entities`: numbers of entities.
        - `errors_correct`, `errors_type`, `errors_boundary`, `errors_both`, `errors_missed`, `errors_spurious`: numbers
            of entities in each class of `metrics.entity_errors`.
        - `token_level_accuracy`, `token_level_f1_macro`, ...: see `metrics.token_level`; with tags alone.

    Raises:
        ValueError: The numbers of documents or tags differ, or only one of the two has tags.
    """
    if (gold_tags is None) != (predicted_tags is None):
        raise ValueError("token-level scores need gold and predicted tags")
    scores = scores_of_counts(tagging_counts(gold, predicted))
    if gold_tags is not None and predicted_tags is not None:
        scores |= token_level_scores(gold_tags, predicted_tags)
    return scores

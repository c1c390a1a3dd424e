"""Strict scores of entity recognition: an entity counts where its first word, its last word and its type are all right.

The numbers are those of seqeval with `mode="strict", scheme=IOB2`, and of the CoNLL shared tasks (Tjong Kim Sang and De
Meulder 2003). They are counted here, not by seqeval, for bootstrap intervals and paired tests need the counts of every
document: with these a resample of the documents is one row of a matrix product, where seqeval would have to scan all
tags again. The tests hold the results against seqeval.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from corpora.tag_schemes import entity_spans

# Type, first word (or character) and the one after the last, counted within the document.
Span = tuple[str, int, int]
Documents = Sequence[Iterable[Span]]

COUNTS = ("true_positives", "predicted", "gold")
STRICT_METRICS = tuple(
    f"{score}_{average}" for average in ("micro", "macro", "weighted") for score in ("precision", "recall", "f1")
)


def spans_by_document(tags: Iterable[Sequence[str]], document_ids: Iterable[str]) -> dict[str, list[Span]]:
    """Return the entities of each document from the tags of its sentences.

    Args:
        tags: IOB2 tags of each sentence. An `I-` that continues no entity begins none.
        document_ids: The document of each sentence. A document's sentences are taken in the order given.

    Returns:
        Spans in words of the document, by document in the order of their first sentences; a document without an entity
        has an empty list.

    Raises:
        ValueError: There are not as many documents as sentences.
    """
    found: dict[str, list[Span]] = {}
    words: dict[str, int] = {}
    for sentence, document_id in zip(tags, document_ids, strict=True):
        offset = words.get(document_id, 0)
        spans = found.setdefault(document_id, [])
        spans += [(label, start + offset, end + offset) for label, start, end in entity_spans(sentence)]
        words[document_id] = offset + len(sentence)
    return found


def ordered_spans(spans: Iterable[Span]) -> list[Span]:
    """Return the spans of one document by start, end and type, each once.

    Raises:
        ValueError: A span holds nothing.
    """
    found = sorted(set(map(tuple, spans)), key=lambda span: (span[1], span[2], span[0]))
    if any(end <= start for _, start, end in found):
        raise ValueError("a span ends where it starts or before")
    return found


def entity_types(*systems: Documents) -> list[str]:
    """Return the types that occur in any of the systems' documents, sorted."""
    return sorted({span[0] for documents in systems for spans in documents for span in spans})


def type_numbers(labels: Sequence[str], documents: Documents) -> dict[str, int]:
    """Return the number of each type.

    Raises:
        ValueError: A document has a type that is not among the labels.
    """
    unknown = set(entity_types(documents)) - set(labels)
    if unknown:
        raise ValueError(f"entities of types that are not among the labels: {', '.join(sorted(unknown))}")
    return {label: number for number, label in enumerate(labels)}


def strict_counts(gold: Documents, predicted: Documents, labels: Sequence[str]) -> np.ndarray:
    """Count the entities of each document and type. The same span given twice counts once.

    Args:
        gold: Spans of each document.
        predicted: Spans of the same documents in the same order.
        labels: All types.

    Returns:
        `(documents, types, 3)` int64: true positives, predicted and gold entities.

    Raises:
        ValueError: The numbers of documents differ, or a type is not among the labels.
    """
    numbers = type_numbers(labels, [*gold, *predicted])
    counts = np.zeros((len(gold), len(labels), len(COUNTS)), dtype=np.int64)
    for row, true, said in zip(counts, gold, predicted, strict=True):
        true, said = set(ordered_spans(true)), set(ordered_spans(said))
        for column, spans in enumerate((true & said, said, true)):
            for label, _, _ in spans:
                row[numbers[label], column] += 1
    return counts


def scores_by_type(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return `precision`, `recall` and `f1` of each type; 0 where a share has nothing to divide by.

    Args:
        counts: `(..., types, 3)`, summed over documents.

    Returns:
        Arrays `(..., types)`.
    """
    hits, said, true = (counts[..., column] for column in range(len(COUNTS)))
    return {"precision": ratio(hits, said), "recall": ratio(hits, true), "f1": ratio(2 * hits, said + true)}


def strict_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Average the scores over the types.

    Micro scores are those of all entities together. Macro scores weigh every type alike that has a gold or a predicted
    entity, so a type that is only predicted counts as 0, as in seqeval. Weighted scores weigh by gold entities. Without
    any entity all are 0, where seqeval's macro scores are not a number.

    Args:
        counts: `(..., types, 3)`, summed over documents.

    Returns:
        `STRICT_METRICS`, arrays `(...)`.
    """
    together = scores_by_type(counts.sum(-2, keepdims=True))
    each = scores_by_type(counts)
    present = counts[..., 1] + counts[..., 2] > 0
    found = {f"{name}_micro": values[..., 0] for name, values in together.items()}
    for average, weights in (("macro", present), ("weighted", counts[..., 2])):
        for name, values in each.items():
            found[f"{name}_{average}"] = ratio((values * weights).sum(-1), weights.sum(-1))
    return found


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide; 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=np.asarray(whole) > 0)

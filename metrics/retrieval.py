"""Retrieval of documents of the same category, by cosine."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from metrics.blocks import UnitVectors
from metrics.category_moments import categorised
from metrics.document_intervals import mean_over_documents
from metrics.measured import Measured
from metrics.neighbours import nearest_neighbours

# Cosines closer than this are a tie: float32 products differ by less with the place in a block.
_TIE = 2.0**-20
_COSINES = 2**22


def category_retrieval(
    embeddings: np.ndarray,
    categories: np.ndarray,
    ks: Sequence[int] = (1, 10),
    seed: int = 0,
    neighbours: np.ndarray | None = None,
) -> dict[str, Measured]:
    """Let each document ask for the others of its category.

    Documents alone in their category have nothing to ask for; they are found by others, but no query.

    Args:
        embeddings: `(documents, hidden)`; those of length zero are left out.
        categories: `(documents,)`; documents with negative numbers are left out.
        ks: Depths of recall, and, from 2 on, of nDCG; cut to the documents there are.
        seed: Of the intervals.
        neighbours: `(documents, max(ks) or more)` rows of the nearest neighbours by cosine among all documents, if they
            are known; used where no document is left out.

    Returns:
        `retrieval_map`, mean average precision over the whole ranking, documents with the same cosine (within a
        millionth) sharing the last of their ranks as in scikit-learn's `average_precision_score`;
        `retrieval_recall_at_K`, the share of queries with a document of their category among the first `K` (Musgrave
        et al. 2020), and `retrieval_ndcg_at_K`, with gains of 0 and 1, ties by row. Not a number without queries.

    Raises:
        ValueError: See `checked` and `checked_categories`; or a depth is below 1.
    """
    if not ks or min(ks) < 1:
        raise ValueError("depths of retrieval are at least 1")
    vectors, numbers = categorised(embeddings, categories)
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    names = ["retrieval_map", *(f"retrieval_recall_at_{k}" for k in ks)]
    names += [f"retrieval_ndcg_at_{k}" for k in ks if k > 1]
    relevant = counts[places] - 1 if len(places) else np.zeros(0, dtype=np.int64)
    queries = relevant > 0
    if not queries.any():
        return {name: Measured(math.nan) for name in names}
    if neighbours is None or len(vectors) < len(vectors.embeddings) or neighbours.shape[1] < max(ks):
        neighbours = nearest_neighbours(vectors.embeddings[vectors.rows], max(ks)).indices
    hits = places[neighbours] == places[:, None]
    of_query = {"retrieval_map": average_precisions(vectors, places)}
    for k in ks:
        of_query[f"retrieval_recall_at_{k}"] = hits[:, :k].any(1).astype(np.float64)
        if k > 1:
            of_query[f"retrieval_ndcg_at_{k}"] = _ndcg(hits[:, :k], relevant)
    return {name: mean_over_documents(of_query[name][queries], seed) for name in names}


def average_precisions(vectors: UnitVectors, places: np.ndarray) -> np.ndarray:
    """Return the average precision of each document's ranking of all others (Manning et al. 2008, section 8.4).

    Args:
        vectors: The documents.
        places: `(documents,)` categories from 0.

    Returns:
        `(documents,)`; 0 for a document alone in its category.
    """
    documents = len(vectors)
    # By category, so that those of one lie side by side.
    order = np.argsort(places, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(places))])
    found = np.zeros(documents)
    step = max(1, _COSINES // documents)
    width = max(1, _COSINES // max(1, vectors.hidden))
    steps = np.empty((min(step, documents), documents), dtype=np.float32)
    for start in range(0, documents, step):
        asking = order[start : start + step]
        block, cosines = vectors.at(asking, np.float32), steps[: len(asking)]
        for first in range(0, documents, width):
            columns = order[first : first + width]
            cosines[:, first : first + len(columns)] = block @ vectors.at(columns, np.float32).T
        cosines /= np.float32(_TIE)
        np.rint(cosines, out=cosines)
        cosines[np.arange(len(asking)), start + np.arange(len(asking))] = -np.inf
        own = [
            np.sort(cosines[row, slice(*starts[places[query] : places[query] + 2])])[1:]
            for row, query in enumerate(asking)
        ]
        cosines.sort(axis=1)
        for row, (query, wanted) in enumerate(zip(asking, own, strict=True)):
            if len(wanted):
                # Documents, and among them wanted ones, that lie as high or higher.
                all_above = documents - np.searchsorted(cosines[row], wanted, side="left")
                wanted_above = len(wanted) - np.searchsorted(wanted, wanted, side="left")
                found[query] = (wanted_above / all_above).mean()
    return found


def _ndcg(hits: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Return the normalised discounted cumulative gain of hits in order of rank, `(documents, depth)`."""
    discounts = 1 / np.log2(np.arange(hits.shape[1]) + 2)
    ideal = np.concatenate([[1.0], np.cumsum(discounts)])[np.minimum(relevant, hits.shape[1])]
    return hits @ discounts / ideal

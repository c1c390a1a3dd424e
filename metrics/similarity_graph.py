"""Graphs of similar documents as sparse matrices: by cosine threshold, by nearest neighbours, by density.

Every function returns a symmetric `scipy.sparse.csr_array` `(documents, documents)` without loops whose stored values
are cosines (float32; a stored zero is an edge too). A document whose vector has length zero has no direction and is
joined to none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from metrics.neighbours import Neighbours, nearest_neighbours
from metrics.similarity_pairs import CosineRanks, EdgeCollector, reachable, scan_pairs, unit_documents

if TYPE_CHECKING:
    from scipy.sparse import csr_array

MAX_EDGES = 2_000_000  # 32 MB as a sparse matrix; about 150 MB while it is made


def threshold_graph(embeddings: np.ndarray, threshold: float, max_edges: int = MAX_EDGES) -> csr_array:
    """Join the documents whose cosine is at or above a threshold.

    Args:
        embeddings: `(documents, hidden)`.
        threshold: Compared as float32.
        max_edges: The most edges to hold in memory.

    Raises:
        ValueError: More edges than that; or not a matrix of finite values.
    """
    unit, rows = unit_documents(embeddings)
    return _threshold_graph(unit, rows, len(embeddings), reachable(threshold), max_edges)


def density_graph(embeddings: np.ndarray, density: float, max_edges: int = MAX_EDGES) -> csr_array:
    """Join the most similar pairs of documents, a given share of all pairs.

    Args:
        embeddings: `(documents, hidden)`.
        density: Share of the `n (n - 1) / 2` pairs, from 0 to 1; pairs as similar as the last one are joined too.
        max_edges: The most edges to hold in memory.

    Raises:
        ValueError: More edges than that, or a density that is none; or not a matrix of finite values.
    """
    wanted = edges_of_density(len(embeddings), density)
    if wanted > max_edges:
        raise ValueError(
            f"a density of {density:g} among {len(embeddings):,} documents is {wanted:,} edges, more than max_edges "
            f"({max_edges:,})"
        )
    unit, rows = unit_documents(embeddings)
    threshold = density_thresholds(unit, [wanted])[0]
    return _threshold_graph(unit, rows, len(embeddings), threshold, max_edges)


def knn_graph(embeddings: np.ndarray, k: int, mutual: bool = False) -> csr_array:
    """Join each document to its `k` nearest by cosine.

    Args:
        embeddings: `(documents, hidden)`.
        k: Neighbours; all others when there are fewer.
        mutual: Only where each is among the nearest of the other; otherwise where at least one is.

    Raises:
        ValueError: `k` below 1; or not a matrix of finite values.
    """
    return neighbour_graph(nearest_neighbours(embeddings, k), mutual)


def edges_of_density(documents: int, density: float) -> int:
    """Return how many pairs a share of all pairs is."""
    if not 0 <= density <= 1:
        raise ValueError(f"density {density:g} is no share between 0 and 1")
    return round(density * (documents * (documents - 1) // 2))


def density_thresholds(unit: np.ndarray, edges: Sequence[int]) -> list[float]:
    """Return the cosine of the last pair when so many of the most similar pairs are joined; exact, in two scans.

    Args:
        unit: Of `unit_documents`.
        edges: Each a number of pairs; infinity stands for no pair, and more than there are gives the lowest cosine.
    """
    pairs = len(unit) * (len(unit) - 1) // 2
    ranks = [min(number, pairs) for number in edges]
    asked = sorted({rank for rank in ranks if rank})
    if not asked:
        return [math.inf] * len(ranks)
    reader = CosineRanks(asked)
    scan_pairs(unit, [reader])
    reader.refine()
    scan_pairs(unit, [reader])
    found = dict(zip(asked, reader.cosines(), strict=True))
    return [found.get(rank, math.inf) for rank in ranks]


def neighbour_graph(neighbours: Neighbours, mutual: bool = False) -> csr_array:
    """Make the graph of neighbours by cosine that were found already; see `knn_graph`."""
    documents, k = neighbours.indices.shape
    source, target = np.repeat(np.arange(documents), k), neighbours.indices.ravel()
    found = target >= 0
    source, target = source[found], target[found]
    # One number for a pair in either direction.
    keys = np.minimum(source, target) * documents + np.maximum(source, target)
    pairs, place, times = np.unique(keys, return_index=True, return_counts=True)
    if mutual:
        pairs, place = pairs[times == 2], place[times == 2]
    cosines = np.clip(neighbours.scores.ravel()[found][place], -1.0, 1.0)
    first, second = np.divmod(pairs, max(1, documents))
    return symmetric_graph(first, second, cosines, documents)


def symmetric_graph(first: np.ndarray, second: np.ndarray, cosines: np.ndarray, documents: int) -> csr_array:
    """Return the sparse matrix of edges that are each given once."""
    from scipy.sparse import csr_array

    ends = (np.concatenate([first, second]).astype(np.int32), np.concatenate([second, first]).astype(np.int32))
    graph = csr_array((np.concatenate([cosines, cosines]), ends), shape=(documents, documents))
    graph.sort_indices()
    return graph


def _threshold_graph(unit: np.ndarray, rows: np.ndarray, documents: int, threshold: float, max_edges: int) -> csr_array:
    if math.isnan(threshold):
        raise ValueError("the threshold is not a number")
    collector = EdgeCollector([max(threshold, -1.0)], max_edges)
    scan_pairs(unit, [collector])
    if math.isinf(collector.threshold) and not math.isinf(threshold):
        raise ValueError(
            f"more than max_edges ({max_edges:,}) of the pairs of {documents:,} documents have a cosine of "
            f"{threshold:g} or more; raise the threshold"
        )
    first, second, cosines = collector.edges()
    return symmetric_graph(rows[first], rows[second], cosines, documents)

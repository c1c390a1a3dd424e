"""Triangles of a sparse graph, counted in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BLOCK_STEPS = 5_000_000  # entries of a sparse product at once, at most: some 60 MB
DENSE_DOCUMENTS = 4_096  # 64 MiB as a dense matrix
# How many multiplications of a dense product take as long as one step of a sparse product.
_DENSE_SPEED = 100


def wedge_work(degrees: np.ndarray) -> int:
    """Return the steps that counting takes from `(documents,)` degrees: the dense product's where that is less."""
    sparse = int((degrees.astype(np.int64) ** 2).sum())
    return min(sparse, _dense_steps(degrees))


def _dense_steps(degrees: np.ndarray) -> int:
    members = int((degrees > 1).sum())
    return members**3 // _DENSE_SPEED if members <= DENSE_DOCUMENTS else 2**62


def triangles(graph: csr_array) -> np.ndarray:
    """Return in how many triangles each document is: half the diagonal of the cubed adjacency matrix.

    Args:
        graph: `(documents, documents)` symmetric without loops; every stored value is an edge.

    Returns:
        `(documents,)`.
    """
    from scipy.sparse import csr_array

    degrees = np.diff(graph.indptr).astype(np.int64)
    counts = np.zeros(len(degrees), dtype=np.int64)
    members = np.flatnonzero(degrees > 1)
    if not len(members):
        return counts
    pattern = csr_array((np.ones(graph.nnz, dtype=np.int32), graph.indices, graph.indptr), shape=graph.shape)
    pattern = csr_array(pattern[members][:, members])
    sparse = int((np.diff(pattern.indptr).astype(np.int64) ** 2).sum())
    if _dense_steps(degrees) < sparse:
        # Whole numbers up to 4,096, which float32 holds exactly.
        dense = pattern.astype(np.float32).toarray()
        counts[members] = np.einsum("ij,ij->i", dense @ dense, dense, dtype=np.float64).astype(np.int64) // 2
        return counts
    # Row i of the product takes as many steps as its neighbours have neighbours.
    steps = np.cumsum(pattern @ np.diff(pattern.indptr).astype(np.int64))
    start = 0
    while start < len(members):
        done = steps[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(steps, done + BLOCK_STEPS, side="right")))
        rows = pattern[start:stop]
        counts[members[start:stop]] = (rows @ pattern).multiply(rows).sum(axis=1) // 2
        start = stop
    return counts


def local_clustering(counts: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """Return the share of each document's pairs of partners that are joined; 0 with fewer than two, as in networkx.

    Args:
        counts: `(documents,)` triangles.
        degrees: `(documents,)`.
    """
    pairs = degrees * (degrees - 1) // 2
    return np.divide(counts, pairs, out=np.zeros(len(counts)), where=pairs > 0)

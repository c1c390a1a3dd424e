"""Exact nearest neighbours, block by block.

Cosines are multiplied in float32, which is fast and decides nearly everything. The candidates are then compared in
float64, and a document for which float32 may have left out a neighbour is compared with all others in float64.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from metrics.blocks import Tile, UnitVectors, centre_and_scale, checked, pair_tiles, row_blocks

Metric = Literal["cosine", "euclidean"]
_SPARE = 8
# More than twice what rounding does to a float32 cosine of unit vectors.
_DOUBT = 2e-6
# Closer than this is a tie, which the lower index wins: float64 products differ by 1e-15 with the place in a block.
_TIE = 1e-12
_GATHERED_NUMBERS = 2**22
_WIDEST_MERGE = 64


class Neighbours(NamedTuple):
    """The nearest documents of each document, nearest first.

    Args:
        indices: `(documents, k)` int64 rows; -1 for documents of length zero, which have no direction.
        scores: `(documents, k)` float32 cosines or distances; not a number for those.
    """

    indices: np.ndarray
    scores: np.ndarray


def nearest_neighbours(embeddings: np.ndarray, k: int, metric: Metric = "cosine") -> Neighbours:
    """Find the `k` nearest documents of each, itself left out; of equally near ones the lower row comes first.

    Args:
        embeddings: `(documents, hidden)`.
        k: How many; cut to the other documents there are (that have a direction, for `cosine`).
        metric: `cosine`, largest first, for which documents of length zero have no neighbours and are none; or
            `euclidean` distance, smallest first.

    Returns:
        Rows and scores.

    Raises:
        ValueError: `k` is below 1, the metric is unknown, or an embedding is not finite.
    """
    if k < 1:
        raise ValueError(f"k is {k}, but at least one neighbour is needed")
    if metric == "euclidean":
        return _euclidean(checked(embeddings), k)
    if metric != "cosine":
        raise ValueError(f"no metric {metric!r}; choose cosine or euclidean")
    vectors = UnitVectors(embeddings)
    search = NeighbourSearch(vectors, k)
    for tile in pair_tiles(vectors):
        search.add(tile)
    return search.result()


class NeighbourSearch:
    """Collects the nearest neighbours while the tiles of `pair_tiles` pass by.

    Args:
        vectors: What the tiles are made of.
        k: How many neighbours; cut to the documents there are.
    """

    def __init__(self, vectors: UnitVectors, k: int) -> None:
        self._vectors = vectors
        self.k = max(0, min(k, len(vectors) - 1))
        self._kept = max(0, min(k + _SPARE, len(vectors) - 1))
        self._scores = np.full((len(vectors), self._kept), -np.inf, dtype=np.float32)
        self._positions = np.full((len(vectors), self._kept), -1, dtype=np.int64)

    def add(self, tile: Tile) -> None:
        """Take in a tile."""
        if not self._kept:
            return
        values = tile.values
        if tile.diagonal:
            values = values.copy()
            np.fill_diagonal(values, -np.inf)
        self._take(values, tile.start, tile.column_start)
        if not tile.diagonal:
            self._take(values.T, tile.column_start, tile.start)

    def _take(self, values: np.ndarray, start: int, other_start: int) -> None:
        """Merge `(documents, others)` cosines into what is kept of the documents from `start`."""
        worst = self._scores[start : start + len(values), -1]
        # Columns of a tile come transposed: the order of memory is then that of the others.
        by_row = values.flags.c_contiguous
        better = values > worst[:, None] if by_row else worst < values.T
        total = np.count_nonzero(better)
        if not total:
            return
        if total > _WIDEST_MERGE * len(values):
            self._take_best(values, start, other_start)
            return
        place, other = np.divmod(np.flatnonzero(better), better.shape[1])
        if not by_row:
            place, other = other, place
        counts = np.bincount(place, minlength=len(values))
        if counts.max() > _WIDEST_MERGE:
            self._take_best(values, start, other_start)
            return
        order = np.argsort(place, kind="stable")
        place, other = place[order], other[order]
        changed = np.flatnonzero(counts)
        row = np.repeat(np.arange(len(changed)), counts[changed])
        column = np.arange(len(place)) - np.repeat(np.cumsum(counts[changed]) - counts[changed], counts[changed])
        scores = np.full((len(changed), counts.max()), -np.inf, dtype=np.float32)
        positions = np.full(scores.shape, -1, dtype=np.int64)
        scores[row, column], positions[row, column] = values[place, other], other + other_start
        self._merge(changed + start, scores, positions)

    def _take_best(self, values: np.ndarray, start: int, other_start: int) -> None:
        """Merge the best of a tile, an early one of which nearly all are better than nothing."""
        values, width = np.ascontiguousarray(values), min(self._kept, values.shape[1])
        found = np.argpartition(values, values.shape[1] - width, axis=1)[:, values.shape[1] - width :]
        self._merge(np.arange(len(values)) + start, np.take_along_axis(values, found, 1), found + other_start)

    def _merge(self, documents: np.ndarray, scores: np.ndarray, positions: np.ndarray) -> None:
        scores = np.concatenate([self._scores[documents], scores], axis=1)
        positions = np.concatenate([self._positions[documents], positions], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._kept]
        self._scores[documents] = np.take_along_axis(scores, order, 1)
        self._positions[documents] = np.take_along_axis(positions, order, 1)

    def result(self) -> Neighbours:
        """Return the neighbours, once every tile has been added; rows are those of the embeddings."""
        documents = len(self._vectors.embeddings)
        width = max(0, min(self.k, documents - 1))
        indices = np.full((documents, width), -1, dtype=np.int64)
        scores = np.full((documents, width), np.nan, dtype=np.float32)
        if not self.k:
            return Neighbours(indices, scores)
        step = max(1, _GATHERED_NUMBERS // (self._kept * max(1, self._vectors.hidden)))
        for start in range(0, len(self._vectors), step):
            stop = min(start + step, len(self._vectors))
            positions, cosines = self._compare(start, stop)
            rows = self._vectors.rows[start:stop]
            indices[rows], scores[rows] = self._vectors.rows[positions], cosines
        return Neighbours(indices, scores)

    def _compare(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        candidates = self._positions[start:stop]
        own = self._vectors.block(start, stop, np.float64)
        cosines = self._vectors.cosines(own, candidates)
        positions, best = _first(candidates, cosines, self.k)
        if self._kept < len(self._vectors) - 1:
            # What was left out lies at most as high as the lowest that was kept, but for rounding.
            doubtful = np.flatnonzero(best[:, -1] < self._scores[start:stop, -1] + _DOUBT)
            step = max(1, _GATHERED_NUMBERS // len(self._vectors))
            for part in np.split(doubtful, range(step, len(doubtful), step)):
                if len(part):
                    positions[part], best[part] = self._compare_with_all(own[part], part + start)
        return positions, best

    def _compare_with_all(self, own: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cosines = np.empty((len(own), len(self._vectors)))
        for start, stop, block in self._vectors.blocks():
            np.matmul(own, block.T, out=cosines[:, start:stop])
        cosines[np.arange(len(own)), positions] = -np.inf
        return _first(np.broadcast_to(np.arange(len(self._vectors)), cosines.shape), cosines, self.k)


def _first(positions: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the `k` highest of each row, ties in order of position."""
    steps = np.rint(scores / _TIE)
    if scores.shape[1] > 4 * (k + _SPARE):
        lowest = np.partition(steps, -k, axis=1)[:, -k]
        chosen = [_sorted(positions[row], steps[row], steps[row] >= lowest[row], k) for row in range(len(steps))]
        order = np.stack(chosen)
    else:
        order = np.lexsort((positions, -steps), axis=1)[:, :k]
    return np.take_along_axis(positions, order, 1), np.take_along_axis(scores, order, 1)


def _sorted(positions: np.ndarray, steps: np.ndarray, chosen: np.ndarray, k: int) -> np.ndarray:
    places = np.flatnonzero(chosen)
    return places[np.lexsort((positions[places], -steps[places]))[:k]]


def _euclidean(matrix: np.ndarray, k: int) -> Neighbours:
    """Compare in float64 throughout: squared lengths cancel where distances are small beside them."""
    documents = len(matrix)
    k = max(0, min(k, documents - 1))
    indices = np.full((documents, k), -1, dtype=np.int64)
    scores = np.full((documents, k), np.nan, dtype=np.float32)
    if not k:
        return Neighbours(indices, scores)
    centre, scale = centre_and_scale(matrix)
    scale = scale if math.isfinite(scale) else 1.0
    step = max(1, min(documents, 2 * _GATHERED_NUMBERS // documents))
    kept = min(k + _SPARE, documents - 1)
    for start in range(0, documents, step):
        stop = min(start + step, documents)
        own = (matrix[start:stop] - centre) / scale
        near = np.empty((stop - start, documents))
        for first, last in row_blocks(matrix):
            others = (matrix[first:last] - centre) / scale
            # Minus half the squared distance, but for the length of the row itself.
            near[:, first:last] = own @ others.T - 0.5 * np.einsum("ij,ij->i", others, others)
        near[np.arange(stop - start), np.arange(start, stop)] = -np.inf
        everyone = np.broadcast_to(np.arange(documents), near.shape)
        candidates, _ = _first(everyone, near, kept)
        part = max(1, _GATHERED_NUMBERS // (kept * max(1, matrix.shape[1])))
        for first in range(0, stop - start, part):
            last = min(first + part, stop - start)
            rows = candidates[first:last]
            others = (matrix[rows] - centre) / scale
            distances = np.sqrt(np.square(others - own[first:last, None]).sum(-1))
            found, nearest = _first(rows, -distances, k)
            indices[start + first : start + last] = found
            scores[start + first : start + last] = -nearest * scale
    return Neighbours(indices, scores)

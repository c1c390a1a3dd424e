"""All pairs of documents, block by block, for whatever counts, collects or joins them.

Similarity graphs of `n` documents have up to `n (n - 1) / 2` edges; the matrix of 20,000 documents would take 1.6 GB.
Here each block of rows meets all later rows once, and everything that wants the pairs reads the block while it is
there, so that one pass serves several. Blocks are strips as wide as there are later documents, unlike the square tiles
of `metrics.blocks`: the spanning tree looks at whole rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from metrics.blocks import UnitVectors

BLOCK_VALUES = 2**22  # cosines in memory at once: 16 MiB


# Equal documents have cosines that differ from 1 by the rounding of float32, some to one side and some to the other.
EQUAL = 1 - 5e-7


def reachable(threshold: float) -> float:
    """Return the threshold that joins all documents that one of 1 is meant to join; others stay as they are."""
    return EQUAL if EQUAL < threshold <= 1 else threshold


class PairReader(Protocol):
    """What `scan_pairs` hands its blocks to."""

    def add(self, first: int, cosines: np.ndarray) -> None:
        """Read a block.

        Args:
            first: Row number of the block's first row and first column.
            cosines: `(rows, documents - first)` float32, -inf on and below the diagonal; not to be written to.
        """


def unit_documents(embeddings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors of the documents that have a direction.

    Args:
        embeddings: `(documents, hidden)`.

    Returns:
        `(kept, hidden)` float32, and their row numbers `(kept,)`: vectors of length zero are left out.

    Raises:
        ValueError: Not a matrix, or a value is not finite.
    """
    vectors = UnitVectors(embeddings)
    unit = np.empty((len(vectors), vectors.hidden), dtype=np.float32)
    for start, stop, block in vectors.blocks(np.float32):
        unit[start:stop] = block
    return unit, vectors.rows


def scan_pairs(unit: np.ndarray, readers: Sequence[PairReader], block_values: int = BLOCK_VALUES) -> None:
    """Show every pair of documents to every reader, once.

    The same vectors give the same cosines to the last bit in every scan, so that a second scan finds again what a first
    one counted.

    Args:
        unit: `(documents, hidden)` float32 of length one.
        readers: What to show them to.
        block_values: Cosines of a block.
    """
    documents, start = len(unit), 0
    while start < documents - 1:
        stop = min(documents, start + max(1, block_values // (documents - start)))
        cosines = unit[start:stop] @ unit[start:].T
        np.clip(cosines, -1.0, 1.0, out=cosines)
        cosines[:, : stop - start][np.tri(stop - start, dtype=bool)] = -np.inf
        for reader in readers:
            reader.add(start, cosines)
        start = stop


class EdgeCollector:
    """Keeps the pairs at or above a threshold, which rises when they are too many.

    Args:
        thresholds: Rising; the collector starts with the first.
        max_edges: More pairs than this make it go on to the next threshold.
    """

    def __init__(self, thresholds: Sequence[float] | np.ndarray, max_edges: int) -> None:
        self._thresholds = [np.float32(threshold) for threshold in thresholds]
        self._max_edges = max_edges
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._held = 0

    @property
    def threshold(self) -> float:
        """The threshold that it has come to; infinite when even the last one had too many pairs."""
        return float(self._thresholds[0]) if self._thresholds else np.inf

    def add(self, first: int, cosines: np.ndarray) -> None:
        """Read a block of `scan_pairs`."""
        if not self._thresholds:
            return
        rows, columns = np.nonzero(cosines >= self._thresholds[0])
        if not len(rows):
            return
        self._parts.append(
            ((rows + first).astype(np.int32), (columns + first).astype(np.int32), cosines[rows, columns])
        )
        self._held += len(rows)
        while self._held > self._max_edges and self._thresholds:
            self._thresholds.pop(0)
            self._parts = [tuple(values[part[2] >= self.threshold] for values in part) for part in self._parts]
            self._held = sum(len(part[2]) for part in self._parts)

    def edges(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the smaller and the larger row number and the cosine of every pair kept, each `(edges,)`."""
        if not self._parts:
            return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32)
        return tuple(np.concatenate(values) for values in zip(*self._parts, strict=True))


class ThresholdCounts:
    """Counts, for each threshold, the partners of every document and the pairs within categories.

    Args:
        thresholds: A pair counts where its cosine is at or above.
        categories: `(documents,)` numbers, rising, with those of no category (-1) at the end.
    """

    def __init__(self, thresholds: Sequence[float] | np.ndarray, categories: np.ndarray) -> None:
        self._thresholds = [np.float32(threshold) for threshold in thresholds]
        self._categories = categories
        self.known = int((categories >= 0).sum())
        """Documents with a category."""
        self.degrees = np.zeros((len(self._thresholds), len(categories)), dtype=np.int64)
        """`(thresholds, documents)` partners."""
        self.known_degrees = self.degrees[:, : self.known]
        """`(thresholds, known)` partners that have a category, of the documents that have one."""
        if self.known < len(categories):
            self.known_degrees = np.zeros((len(self._thresholds), self.known), dtype=np.int64)
        self.within = np.zeros(len(self._thresholds), dtype=np.int64)
        """`(thresholds,)` pairs within a category."""

    def add(self, first: int, cosines: np.ndarray) -> None:
        """Read a block of `scan_pairs`."""
        squares = self._category_squares(first, len(cosines))
        known = max(0, self.known - first)
        for index, threshold in enumerate(self._thresholds):
            joined = cosines >= threshold
            _add_degrees(self.degrees[index], first, joined)
            if self.known < len(self._categories) and known:
                _add_degrees(self.known_degrees[index], first, joined[:known, :known])
            self.within[index] += sum(int(np.count_nonzero(joined[square])) for square in squares)

    def _category_squares(self, first: int, rows: int) -> list[tuple[slice, slice]]:
        """Return where in a block both documents have the same category."""
        present = self._categories[first : min(first + rows, self.known)]
        if not len(present):
            return []
        starts = np.flatnonzero(np.diff(present, prepend=-1))
        ends = np.append(starts[1:], len(present))
        stops = np.searchsorted(self._categories[: self.known], present[starts], side="right") - first
        return [(slice(start, end), slice(start, stop)) for start, end, stop in zip(starts, ends, stops, strict=True)]


def _add_degrees(degrees: np.ndarray, first: int, joined: np.ndarray) -> None:
    ones = joined.view(np.uint8)  # which numpy sums several times faster than truth values
    degrees[first : first + len(joined)] += ones.sum(1, dtype=np.int32)
    degrees[first : first + joined.shape[1]] += ones.sum(0, dtype=np.int32)


class CosineRanks:
    """Finds the cosine of given rank, exactly, in two scans: first the upper, then the lower 16 bits of the number.

    Args:
        ranks: 1 for the highest cosine.
    """

    def __init__(self, ranks: Sequence[int]) -> None:
        self._ranks = list(ranks)
        self._upper = np.zeros(2**16, dtype=np.int64)
        self._lower: dict[int, np.ndarray] = {}

    def add(self, first: int, cosines: np.ndarray) -> None:
        """Read a block of `scan_pairs`, of the second scan once `refine` was called."""
        keys = _ordered_keys(cosines)
        upper = keys >> 16
        if not self._lower:
            self._upper += np.bincount(upper.ravel(), minlength=2**16)
            self._upper[_NO_PAIR >> 16] = 0
        for bin_, counts in self._lower.items():
            counts += np.bincount(keys[upper == bin_] & 0xFFFF, minlength=2**16)

    def refine(self) -> None:
        """Go on to the second scan."""
        self._lower = {_bin_of_rank(self._upper, rank)[0]: np.zeros(2**16, np.int64) for rank in self._ranks}

    def cosines(self) -> list[float]:
        """Return the cosine of each rank."""
        found = []
        for rank in self._ranks:
            upper, remaining = _bin_of_rank(self._upper, rank)
            lower, _ = _bin_of_rank(self._lower[upper], remaining)
            found.append(_cosine_of_key(upper << 16 | lower))
        return found


def _bin_of_rank(counts: np.ndarray, rank: int) -> tuple[int, int]:
    """Return the bin of the `rank`-th highest value, and its rank within it."""
    from_top = np.cumsum(counts[::-1])
    place = int(np.searchsorted(from_top, rank))
    above = int(from_top[place - 1]) if place else 0
    return len(counts) - 1 - place, rank - above


def _ordered_keys(values: np.ndarray) -> np.ndarray:
    """Return uint32 numbers in the order of the float32 values."""
    bits = values.view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))


def _cosine_of_key(key: int) -> float:
    bits = key & 0x7FFFFFFF if key >> 31 else ~key & 0xFFFFFFFF
    return float(np.array([bits], dtype=np.uint32).view(np.float32)[0])


_NO_PAIR = int(_ordered_keys(np.array([-np.inf], dtype=np.float32))[0])

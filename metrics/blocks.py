"""Reading embeddings block by block: checked, scaled to unit length, and multiplied tile by tile.

Everything that looks at pairs of documents goes through `pair_tiles`, so that memory beyond the embeddings is that of
a few tiles, whether they lie in memory or in a file that is memory-mapped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

TILE_ROWS = 2_048
_BLOCK_NUMBERS = 2**22
EQUAL = 1e-12
"""Numbers that differ by less, beside their size, are equal."""


def checked(embeddings: np.ndarray) -> np.ndarray:
    """Return the embeddings as a matrix of finite real numbers; nothing is copied, a memory map stays one.

    Args:
        embeddings: `(documents, hidden)`, any real dtype.

    Raises:
        ValueError: They are no matrix, no real numbers, or a number is not finite; the message names the row.
    """
    matrix = np.asarray(embeddings)
    if matrix.ndim != 2:
        raise ValueError(f"embeddings have {matrix.ndim} dimensions where documents and numbers make two")
    if matrix.dtype.kind not in "fiu":
        raise ValueError(f"embeddings of type {matrix.dtype} are not real numbers")
    if matrix.dtype.kind == "f":
        for start, stop in row_blocks(matrix):
            finite = np.isfinite(matrix[start:stop]).all(1)
            if not finite.all():
                raise ValueError(f"the embedding in row {start + int(finite.argmin()):,} (from 0) is not finite")
    return matrix


def checked_categories(categories: np.ndarray, documents: int) -> np.ndarray:
    """Return the categories as `(documents,)` int64.

    Raises:
        ValueError: They are not whole numbers, one for each document.
    """
    numbers = np.asarray(categories)
    if numbers.shape != (documents,):
        raise ValueError(f"categories of shape {numbers.shape} for {documents:,} documents")
    if numbers.size and numbers.dtype.kind not in "iu":
        raise ValueError(f"categories of type {numbers.dtype} are not whole numbers")
    return numbers.astype(np.int64)


def row_blocks(matrix: np.ndarray, rows: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield start and stop of consecutive rows, by default as many as make 32 MB in float64.

    Args:
        matrix: `(documents, hidden)`.
        rows: Rows of a block.
    """
    rows = rows or max(1, _BLOCK_NUMBERS // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), rows):
        yield start, min(start + rows, len(matrix))


def row_lengths(embeddings: np.ndarray) -> np.ndarray:
    """Return the Euclidean length of each row, `(documents,)` float64, without overflow of large or small numbers."""
    lengths = np.zeros(len(embeddings))
    for start, stop in row_blocks(embeddings):
        block = embeddings[start:stop].astype(np.float64)
        largest = np.abs(block).max(1, initial=0.0)
        scale = np.where(largest > 0, largest, 1.0)
        block /= scale[:, None]
        lengths[start:stop] = np.sqrt(np.einsum("ij,ij->i", block, block)) * largest
    return lengths


def centre_and_scale(matrix: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the mean of the rows, `(hidden,)` float64, and the largest distance of any number from it.

    The scale is infinite where all rows are equal but for rounding, so that numbers divided by it vanish.

    Args:
        matrix: `(documents, hidden)`.
    """
    mean, largest, size = np.zeros(matrix.shape[1]), 0.0, 0.0
    for start, stop in row_blocks(matrix):
        mean += matrix[start:stop].sum(0, dtype=np.float64) / len(matrix)
    for start, stop in row_blocks(matrix):
        largest = max(largest, float(np.abs(matrix[start:stop] - mean).max(initial=0.0)))
        size = max(size, float(np.abs(matrix[start:stop]).max(initial=0.0)))
    return mean, largest if largest > EQUAL * size else math.inf


def zero_rows(embeddings: np.ndarray) -> np.ndarray:
    """Return which embeddings have length zero and so no direction, `(documents,)` bool."""
    return row_lengths(embeddings) == 0


def unit_rows(block: np.ndarray, dtype: type = np.float64) -> np.ndarray:
    """Return the rows scaled to length one; rows of zeros stay zero.

    Args:
        block: `(documents, hidden)`; all of it is held in memory.
        dtype: Of the result.
    """
    return _scaled(np.asarray(block), row_lengths(block), dtype)


class UnitVectors:
    """The embeddings that have a direction, scaled to length one when they are asked for.

    Positions count the rows that are left, in their order.

    Args:
        embeddings: `(documents, hidden)`.
        rows: Which documents to take, increasing; all by default. Those of length zero are left out.

    Raises:
        ValueError: See `checked`.
    """

    def __init__(self, embeddings: np.ndarray, rows: np.ndarray | None = None) -> None:
        self.embeddings = checked(embeddings)
        lengths = row_lengths(self.embeddings)
        kept = lengths > 0
        if rows is not None:
            chosen = np.zeros(len(kept), dtype=bool)
            chosen[rows] = True
            kept &= chosen
        self.rows = np.flatnonzero(kept)
        self._lengths = lengths[self.rows]
        self._all = len(self.rows) == len(lengths)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def hidden(self) -> int:
        """Length of an embedding."""
        return self.embeddings.shape[1]

    def block(self, start: int, stop: int, dtype: type = np.float32) -> np.ndarray:
        """Return the unit vectors at these positions, `(stop - start, hidden)`."""
        rows = slice(start, stop) if self._all else self.rows[start:stop]
        return _scaled(self.embeddings[rows], self._lengths[start:stop], dtype)

    def at(self, positions: np.ndarray, dtype: type = np.float64) -> np.ndarray:
        """Return the unit vectors at any positions, `(*positions.shape, hidden)`."""
        flat = np.asarray(positions).ravel()
        vectors = _scaled(self.embeddings[self.rows[flat]], self._lengths[flat], dtype)
        return vectors.reshape(*np.shape(positions), self.hidden)

    def cosines(self, own: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Return the cosines of documents with others of each one's own, in float64.

        Args:
            own: `(documents, hidden)` unit vectors, float64.
            positions: `(documents, others)`.

        Returns:
            `(documents, others)`.
        """
        vectors = self.embeddings[self.rows[positions]].astype(np.float64, copy=False)
        return np.matmul(vectors, own[:, :, None])[:, :, 0] / self._lengths[positions]

    def blocks(self, dtype: type = np.float64) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield start, stop and unit vectors of consecutive positions."""
        rows = max(1, _BLOCK_NUMBERS // max(1, self.hidden))
        for start in range(0, len(self), rows):
            stop = min(start + rows, len(self))
            yield start, stop, self.block(start, stop, dtype)

    def total(self) -> np.ndarray:
        """Return the sum of the unit vectors, `(hidden,)` float64."""
        total = np.zeros(self.hidden)
        for _, _, block in self.blocks():
            total += block.sum(0)
        return total


@dataclass(frozen=True)
class Tile:
    """Cosines of a block of documents with another block.

    Args:
        start: Position of the first row.
        column_start: Position of the first column, never before `start`; where they are equal the tile lies on the
            diagonal, is square and symmetric, and holds each pair twice and each document with itself.
        values: `(rows, columns)` float32. It is overwritten by the next tile, and readers may not change it.
    """

    start: int
    column_start: int
    values: np.ndarray

    @property
    def diagonal(self) -> bool:
        """Whether rows and columns are the same documents."""
        return self.start == self.column_start

    @property
    def stop(self) -> int:
        """Position after the last row."""
        return self.start + self.values.shape[0]

    @property
    def column_stop(self) -> int:
        """Position after the last column."""
        return self.column_start + self.values.shape[1]


def pair_tiles(vectors: UnitVectors, rows: int | None = None) -> Iterator[Tile]:
    """Yield the cosines of all pairs, the upper triangle tile by tile: each pair is multiplied once.

    For each document the others come in order of position, whether it is a row or a column.

    Args:
        vectors: The unit vectors.
        rows: Rows and columns of a tile; by default `TILE_ROWS`.
    """
    rows = rows or TILE_ROWS
    size = min(rows, len(vectors))
    space = np.empty((size, size), dtype=np.float32)
    for start in range(0, len(vectors), rows):
        first = vectors.block(start, min(start + rows, len(vectors)))
        for column_start in range(start, len(vectors), rows):
            stop = min(column_start + rows, len(vectors))
            second = first if column_start == start else vectors.block(column_start, stop)
            values = space.ravel()[: len(first) * len(second)].reshape(len(first), len(second))
            yield Tile(start, column_start, np.matmul(first, second.T, out=values))


def _scaled(block: np.ndarray, lengths: np.ndarray, dtype: type) -> np.ndarray:
    lengths = np.where(lengths > 0, lengths, 1.0)
    # In float64: the inverse of a length may not be a float32.
    return np.divide(block, lengths[:, None], dtype=np.float64).astype(dtype, copy=False)

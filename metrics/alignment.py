"""Alignment and uniformity (Wang and Isola 2020, Understanding Contrastive Representation Learning)."""

from __future__ import annotations

import math

import numpy as np

from metrics.blocks import Tile, UnitVectors, checked, pair_tiles, row_blocks, row_lengths, unit_rows
from metrics.category_moments import CategoryMoments, categorised, category_moments
from metrics.document_intervals import mean_over_documents, mean_over_pairs
from metrics.measured import Measured


def alignment(first: np.ndarray, second: np.ndarray, alpha: float = 2.0, seed: int = 0) -> Measured:
    """Return how near the embeddings of two parts of the same document lie (equation 6).

    Args:
        first: `(documents, hidden)`, scaled to unit length here.
        second: The same shape, the other part of each document.
        alpha: Power of the distance.
        seed: Of the interval.

    Returns:
        Mean of `|first - second| ** alpha` over the documents of which both parts have a direction; from 0 to 4 with
        `alpha` 2.

    Raises:
        ValueError: The shapes differ, or an embedding is not finite.
    """
    one, other = checked(first), checked(second)
    if one.shape != other.shape:
        raise ValueError(f"embeddings of shapes {one.shape} and {other.shape} make no pairs")
    kept = (row_lengths(one) > 0) & (row_lengths(other) > 0)
    distances = np.empty(len(one))
    for start, stop in row_blocks(one):
        difference = unit_rows(one[start:stop]) - unit_rows(other[start:stop])
        distances[start:stop] = np.sqrt(np.einsum("ij,ij->i", difference, difference))
    return mean_over_documents(distances[kept] ** alpha, seed)


def category_alignment(
    embeddings: np.ndarray,
    categories: np.ndarray,
    alpha: float = 2.0,
    seed: int = 0,
    moments: CategoryMoments | None = None,
) -> Measured:
    """Return how near the embeddings of documents of the same category lie (equation 6).

    Every pair of documents of one category counts alike, so that large categories weigh more.

    Args:
        embeddings: `(documents, hidden)`, scaled to unit length here; those of length zero are left out.
        categories: `(documents,)`; documents with negative numbers are left out.
        alpha: Power of the distance; 2 has a closed form, others look at all pairs of each category.
        seed: Of the interval.
        moments: Of these documents, if they are known.

    Returns:
        Mean of `|u - v| ** alpha` over the pairs; not a number where no category has two documents.

    Raises:
        ValueError: See `checked` and `checked_categories`.
    """
    if alpha == 2:
        sums = (moments or category_moments(embeddings, categories)).sums
        return mean_over_pairs(np.maximum(2 * (sums[:, 0] - sums[:, 1]), 0), sums[:, 0], seed)
    vectors, numbers = categorised(embeddings, categories)
    totals, partners = np.zeros(len(vectors)), np.zeros(len(vectors))
    for number in np.unique(numbers):
        members = np.flatnonzero(numbers == number)
        part = UnitVectors(vectors.embeddings, vectors.rows[members])
        sums = np.zeros(len(part))
        for tile in pair_tiles(part):
            distances = np.maximum(2 - 2 * tile.values.astype(np.float64), 0) ** (alpha / 2)
            if tile.diagonal:
                np.fill_diagonal(distances, 0)
            else:
                sums[tile.column_start : tile.column_stop] += distances.sum(0)
            sums[tile.start : tile.stop] += distances.sum(1)
        totals[members], partners[members] = sums, len(members) - 1
    return mean_over_pairs(totals, partners, seed)


def uniformity(embeddings: np.ndarray, t: float = 2.0, seed: int = 0) -> Measured:
    """Return how evenly the embeddings fill the sphere (equation 7).

    Args:
        embeddings: `(documents, hidden)`, scaled to unit length here; those of length zero are left out.
        t: Sharpness of the Gaussian potential.
        seed: Of the interval.

    Returns:
        Logarithm of the mean of `exp(-t |u - v|^2)` over all pairs of documents: 0 when all coincide, lower is more
        even; not a number with fewer than two documents.

    Raises:
        ValueError: An embedding is not finite.
    """
    vectors = UnitVectors(embeddings)
    potentials = PotentialSums(len(vectors), t)
    for tile in pair_tiles(vectors):
        potentials.add(tile)
    return potentials.result(seed)


class PotentialSums:
    """Sums the Gaussian potentials of each document while the tiles of `pair_tiles` pass by.

    Args:
        documents: How many.
        t: Sharpness of the potential.
    """

    def __init__(self, documents: int, t: float = 2.0) -> None:
        self._t = t
        self._sums = np.zeros(documents)
        self._space = np.empty(0, dtype=np.float32)

    def add(self, tile: Tile) -> None:
        """Take in a tile."""
        if self._space.size < tile.values.size:
            self._space = np.empty(tile.values.size, dtype=np.float32)
        potentials = self._space[: tile.values.size].reshape(tile.values.shape)
        # |u - v|^2 = 2 - 2 cos
        np.subtract(tile.values, 1, out=potentials)
        np.multiply(potentials, 2 * self._t, out=potentials)
        np.exp(potentials, out=potentials)
        if tile.diagonal:
            np.fill_diagonal(potentials, 0)
        else:
            self._sums[tile.column_start : tile.column_stop] += np.ones(len(potentials), np.float32) @ potentials
        self._sums[tile.start : tile.stop] += potentials @ np.ones(potentials.shape[1], np.float32)

    def result(self, seed: int = 0) -> Measured:
        """Return the uniformity, once every tile has been added."""
        documents = len(self._sums)
        if documents < 2:
            return Measured(math.nan)
        return mean_over_pairs(self._sums, documents - 1, seed, logarithm=True)

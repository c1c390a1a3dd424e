"""Sums of cosines and of their squares within and between categories, without looking at pairs.

The cosines of a document with a set of documents sum to its product with their sum, and the squares to a quadratic form
in their second moment: `documents x hidden^2` products instead of `documents^2 x hidden`. All of it is in float64, as
variances of cosines that lie close together are small differences of these sums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.blocks import UnitVectors, checked, checked_categories

_WHOLE_CATEGORY = 2_048
MOST_NAMED_CATEGORIES = 2_000
"""More categories than that have no table of categories by categories."""


@dataclass(frozen=True)
class CategoryMoments:
    """For each document the sums over its partners, the document itself left out.

    Args:
        vectors: The documents that have a category and a direction.
        places: `(documents,)` place of each one's category in `categories`.
        categories: `(categories,)` numbers of the categories, increasing.
        counts: `(categories,)` documents.
        sums: `(documents, 6)`: number, sum of cosines and sum of squared cosines within the category, then the same
            between.
        mean_cosine: `(categories, categories)`, on the diagonal without documents themselves; None with more than
            2,000 categories.
    """

    vectors: UnitVectors
    places: np.ndarray
    categories: np.ndarray
    counts: np.ndarray
    sums: np.ndarray
    mean_cosine: np.ndarray | None


def categorised(embeddings: np.ndarray, categories: np.ndarray) -> tuple[UnitVectors, np.ndarray]:
    """Leave out documents without category (negative numbers) and without direction.

    Args:
        embeddings: `(documents, hidden)`.
        categories: `(documents,)`.

    Returns:
        The unit vectors that are left, and their categories.

    Raises:
        ValueError: See `checked` and `checked_categories`.
    """
    matrix = checked(embeddings)
    numbers = checked_categories(categories, len(matrix))
    vectors = UnitVectors(matrix, np.flatnonzero(numbers >= 0))
    return vectors, numbers[vectors.rows]


def category_moments(embeddings: np.ndarray, categories: np.ndarray) -> CategoryMoments:
    """Sum the cosines of each document within its category and with all others.

    Args:
        embeddings: `(documents, hidden)`.
        categories: `(documents,)`; documents with negative numbers are left out.

    Raises:
        ValueError: See `checked` and `checked_categories`.
    """
    vectors, numbers = categorised(embeddings, categories)
    names, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    documents = len(vectors)
    sums = np.zeros((documents, 6))
    order = np.argsort(places, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    named = len(names) <= MOST_NAMED_CATEGORIES
    centres = np.zeros((len(names) if named else 0, vectors.hidden))
    for place in range(len(names)):
        members = order[starts[place] : starts[place + 1]]
        sums[members, 0] = counts[place] - 1
        total, sums[members, 1], sums[members, 2] = _within(vectors, members)
        if named:
            centres[place] = total
    total, second = _moments(vectors, np.arange(documents))
    for start, stop, block in vectors.blocks():
        sums[start:stop, 4] = block @ total - 1
        sums[start:stop, 5] = np.einsum("ij,ij->i", block @ second, block) - 1
    sums[:, 3] = documents - 1
    sums[:, 3:] -= sums[:, :3]
    return CategoryMoments(vectors, places, names, counts, sums, _mean_cosine(centres, counts) if named else None)


def _within(vectors: UnitVectors, members: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the sum of the vectors, and each member's sum of cosines and of squares with the other members."""
    if len(members) <= _WHOLE_CATEGORY:
        block = vectors.at(members)
        cosines = block @ block.T
        np.fill_diagonal(cosines, 0)
        return block.sum(0), cosines.sum(1), np.einsum("ij,ij->i", cosines, cosines)
    total, second = _moments(vectors, members)
    sums, squares = np.empty(len(members)), np.empty(len(members))
    for start in range(0, len(members), _WHOLE_CATEGORY):
        part = slice(start, start + _WHOLE_CATEGORY)
        block = vectors.at(members[part])
        sums[part] = block @ total - 1
        squares[part] = np.einsum("ij,ij->i", block @ second, block) - 1
    return total, sums, squares


def _moments(vectors: UnitVectors, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    total, second = np.zeros(vectors.hidden), np.zeros((vectors.hidden, vectors.hidden))
    for start in range(0, len(positions), _WHOLE_CATEGORY):
        block = vectors.at(positions[start : start + _WHOLE_CATEGORY])
        total += block.sum(0)
        second += block.T @ block
    return total, second


def _mean_cosine(centres: np.ndarray, counts: np.ndarray) -> np.ndarray:
    sums = centres @ centres.T
    pairs = np.outer(counts, counts).astype(np.float64)
    sums[np.diag_indices_from(sums)] -= counts
    pairs[np.diag_indices_from(pairs)] -= counts
    return np.divide(sums, pairs, out=np.full(sums.shape, np.nan), where=pairs > 0)

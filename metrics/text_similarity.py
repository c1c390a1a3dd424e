"""Agreement of cosines with people's ratings of how similar two texts are."""

from __future__ import annotations

import math

import numpy as np

from metrics.blocks import checked, row_blocks, row_lengths, unit_rows
from metrics.document_intervals import RESAMPLES, measured
from metrics.measured import Measured


def spearman_of_cosines(
    first: np.ndarray, second: np.ndarray, ratings: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Measured:
    """Return Spearman's rank correlation of cosines and ratings, with the bootstrap interval over the pairs.

    Args:
        first: `(pairs, hidden)`.
        second: The same shape.
        ratings: `(pairs,)`, higher for more similar texts.
        seed: Of the interval.
        resamples: How many.

    Returns:
        From -1 to 1; pairs with an embedding of length zero are left out. Not a number with fewer than three pairs, or
        where all cosines or all ratings are the same.

    Raises:
        ValueError: The shapes do not fit, or an embedding or a rating is not finite.
    """
    one, other, rated = checked(first), checked(second), np.asarray(ratings, dtype=np.float64)
    if one.shape != other.shape or rated.shape != (len(one),):
        raise ValueError(f"embeddings of shapes {one.shape} and {other.shape}, ratings of shape {rated.shape}")
    if not np.isfinite(rated).all():
        raise ValueError(f"the rating in row {int(np.isfinite(rated).argmin()):,} (from 0) is not finite")
    cosines = np.empty(len(one))
    for start, stop in row_blocks(one):
        cosines[start:stop] = np.einsum("ij,ij->i", unit_rows(one[start:stop]), unit_rows(other[start:stop]))
    kept = (row_lengths(one) > 0) & (row_lengths(other) > 0)
    # Equal pairs of texts have equal cosines, but for rounding.
    both = np.stack([np.round(cosines[kept], 12), rated[kept]])
    if both.shape[1] < 3:
        return Measured(math.nan)
    generator, count = np.random.default_rng([seed, 10]), both.shape[1]
    step = max(1, 2**20 // count)
    drawn = [
        _spearman(both[:, generator.integers(0, count, (min(step, resamples - start), count))])
        for start in range(0, resamples, step)
    ]
    return measured(float(_spearman(both[:, None])[0]), np.concatenate(drawn))


def _spearman(both: np.ndarray) -> np.ndarray:
    """Return the correlation of the ranks of rows of cosines and ratings, `(2, samples, pairs)`."""
    from scipy.stats import rankdata

    ranks = rankdata(both, axis=-1)
    ranks -= ranks.mean(-1, keepdims=True)
    (first, second), product = np.square(ranks).sum(-1), ranks.prod(0).sum(-1)
    length = np.sqrt(first) * np.sqrt(second)
    return np.divide(product, length, out=np.full(len(product), np.nan), where=length > 0)

"""Intervals over documents: a bootstrap of what is a sum over documents, a grouped jackknife of what is none.

Means over documents are drawn anew as they are. A mean over pairs of documents is drawn by its Hajek projection (van
der Vaart 1998, Asymptotic Statistics, section 12.1): to first order it changes by what each document adds to it
together with all its partners, so a resample costs as much as that of a mean, not a look at all pairs.
"""

from __future__ import annotations

import math

import numpy as np

from metrics.measured import Measured

RESAMPLES = 1_000
GROUPS = 10
_COUNTED = 2**22
_MOST_DRAWN = 20_000


def resampled_sums(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> np.ndarray:
    """Sum the values of documents drawn with replacement.

    More than 20,000 documents are drawn in 20,000 random groups of about the same size, whose sums vary as much; that
    many tell the width of an interval to half a percent.

    Args:
        values: `(documents, sums)` or `(documents,)`.
        seed: The same seed draws the same documents, so that sums of one call each can be compared.
        resamples: How many.

    Returns:
        `(resamples, sums)` or `(resamples,)` float64.
    """
    documents = len(values)
    generator = np.random.default_rng([seed, 5])
    total = values.sum(0, dtype=np.float64)
    sums = np.zeros((resamples, *values.shape[1:]))
    # About the mean, so that groups of one document more do not add to the spread.
    values = values - total / max(1, documents)
    if documents > _MOST_DRAWN:
        bounds = np.linspace(0, documents, _MOST_DRAWN + 1).astype(np.int64)[:-1]
        values, documents = np.add.reduceat(values[generator.permutation(documents)], bounds, axis=0), _MOST_DRAWN
    step = max(1, _COUNTED // max(1, documents))
    for start in range(0, resamples if documents else 0, step):
        stop = min(start + step, resamples)
        drawn = generator.integers(0, documents, (stop - start, documents))
        drawn += np.arange(stop - start)[:, None] * documents
        counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        sums[start:stop] = counts.astype(np.float64) @ values
    return sums + total


def measured(value: float, resampled: np.ndarray | None) -> Measured:
    """Return a value with the 95 % percentile interval of its resamples.

    There is none where there are no resamples, or the value or most of the resamples are not finite.
    """
    if resampled is None or not math.isfinite(value):
        return Measured(float(value))
    finite = resampled[np.isfinite(resampled)]
    if 2 * len(finite) <= len(resampled):
        return Measured(float(value))
    low, high = np.percentile(finite, [2.5, 97.5])
    return Measured(float(value), float(low), float(high))


def mean_over_documents(values: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> Measured:
    """Return the mean with its interval; not a number without documents, no interval with one.

    Args:
        values: `(documents,)`.
        seed: Of the draw.
        resamples: How many.
    """
    if not len(values):
        return Measured(math.nan)
    mean = float(np.mean(values, dtype=np.float64))
    if len(values) < 2:
        return Measured(mean)
    return measured(mean, resampled_sums(values, seed, resamples) / len(values))


def mean_over_pairs(
    sums: np.ndarray, partners: np.ndarray | int, seed: int = 0, resamples: int = RESAMPLES, *, logarithm: bool = False
) -> Measured:
    """Return the mean over pairs, with the interval of its projection on documents.

    Args:
        sums: `(documents,)` sum over the partners of each document, so that each pair is in two of them.
        partners: How many each has, `(documents,)` or the same for all.
        seed: Of the draw.
        resamples: How many.
        logarithm: Return the logarithm of the mean.

    Returns:
        Not a number without pairs.
    """
    pairs = float(np.broadcast_to(partners, sums.shape).sum(dtype=np.float64))
    if not pairs:
        return Measured(math.nan)
    mean = float(sums.sum(dtype=np.float64)) / pairs
    # Twice what the document's own pairs lie above the mean: each is the other's partner as well.
    influence = 2 * (sums - partners * mean) / pairs
    drawn = resampled_sums(influence, seed, resamples)
    if not logarithm:
        return measured(mean, mean + drawn)
    if mean <= 0:
        return Measured(-math.inf)
    return measured(math.log(mean), math.log(mean) + drawn / mean)


def random_groups(documents: int, groups: int = GROUPS, seed: int = 0) -> list[np.ndarray]:
    """Divide the documents into random groups of about the same size.

    Args:
        documents: How many.
        groups: How many.
        seed: Of the draw.

    Returns:
        The documents of each group, increasing; none where there are fewer than two for each.
    """
    if documents < 2 * groups:
        return []
    group_of = np.random.default_rng([seed, 7]).permutation(documents) % groups
    return [np.flatnonzero(group_of == group) for group in range(groups)]


def jackknife(value: float, without: list[float]) -> Measured:
    """Return a value with the 95 % interval of a grouped jackknife (Efron and Tibshirani 1993, chapter 11).

    Args:
        value: From all documents.
        without: From all but those of each group; none for no interval.
    """
    if not without or not np.isfinite([value, *without]).all():
        return Measured(float(value))
    # Not from scipy.stats, which takes seconds to import.
    from scipy.special import stdtrit

    groups = len(without)
    reach = float(stdtrit(groups - 1, 0.975)) * math.sqrt((groups - 1) * float(np.var(without)))
    return Measured(float(value), value - reach, value + reach)

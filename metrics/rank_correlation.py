"""Rank correlation of two quantities over models, within tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 4  # models of a task; three give but six orders
EXACT_ORDERS = 5_000


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rank correlation, averaged over tasks.

    Args:
        value: Mean over the tasks, each weighted by its models less one; not a number without a task that counts.
        low: Lower end of the 95 % bootstrap interval over models; None where most resamples are undefined.
        high: Upper end.
        p_value: Of the hypothesis that within each task any order of the scores is as likely, two-sided.
        by_task: Of each task; not a number where it has fewer than four models, or one of the quantities is the same
            for all.
        points: Models that count, over all tasks.
    """

    value: float
    low: float | None
    high: float | None
    p_value: float
    by_task: tuple[float, ...]
    points: int


def rank_correlation(
    tasks: Sequence[tuple[np.ndarray, np.ndarray]], resamples: int = 2_000, seed: int = 0
) -> RankCorrelation:
    """Correlate a measure with a score over models, task by task.

    Scores of different tasks cannot be ranked together, so each task has its own correlation (Spearman 1904) and their
    mean is what is tested. Models of a task are drawn with replacement for the interval, and its scores are permuted
    for the p-value: all orders where there are few, or random ones (Phipson and Smyth 2010).

    Args:
        tasks: For each task the measure and the score, `(models,)` both; pairs with a value that is not finite are
            left out.
        resamples: Of models, and of permutations.
        seed: Of both.

    Raises:
        ValueError: The two quantities of a task differ in length.
    """
    kept = []
    by_task = []
    for measure, score in tasks:
        measure, score = np.asarray(measure, dtype=np.float64), np.asarray(score, dtype=np.float64)
        if measure.shape != score.shape:
            raise ValueError(f"{measure.shape} measures for {score.shape} scores")
        finite = np.isfinite(measure) & np.isfinite(score)
        measure, score = measure[finite], score[finite]
        enough = len(score) >= FEWEST
        by_task.append(float(_spearman(measure[None], score[None])[0]) if enough else math.nan)
        if math.isfinite(by_task[-1]):
            kept.append((measure, score))
    if not kept:
        return RankCorrelation(math.nan, None, None, math.nan, tuple(by_task), 0)
    weights = np.array([len(score) - 1 for _, score in kept], dtype=np.float64)
    value = float(np.average([found for found in by_task if math.isfinite(found)], weights=weights))
    generator = np.random.default_rng([seed, 9])
    drawn = np.full((len(kept), resamples), np.nan)
    for number, (measure, score) in enumerate(kept):
        rows = generator.integers(0, len(score), (resamples, len(score)))
        drawn[number] = _spearman(measure[rows], score[rows])
    means = _weighted(drawn, weights)
    low = high = None
    if np.isfinite(means).sum() > resamples / 2:
        low, high = (float(end) for end in np.nanpercentile(means, [2.5, 97.5]))
    return RankCorrelation(
        value=value,
        low=low,
        high=high,
        p_value=_p_value(kept, weights, value, resamples, generator),
        by_task=tuple(by_task),
        points=sum(len(score) for _, score in kept),
    )


def _p_value(
    kept: Sequence[tuple[np.ndarray, np.ndarray]],
    weights: np.ndarray,
    value: float,
    resamples: int,
    generator: np.random.Generator,
) -> float:
    from itertools import permutations

    if len(kept) == 1 and math.factorial(len(kept[0][1])) <= EXACT_ORDERS:
        measure, score = kept[0]
        orders = score[np.array(list(permutations(range(len(score)))))]
        found = _spearman(np.broadcast_to(measure, orders.shape), orders)
        return float((np.abs(found) >= abs(value) - 1e-12).mean())
    found = np.empty((len(kept), resamples))
    for number, (measure, score) in enumerate(kept):
        orders = generator.permuted(np.broadcast_to(score, (resamples, len(score))), axis=1)
        found[number] = _spearman(np.broadcast_to(measure, orders.shape), orders)
    beyond = int((np.abs(_weighted(found, weights)) >= abs(value) - 1e-12).sum())
    return (beyond + 1) / (resamples + 1)


def _weighted(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Average over tasks, those that are not a number left out; not a number where none is one."""
    known = np.isfinite(values)
    total = (known * weights[:, None]).sum(0)
    sums = (np.where(known, values, 0) * weights[:, None]).sum(0)
    return np.divide(sums, total, out=np.full(values.shape[1], np.nan), where=total > 0)


def _spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Correlate the ranks of rows, ties sharing theirs; not a number for a row without variance."""
    from scipy.stats import rankdata

    ranks = [rankdata(part, axis=1) for part in (first, second)]
    one, other = (part - part.mean(1, keepdims=True) for part in ranks)
    spread = np.sqrt((one**2).sum(1) * (other**2).sum(1))
    return np.divide((one * other).sum(1), spread, out=np.full(len(one), np.nan), where=spread > 0)

"""How many dimensions the embeddings use, from their covariance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from metrics.blocks import centre_and_scale, checked, row_blocks
from metrics.document_intervals import GROUPS, jackknife, random_groups
from metrics.measured import Measured

# Variances below this share of the largest are rounding.
_NO_VARIANCE = 1e-13


def isoscore(embeddings: np.ndarray, seed: int = 0) -> Measured:
    """Return the IsoScore: 0 when all variance lies in one direction, 1 when it is the same in all.

    Algorithm 1 of Rudman et al. (2022, IsoScore: Measuring the Uniformity of Embedding Space Utilization): variances of
    the principal components, scaled to the length of a vector of ones; their distance from it as the isotropy defect;
    that rescaled to a share of the dimensions used.

    Args:
        embeddings: `(documents, hidden)`.
        seed: Of the groups of the interval, see `covariance_measures`.

    Returns:
        Not a number where nothing varies or there is one dimension.

    Raises:
        ValueError: An embedding is not finite.
    """
    return covariance_measures(embeddings, seed)["isoscore"]


def effective_rank(embeddings: np.ndarray, seed: int = 0) -> Measured:
    """Return the effective rank of the covariance (Roy and Vetterli 2007, definition 1).

    The exponential of the entropy of its eigenvalues as shares of their sum: from 1 to `hidden`.

    Args:
        embeddings: `(documents, hidden)`.
        seed: Of the groups of the interval, see `covariance_measures`.

    Returns:
        Not a number where nothing varies.

    Raises:
        ValueError: An embedding is not finite.
    """
    return covariance_measures(embeddings, seed)["effective_rank"]


def participation_ratio(embeddings: np.ndarray, seed: int = 0) -> Measured:
    """Return the participation ratio of the covariance (Gao et al. 2017).

    The squared sum of its eigenvalues over the sum of their squares: from 1 to `hidden`.

    Args:
        embeddings: `(documents, hidden)`.
        seed: Of the groups of the interval, see `covariance_measures`.

    Returns:
        Not a number where nothing varies.

    Raises:
        ValueError: An embedding is not finite.
    """
    return covariance_measures(embeddings, seed)["participation_ratio"]


def covariance_measures(embeddings: np.ndarray, seed: int = 0, groups: int = GROUPS) -> dict[str, Measured]:
    """Return `isoscore`, `effective_rank` and `participation_ratio` from one covariance.

    The intervals are those of a grouped jackknife (Efron and Tibshirani 1993, chapter 11): the measures without each of
    ten random groups of documents, with Student's t. A bootstrap would do worse, as documents drawn twice leave fewer
    dimensions.

    Args:
        embeddings: `(documents, hidden)`; two passes over them, and a few `(hidden, hidden)` matrices in memory.
        seed: Of the groups.
        groups: How many; no intervals with fewer than twice as many documents.

    Raises:
        ValueError: An embedding is not finite.
    """
    matrix = checked(embeddings)
    functions: dict[str, Callable[[np.ndarray], float]] = {
        "isoscore": isoscore_of_variances,
        "effective_rank": effective_rank_of_variances,
        "participation_ratio": participation_ratio_of_variances,
    }
    if not len(matrix) or not matrix.shape[1]:
        return {name: Measured(math.nan) for name in functions}
    # About the mean, and in the size of the largest number, so that the subtraction below loses nothing.
    centre, scale = centre_and_scale(matrix)
    parts = random_groups(len(matrix), groups, seed)
    every = _sums(matrix, None, centre, scale)
    variances = _variances(*every)
    values = {name: function(variances) for name, function in functions.items()}
    without: dict[str, list[float]] = {name: [] for name in functions}
    if variances[-1] > 0:
        for part in parts:
            left = [whole - some for whole, some in zip(every, _sums(matrix, part, centre, scale), strict=True)]
            variances = _variances(*left)
            for name, function in functions.items():
                without[name].append(function(variances))
    return {name: jackknife(values[name], without[name]) for name in functions}


def isoscore_of_variances(variances: np.ndarray) -> float:
    """Return the IsoScore of the principal components' variances, `(hidden,)`; see `isoscore`."""
    hidden, length = len(variances), float(np.linalg.norm(variances))
    if hidden < 2 or not length:
        return math.nan
    scaled = math.sqrt(hidden) * variances / length
    defect = float(np.linalg.norm(scaled - 1)) / math.sqrt(2 * (hidden - math.sqrt(hidden)))
    used = (hidden - defect**2 * (hidden - math.sqrt(hidden))) ** 2 / hidden**2
    return (hidden * used - 1) / (hidden - 1)


def effective_rank_of_variances(variances: np.ndarray) -> float:
    """Return the effective rank of a covariance with these eigenvalues, `(hidden,)`; see `effective_rank`."""
    shares = variances[variances > 0]
    if not len(shares):
        return math.nan
    shares = shares / shares.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def participation_ratio_of_variances(variances: np.ndarray) -> float:
    """Return the participation ratio of eigenvalues, `(hidden,)`; see `participation_ratio`."""
    squares = float(np.square(variances).sum())
    return float(variances.sum()) ** 2 / squares if squares else math.nan


Sums = tuple[int, np.ndarray, np.ndarray]


def _sums(matrix: np.ndarray, rows: np.ndarray | None, centre: np.ndarray, scale: float) -> Sums:
    """Return number, sum and second moment of the rows, all by default."""
    hidden = matrix.shape[1]
    total, second = np.zeros(hidden), np.zeros((hidden, hidden))
    count = len(matrix) if rows is None else len(rows)
    for start, stop in row_blocks(np.broadcast_to(0.0, (count, hidden))):
        block = (matrix[start:stop] if rows is None else matrix[rows[start:stop]]) - centre
        block /= scale
        total += block.sum(0)
        second += block.T @ block
    return count, total, second


def _variances(count: int, total: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of the covariance, increasing; those that are rounding are 0."""
    covariance = (second - np.outer(total, total) / count) / count
    values = np.linalg.eigvalsh(covariance)
    return np.where(values > _NO_VARIANCE * max(float(values[-1]), np.finfo(np.float64).tiny), values, 0.0)

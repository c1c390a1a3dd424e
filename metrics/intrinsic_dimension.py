"""The dimension in which the documents lie, and the hubs among them, from their nearest neighbours."""

from __future__ import annotations

import math

import numpy as np

from metrics.blocks import UnitVectors, centre_and_scale, checked, row_blocks
from metrics.document_intervals import RESAMPLES, measured, resampled_sums
from metrics.measured import Measured
from metrics.neighbours import Metric, nearest_neighbours

KEPT_SHARE = 0.9
# Beside the size of the embeddings; the same text gives embeddings that differ by less from batch to batch.
_DUPLICATE = 1e-6
_LEAST_RATIOS = 3


def two_nn(
    embeddings: np.ndarray, metric: Metric = "euclidean", neighbours: np.ndarray | None = None, seed: int = 0
) -> Measured:
    """Estimate the intrinsic dimension from the two nearest neighbours (TwoNN; Facco et al. 2017, Scientific Reports).

    The ratio of a document's second to its first distance follows a Pareto distribution whose exponent is the
    dimension. It is the slope of a line through the origin, from the logarithms of the ratios to those of the share
    above them; the highest tenth of the ratios is left out, as there.

    Documents that have a duplicate (a first distance of 0, up to a millionth of the size of the embeddings) have no
    ratio and are left out.

    Args:
        embeddings: `(documents, hidden)`.
        metric: `euclidean` for the embeddings as they are; `cosine` for distances between them scaled to unit length.
        neighbours: `(documents, 2 or more)` rows of the nearest neighbours, if they are known.
        seed: Of the interval.

    Returns:
        The dimension; not a number where fewer than three documents have a ratio, or all ratios are 1.

    Raises:
        ValueError: An embedding is not finite.
    """
    matrix = checked(embeddings)
    if neighbours is None:
        neighbours = nearest_neighbours(matrix, 2, metric).indices
    if neighbours.shape[1] < 2:
        return Measured(math.nan)
    ratios = np.sort(_log_ratios(matrix, neighbours[:, :2], metric))
    value = _slopes(ratios, np.ones((1, len(ratios))))[0]
    if not math.isfinite(value):
        return Measured(math.nan)
    drawn = np.empty(RESAMPLES)
    generator, step = np.random.default_rng([seed, 8]), max(1, 2**21 // len(ratios))
    for start in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - start)
        rows = generator.integers(0, len(ratios), (count, len(ratios))) + np.arange(count)[:, None] * len(ratios)
        times = np.bincount(rows.ravel(), minlength=rows.size).reshape(rows.shape)
        drawn[start : start + count] = _slopes(ratios, times)
    return measured(value, drawn)


def _log_ratios(matrix: np.ndarray, neighbours: np.ndarray, metric: Metric) -> np.ndarray:
    """Return the logarithms of second over first distance, of the documents that have them; distances in float64."""
    if metric == "cosine":
        vectors = UnitVectors(matrix)
        documents = vectors.rows
        positions = np.full(len(matrix), -1)
        positions[documents] = np.arange(len(documents))
        size = 1.0
    else:
        documents = np.arange(len(matrix))
        mean, _ = centre_and_scale(matrix)
        square = 0.0
        for start, stop in row_blocks(matrix):
            square += float(np.square(matrix[start:stop] - mean).sum()) / len(matrix)
        size = math.sqrt(square)
    ratios = np.empty(len(documents))
    rows = max(1, 2**20 // max(1, matrix.shape[1]))
    for start in range(0, len(documents), rows):
        part = documents[start : start + rows]
        if metric == "cosine":
            own, near = vectors.at(positions[part]), vectors.at(positions[neighbours[part]])
        else:
            own, near = matrix[part].astype(np.float64), matrix[neighbours[part]].astype(np.float64)
        first, second = np.sqrt(np.square(near - own[:, None]).sum(-1)).T
        kept = first > _DUPLICATE * size
        ratio = np.full(len(part), np.nan)
        # Neighbours ordered by cosine in float32 steps may be a rounding out of order.
        ratio[kept] = np.maximum(np.log(second[kept] / first[kept]), 0)
        ratios[start : start + rows] = ratio
    return ratios[np.isfinite(ratios)]


def _slopes(ratios: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the slope for rows of times that each of the sorted ratios is drawn."""
    if len(ratios) < _LEAST_RATIOS:
        return np.full(len(times), np.nan)
    below = np.cumsum(times, axis=1)
    kept = below <= math.floor(KEPT_SHARE * len(ratios) + 1e-9)
    above = -np.log1p(-np.where(kept, below, 0) / len(ratios))
    weights = times * kept
    squares = weights @ ratios**2
    products = (weights * above) @ ratios
    return np.divide(products, squares, out=np.full(len(times), np.nan), where=squares > 0)


def hubness(embeddings: np.ndarray, k: int = 10, neighbours: np.ndarray | None = None, seed: int = 0) -> Measured:
    """Return the skewness of how often a document is a neighbour (Radovanovic et al. 2010, JMLR 11, section 2).

    Args:
        embeddings: `(documents, hidden)`; those of length zero are left out.
        k: Nearest neighbours by cosine that are counted.
        neighbours: `(documents, k or more)` rows of the nearest neighbours, if they are known.
        seed: Of the interval.

    Returns:
        Third central moment of the occurrences over the cube of their standard deviation; not a number where every
        document occurs as often.

    Raises:
        ValueError: An embedding is not finite, or `k` is below 1.
    """
    if neighbours is None:
        neighbours = nearest_neighbours(embeddings, k, "cosine").indices
    found = neighbours[:, :k]
    if not found.shape[1]:
        return Measured(math.nan)
    occurrences = np.bincount(found[found >= 0], minlength=len(found))[(found >= 0).all(1)].astype(np.float64)
    if not len(occurrences):
        return Measured(math.nan)
    centred = occurrences - occurrences.mean()
    powers = np.stack([centred, centred**2, centred**3], axis=1)
    value = _skewness(powers.mean(0)[None])[0]
    return measured(value, _skewness(resampled_sums(powers, seed) / len(powers)))


def _skewness(moments: np.ndarray) -> np.ndarray:
    """Return the skewness of rows of the first three moments about any point."""
    first, second, third = moments.T
    variance = second - first**2
    central = third - 3 * first * second + 2 * first**3
    return np.divide(central, np.maximum(variance, 0) ** 1.5, out=np.full(len(first), np.nan), where=variance > 1e-12)

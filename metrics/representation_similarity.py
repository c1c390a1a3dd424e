"""How alike two models see the same documents."""

from __future__ import annotations

import math

import numpy as np

from metrics.blocks import centre_and_scale, checked, row_blocks


def linear_cka(first: np.ndarray, second: np.ndarray, unbiased: bool = False) -> float:
    """Return the linear centred kernel alignment of two models' embeddings of the same documents.

    Computed from the features, block by block, so that memory is that of matrices of `hidden x hidden`.

    Args:
        first: `(documents, hidden)`.
        second: `(documents, other hidden)`, the same documents in the same order.
        unbiased: Use the unbiased estimator of HSIC (Song et al. 2012, equation 5) instead of the biased one of
            Kornblith et al. (2019, Similarity of Neural Network Representations Revisited, equation 4), which is too
            high where there are few documents for the dimensions. It may come out slightly negative.

    Returns:
        1 for embeddings that are the same but for rotation, shift and scale; 0 for unrelated ones. Not a number where
        the embeddings of a model do not vary, or with fewer than two documents (four if unbiased).

    Raises:
        ValueError: The models have different numbers of documents, or an embedding is not finite.
    """
    one, other = checked(first), checked(second)
    if len(one) != len(other):
        raise ValueError(f"{len(one):,} and {len(other):,} embeddings are not of the same documents")
    documents = len(one)
    if documents < (4 if unbiased else 2) or not one.shape[1] or not other.shape[1]:
        return math.nan
    centres = centre_and_scale(one), centre_and_scale(other)
    products = [np.zeros((a.shape[1], b.shape[1])) for a, b in ((one, one), (one, other), (other, other))]
    for start, stop in _both_blocks(one, other):
        left, right = _block(one, centres[0], start, stop), _block(other, centres[1], start, stop)
        for product, (a, b) in zip(products, ((left, left), (left, right), (right, right)), strict=True):
            product += a.T @ b
    own, shared, others = (float(np.square(product).sum()) for product in products)
    if unbiased:
        own, shared, others = _unbiased(one, other, centres, (own, shared, others))
    if own <= 0 or others <= 0:
        return math.nan
    return shared / math.sqrt(own) / math.sqrt(others)


def _unbiased(
    one: np.ndarray, other: np.ndarray, centres: tuple, squares: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Turn `|X'Y|^2` into the unbiased HSIC, but for a constant factor.

    The kernels have an empty diagonal there. As the features are centred, each row of the full kernel sums to 0, and
    each row of the one with the empty diagonal to minus its diagonal.
    """
    documents = len(one)
    lengths = np.empty((documents, 2))
    for start, stop in _both_blocks(one, other):
        for column, (matrix, centre) in enumerate(zip((one, other), centres, strict=True)):
            lengths[start:stop, column] = np.square(_block(matrix, centre, start, stop)).sum(1)
    products, sums = lengths.T @ lengths, lengths.sum(0)
    found = []
    for square, (a, b) in zip(squares, ((0, 0), (0, 1), (1, 1)), strict=True):
        product = float(products[a, b])
        found.append(
            square
            - product
            + float(sums[a] * sums[b]) / ((documents - 1) * (documents - 2))
            - 2 * product / (documents - 2)
        )
    return found[0], found[1], found[2]


def _both_blocks(one: np.ndarray, other: np.ndarray) -> list[tuple[int, int]]:
    return list(row_blocks(one if one.shape[1] > other.shape[1] else other))


def _block(matrix: np.ndarray, centre: tuple[np.ndarray, float], start: int, stop: int) -> np.ndarray:
    return (matrix[start:stop] - centre[0]) / centre[1]

"""Linear CKA against its form with kernels of documents by documents."""

import math

import numpy as np
import pytest

from metrics import blocks
from metrics.representation_similarity import linear_cka


def cka_of_kernels(first, second):
    n = len(first)
    centring = np.eye(n) - 1 / n
    kernel, other = centring @ first @ first.T @ centring, centring @ second @ second.T @ centring
    return np.trace(kernel @ other) / math.sqrt(np.trace(kernel @ kernel) * np.trace(other @ other))


def unbiased_by_loops(first, second):
    def hsic(kernel, other):
        n = len(kernel)
        kernel, other = kernel - np.diag(np.diag(kernel)), other - np.diag(np.diag(other))
        trace = sum(kernel[i, j] * other[j, i] for i in range(n) for j in range(n))
        product = sum(kernel[i, q] * other[q, r] for i in range(n) for q in range(n) for r in range(n))
        return trace + kernel.sum() * other.sum() / (n - 1) / (n - 2) - 2 / (n - 2) * product

    kernel, other = first @ first.T, second @ second.T
    return hsic(kernel, other) / math.sqrt(hsic(kernel, kernel) * hsic(other, other))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_to_kernels(dtype, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_NUMBERS", 30)
    rng = np.random.default_rng(0)
    first = (rng.normal(size=(25, 6)) + 2).astype(dtype)
    second = (first[:, :4] ** 2 + rng.normal(size=(25, 4))).astype(dtype)
    exact = first.astype(np.float64), second.astype(np.float64)
    assert linear_cka(first, second) == pytest.approx(cka_of_kernels(*exact), abs=1e-9)
    assert linear_cka(first, second, unbiased=True) == pytest.approx(unbiased_by_loops(*exact), abs=1e-9)
    assert linear_cka(second, first) == pytest.approx(linear_cka(first, second), abs=1e-12)


def test_rotation_shift_and_scale_do_not_count():
    rng = np.random.default_rng(1)
    first = rng.normal(size=(40, 5))
    turned = 1e4 * first @ np.linalg.qr(rng.normal(size=(5, 5)))[0] - 30
    assert linear_cka(first, turned) == pytest.approx(1, abs=1e-9)
    assert linear_cka(first, turned, unbiased=True) == pytest.approx(1, abs=1e-9)
    assert linear_cka(first, first * [9, 1, 1, 1, 1]) < 0.7


def test_unrelated_models_with_more_dimensions_than_documents():
    rng = np.random.default_rng(2)
    first, second = rng.normal(size=(2, 30, 200))
    assert linear_cka(first, second) > 0.8
    assert abs(linear_cka(first, second, unbiased=True)) < 0.1


@pytest.mark.parametrize("unbiased", [False, True])
def test_degenerate_embeddings(unbiased):
    varied, same = np.random.default_rng(3).normal(size=(9, 3)), np.full((9, 2), 0.1, dtype=np.float32)
    assert math.isnan(linear_cka(varied, same, unbiased)) and math.isnan(linear_cka(same, same, unbiased))
    for documents in (0, 1):
        assert math.isnan(linear_cka(varied[:documents], varied[:documents], unbiased))
    with pytest.raises(ValueError, match="9 and 8 embeddings are not of the same documents"):
        linear_cka(varied, varied[1:], unbiased)
    with pytest.raises(ValueError, match="row 0 "):
        linear_cka(varied, np.full((9, 2), np.nan), unbiased)

"""Alignment and uniformity against the formulas of their paper and a bootstrap that looks at all pairs."""

import math

import numpy as np
import pytest
import torch

from metrics import blocks
from metrics.alignment import alignment, category_alignment, uniformity


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def potential_by_torch(embeddings, t):
    """As `align_uniform.uniform_loss` has it."""
    vectors = torch.nn.functional.normalize(torch.from_numpy(embeddings.astype(np.float64)), dim=1)
    return float(torch.pdist(vectors, p=2).pow(2).mul(-t).exp().mean().log())


@pytest.mark.parametrize("tile", [9, 2_048])
@pytest.mark.parametrize("t", [0.5, 2.0, 10.0])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_uniformity_is_that_of_the_paper(tile, t, dtype, monkeypatch):
    monkeypatch.setattr(blocks, "TILE_ROWS", tile)
    embeddings = (np.random.default_rng(0).normal(size=(60, 7)) + 0.4).astype(dtype)
    found = uniformity(embeddings, t)
    assert found.value == pytest.approx(potential_by_torch(embeddings, t), abs=2e-6)
    assert found.low < found.value < found.high


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 3.0])
def test_alignment_is_that_of_the_paper(alpha):
    rng = np.random.default_rng(1)
    first = rng.normal(size=(50, 6))
    second = first + 0.5 * rng.normal(size=(50, 6))
    expected = float((torch.from_numpy(unit(first) - unit(second))).norm(dim=1).pow(alpha).mean())
    found = alignment(first, second, alpha)
    assert found.value == pytest.approx(expected) and found.low < expected < found.high
    # By direction alone.
    assert alignment(3 * first, 0.1 * second, alpha).value == pytest.approx(expected)
    first[3] = 0
    assert alignment(first, second, alpha).value == pytest.approx(
        alignment(np.delete(first, 3, 0), np.delete(second, 3, 0), alpha).value
    )


def test_literal_cases():
    east, north = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
    assert alignment(east, north).value == pytest.approx(2)
    assert alignment(east, -east).value == pytest.approx(4)
    assert alignment(east, 5 * east).value == 0
    assert uniformity(np.concatenate([east, -east])).value == pytest.approx(-8)
    assert category_alignment(np.concatenate([east, north, -east]), np.array([0, 0, 0])).value == pytest.approx(8 / 3)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("tile", [4, 2_048])
def test_category_alignment_by_loops(alpha, tile, monkeypatch):
    monkeypatch.setattr(blocks, "TILE_ROWS", tile)
    rng = np.random.default_rng(2)
    embeddings, categories = rng.normal(size=(40, 5)), rng.integers(-1, 4, 40)
    embeddings[5] = 0
    categories[7] = 9  # alone
    distances = [
        np.linalg.norm(unit(embeddings[[i]]) - unit(embeddings[[j]])) ** alpha
        for i in range(40)
        for j in range(i)
        if categories[i] == categories[j] >= 0 and i != 5 and j != 5
    ]
    found = category_alignment(embeddings, categories, alpha)
    assert found.value == pytest.approx(np.mean(distances), rel=1e-5)
    assert found.low < found.value < found.high


def test_interval_of_uniformity_is_that_of_a_bootstrap_over_all_pairs():
    rng = np.random.default_rng(3)
    embeddings = rng.normal(size=(150, 3)) + np.array([1.5, 0, 0])
    potentials = np.exp(-2 * (2 - 2 * unit(embeddings) @ unit(embeddings).T))
    upper = np.triu_indices(150, 1)
    values = []
    for _ in range(1_500):
        times = np.bincount(rng.integers(0, 150, 150), minlength=150)
        weights = np.outer(times, times)[upper]
        values.append(math.log((weights * potentials[upper]).sum() / weights.sum()))
    low, high = np.percentile(values, [2.5, 97.5])
    found = uniformity(embeddings)
    assert found.high - found.low == pytest.approx(high - low, rel=0.12)
    assert (found.low + found.high) / 2 == pytest.approx((low + high) / 2, abs=0.12 * (high - low))


def test_seeds_decide_the_interval_alone():
    embeddings = np.random.default_rng(4).normal(size=(30, 3))
    first, again, other = uniformity(embeddings), uniformity(embeddings), uniformity(embeddings, seed=1)
    assert first == again and first.value == other.value and first.low != other.low


@pytest.mark.parametrize("documents", [0, 1])
def test_too_few_documents(documents):
    embeddings = np.ones((documents, 3))
    assert math.isnan(uniformity(embeddings).value)
    assert math.isnan(category_alignment(embeddings, np.zeros(documents, dtype=int)).value)
    found = alignment(embeddings, embeddings)
    assert found.low is None and (math.isnan(found.value) if not documents else found.value == 0)


def test_degenerate_embeddings():
    same = np.full((20, 4), 0.3, dtype=np.float32)
    assert uniformity(same).value == pytest.approx(0, abs=1e-5)
    assert category_alignment(same, np.arange(20) % 2).value == pytest.approx(0, abs=1e-12)
    assert math.isnan(category_alignment(same, np.arange(20)).value)
    assert math.isnan(category_alignment(same, np.full(20, -1)).value)
    assert math.isnan(uniformity(np.zeros((5, 3))).value)
    with pytest.raises(ValueError, match="make no pairs"):
        alignment(same, same[:3])
    with pytest.raises(ValueError, match="row 0 "):
        uniformity(np.full((3, 2), np.nan))

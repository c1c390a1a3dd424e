"""TwoNN and hubness against their definitions and known dimensions."""

import math

import numpy as np
import pytest
import scipy.stats

from metrics import blocks
from metrics.intrinsic_dimension import hubness, two_nn
from metrics.neighbours import nearest_neighbours


def dimension_step_by_step(points):
    """Facco et al., section Methods, with the distances of all pairs."""
    ratios = []
    for place, point in enumerate(points):
        first, second, *_ = sorted(math.dist(point, other) for number, other in enumerate(points) if number != place)
        if first > 0:
            ratios.append(second / first)
    ratios.sort()
    kept = [
        (math.log(ratio), -math.log(1 - rank / len(ratios)))
        for rank, ratio in enumerate(ratios[: math.floor(0.9 * len(ratios))], 1)
    ]
    return sum(x * y for x, y in kept) / sum(x * x for x, _ in kept)


@pytest.mark.parametrize("dimension", [1, 2, 5])
def test_known_dimensions(dimension):
    rng = np.random.default_rng(dimension)
    points = rng.uniform(size=(2_500, dimension)) @ np.linalg.qr(rng.normal(size=(12, 12)))[0][:dimension] + 4
    found = two_nn(points)
    assert found.value == pytest.approx(dimension, rel=0.1)
    assert found.low < found.value < found.high and found.high - found.low < 0.2 * dimension


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_to_plain_loops(dtype, monkeypatch):
    monkeypatch.setattr(blocks, "TILE_ROWS", 13)
    points = np.random.default_rng(0).normal(size=(70, 4)).astype(dtype)
    points[:6] = points[10:16]  # duplicates, which have no ratio
    exact = points.astype(np.float64)
    assert two_nn(points).value == pytest.approx(dimension_step_by_step(exact.tolist()), rel=1e-9)
    unit = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    expected = pytest.approx(dimension_step_by_step(unit.tolist()), rel=1e-6)
    assert two_nn(points, "cosine").value == expected
    assert two_nn(points, "cosine", nearest_neighbours(points, 7).indices).value == expected


def test_near_duplicates_are_duplicates():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(60, 5))
    copied = np.concatenate([points, points[:20]])
    nearly = copied + 1e-9 * rng.normal(size=copied.shape)
    expected = pytest.approx(dimension_step_by_step(copied.tolist()), rel=1e-6)
    assert two_nn(copied).value == expected and two_nn(nearly).value == expected
    assert math.isnan(two_nn(np.concatenate([nearly, copied])).value)


def test_documents_without_direction_have_no_ratio():
    points = np.random.default_rng(2).normal(size=(60, 4))
    with_zeros = np.insert(points, [5, 20], 0, axis=0)
    assert two_nn(with_zeros, "cosine").value == pytest.approx(two_nn(points, "cosine").value)
    assert hubness(with_zeros, 5).value == pytest.approx(hubness(points, 5).value)


def test_interval_is_that_of_a_bootstrap_of_the_ratios():
    draws = [two_nn(np.random.default_rng(seed).uniform(size=(400, 3))) for seed in range(25)]
    spread = 2 * 1.96 * np.std([draw.value for draw in draws])
    assert np.mean([draw.high - draw.low for draw in draws]) == pytest.approx(spread, rel=0.4)


@pytest.mark.parametrize("documents", [0, 1, 2])
def test_too_few_documents(documents):
    points = np.random.default_rng(3).normal(size=(documents, 2))
    assert math.isnan(two_nn(points).value) and math.isnan(two_nn(points, "cosine").value)
    assert math.isnan(hubness(points).value)


def test_degenerate_embeddings():
    same = np.full((20, 4), 0.3, dtype=np.float32)
    assert math.isnan(two_nn(same).value) and math.isnan(two_nn(same, "cosine").value)
    assert math.isnan(two_nn(np.zeros((20, 4)), "cosine").value) and math.isnan(hubness(np.zeros((20, 4))).value)
    assert math.isnan(two_nn(np.eye(8)).value)  # all ratios 1
    # The lowest rows are everyone's neighbours.
    assert hubness(same, 2).value == pytest.approx(scipy.stats.skew([19, 19, 2, *[0] * 17]))
    with pytest.raises(ValueError, match="row 0 "):
        two_nn(np.full((3, 2), np.nan))


@pytest.mark.parametrize("k", [1, 5, 10])
def test_hubness_by_counting(k):
    points = np.random.default_rng(4).normal(size=(80, 30))
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosines = unit @ unit.T - 2 * np.eye(80)
    counts = [0] * 80
    for row in cosines:
        for other in sorted(range(80), key=lambda place: -row[place])[:k]:
            counts[other] += 1
    found = hubness(points, k)
    assert found.value == pytest.approx(scipy.stats.skew(counts)) != 0
    assert hubness(points, k, nearest_neighbours(points, 12).indices) == found
    drawn = np.random.default_rng(5).choice(counts, (3_000, 80))
    low, high = np.percentile(scipy.stats.skew(drawn, axis=1), [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_everyone_as_often():
    angles = np.arange(12) * 2 * np.pi / 12
    assert math.isnan(hubness(np.stack([np.cos(angles), np.sin(angles)], 1), 2).value)

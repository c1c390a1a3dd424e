"""Isotropy measures against their papers' steps, known spaces, and plain numpy."""

import math

import numpy as np
import pytest

from metrics import blocks
from metrics.isotropy import (
    covariance_measures,
    effective_rank,
    effective_rank_of_variances,
    isoscore,
    isoscore_of_variances,
    participation_ratio,
)


def isoscore_step_by_step(points):
    """Algorithm 1 of the paper, with a principal component analysis of its own."""
    centred = points - points.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=True)
    rotated = centred @ axes.T
    variances = [sum(x * x for x in column) / (len(points) - 1) for column in rotated.T]
    n = len(variances)
    norm = math.sqrt(sum(v * v for v in variances))
    normalised = [math.sqrt(n) * v / norm for v in variances]
    defect = math.sqrt(sum((v - 1) ** 2 for v in normalised)) / math.sqrt(2 * (n - math.sqrt(n)))
    share = (n - defect**2 * (n - math.sqrt(n))) ** 2 / n**2
    return (n * share - 1) / (n - 1)


def effective_rank_step_by_step(points):
    values = np.linalg.svd(np.cov(points.T), compute_uv=False)
    shares = [value / values.sum() for value in values if value > 1e-15]
    return math.exp(-sum(share * math.log(share) for share in shares))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(("documents", "hidden"), [(60, 5), (12, 20), (200, 2)])
def test_equal_to_the_steps_of_the_papers(documents, hidden, dtype, monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_NUMBERS", 7 * hidden)
    rng = np.random.default_rng(hidden)
    points = (rng.normal(size=(documents, hidden)) * rng.uniform(0.2, 3, hidden) + 5).astype(dtype)
    exact = points.astype(np.float64)
    assert isoscore(points).value == pytest.approx(isoscore_step_by_step(exact), abs=1e-9)
    assert effective_rank(points).value == pytest.approx(effective_rank_step_by_step(exact), rel=1e-9)
    covariance = np.cov(exact.T)
    expected = np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    assert participation_ratio(points).value == pytest.approx(expected, rel=1e-9)


def test_a_line_and_a_ball():
    rng = np.random.default_rng(0)
    line = rng.normal(size=(500, 1)) * rng.normal(size=8) + 3
    for name, value in {"isoscore": 0, "effective_rank": 1, "participation_ratio": 1}.items():
        assert covariance_measures(line)[name].value == pytest.approx(value, abs=1e-6)
    ball = covariance_measures(rng.normal(size=(20_000, 8)))
    assert ball["isoscore"].value == pytest.approx(1, abs=0.01)
    assert ball["effective_rank"].value == pytest.approx(8, abs=0.01)
    assert ball["participation_ratio"].value == pytest.approx(8, abs=0.02)


@pytest.mark.parametrize("used", [1, 2, 5, 10])
def test_known_variances(used):
    variances = np.repeat([1.0, 0.0], [used, 10 - used])
    # The paper's closed form: the share of dimensions used.
    assert isoscore_of_variances(variances) == pytest.approx((used - 1) / 9)
    assert effective_rank_of_variances(variances) == pytest.approx(used)


def test_neither_shift_nor_scale_nor_rotation_counts():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(80, 4)) * [1, 2, 3, 4]
    turned = 1e-8 * (points @ np.linalg.qr(rng.normal(size=(4, 4)))[0] + 1e3)
    for name, measure in covariance_measures(points).items():
        assert covariance_measures(turned)[name].value == pytest.approx(measure.value, rel=1e-6)


def test_intervals_cover_what_other_documents_give():
    rng = np.random.default_rng(2)
    spread = np.linspace(1, 3, 6)
    draws = [covariance_measures(rng.normal(size=(300, 6)) * spread) for _ in range(60)]
    truth = covariance_measures(rng.normal(size=(100_000, 6)) * spread)
    for name in truth:
        covered = sum(draw[name].low <= truth[name].value <= draw[name].high for draw in draws)
        assert 50 <= covered <= 60
        width = np.mean([draw[name].high - draw[name].low for draw in draws])
        assert width == pytest.approx(2 * 2.26 * np.std([draw[name].value for draw in draws]), rel=0.4)


def test_groups_are_left_out_one_by_one():
    points = np.random.default_rng(3).normal(size=(40, 3)) * [1, 2, 3]
    found = covariance_measures(points, seed=5)["participation_ratio"]
    groups = np.random.default_rng([5, 7]).permutation(40) % 10
    without = [participation_ratio(points[groups != group]).value for group in range(10)]
    error = math.sqrt(9 / 10 * sum((value - np.mean(without)) ** 2 for value in without))
    assert found.high - found.value == pytest.approx(2.2621571 * error, rel=1e-6)


@pytest.mark.parametrize("documents", [0, 1, 5])
@pytest.mark.parametrize("value", [0.0, 0.1])
def test_nothing_varies(documents, value):
    points = np.full((documents, 4), value, dtype=np.float32)
    assert all(math.isnan(measure.value) and measure.low is None for measure in covariance_measures(points).values())


def test_degenerate_shapes():
    points = np.random.default_rng(4).normal(size=(30, 1))
    found = covariance_measures(points)
    assert math.isnan(found["isoscore"].value) and found["effective_rank"].value == pytest.approx(1)
    assert covariance_measures(points[:5])["effective_rank"].low is None
    with pytest.raises(ValueError, match="row 2 "):
        isoscore(np.array([[1.0, 2], [3, 4], [np.inf, 1]]))

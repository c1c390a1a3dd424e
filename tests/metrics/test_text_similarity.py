"""Spearman's correlation of cosines and ratings against scipy."""

import math

import numpy as np
import pytest
import scipy.stats

from metrics.text_similarity import spearman_of_cosines


def sample(pairs=80, seed=0):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(pairs, 5))
    ratings = rng.integers(0, 6, pairs) / 2
    second = first * ratings[:, None] + 2 * rng.normal(size=(pairs, 5))
    return first, second, ratings


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_to_scipy(dtype):
    first, second, ratings = sample()
    first, second = first.astype(dtype), second.astype(dtype)
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        for a, b in zip(first.astype(float), second.astype(float), strict=True)
    ]
    found = spearman_of_cosines(first, second, ratings)
    assert found.value == pytest.approx(scipy.stats.spearmanr(cosines, ratings).statistic)


def test_interval_is_that_of_a_bootstrap_with_scipy():
    first, second, ratings = sample(40)
    cosines = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    drawn = np.random.default_rng(1).integers(0, 40, (700, 40))
    values = [scipy.stats.spearmanr(cosines[rows], ratings[rows]).statistic for rows in drawn]
    low, high = np.percentile(values, [2.5, 97.5])
    found = spearman_of_cosines(first, second, ratings)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * (high - low))


def test_literal_cases():
    angles = np.radians([0, 20, 40, 80])
    first, second = np.tile([1.0, 0.0], (4, 1)), np.stack([np.cos(angles), np.sin(angles)], 1)
    assert spearman_of_cosines(first, second, [9, 5, 2, 1]).value == pytest.approx(1)
    assert spearman_of_cosines(first, 7 * second, [1, 5, 6, 7]).value == pytest.approx(-1)
    assert spearman_of_cosines(first, second, [9, 2, 5, 1]).value == pytest.approx(0.8)


def test_pairs_without_direction_are_left_out():
    first, second, ratings = sample()
    expected = spearman_of_cosines(first[2:], second[2:], ratings[2:])
    first[0], second[1] = 0, 0
    assert spearman_of_cosines(first, second, ratings) == expected


@pytest.mark.parametrize("pairs", [0, 1, 2])
def test_too_few_pairs(pairs):
    first, second, ratings = sample()
    assert math.isnan(spearman_of_cosines(first[:pairs], second[:pairs], ratings[:pairs]).value)


def test_nothing_to_rank():
    first, second, ratings = sample()
    for found in (spearman_of_cosines(first, second, np.ones(80)), spearman_of_cosines(first, 3 * first, ratings)):
        assert math.isnan(found.value) and found.low is None


def test_faults_are_refused():
    first, second, ratings = sample()
    with pytest.raises(ValueError, match="ratings of shape"):
        spearman_of_cosines(first, second, ratings[1:])
    with pytest.raises(ValueError, match="embeddings of shapes"):
        spearman_of_cosines(first, second[:, 1:], ratings)
    ratings[6] = np.nan
    with pytest.raises(ValueError, match="rating in row 6 "):
        spearman_of_cosines(first, second, ratings)

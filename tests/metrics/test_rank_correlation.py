"""Rank correlation over models, within tasks."""

import math

import numpy as np
import pytest
from scipy.stats import permutation_test, spearmanr

from metrics.rank_correlation import rank_correlation


def _task(seed, models, slope=1.0):
    generator = np.random.default_rng(seed)
    measure = generator.normal(size=models)
    return measure, slope * measure + generator.normal(size=models)


def test_one_task_is_spearman_with_an_exact_test():
    measure, score = _task(0, 6)
    found = rank_correlation([(measure, score)])
    assert found.value == pytest.approx(spearmanr(measure, score).statistic)
    exact = permutation_test(
        (measure,), lambda x: spearmanr(x, score).statistic, permutation_type="pairings", n_resamples=np.inf
    )
    assert found.p_value == pytest.approx(exact.pvalue, abs=1e-3)
    assert found.low <= found.value <= found.high and found.points == 6


def test_tasks_are_averaged_by_their_models_and_never_ranked_together():
    first, second = _task(1, 5), _task(2, 9)
    shifted = (second[0], second[1] + 100)  # another task may have other scores altogether
    found = rank_correlation([first, shifted])
    expected = [spearmanr(*first).statistic, spearmanr(*second).statistic]
    np.testing.assert_allclose(found.by_task, expected)
    assert found.value == pytest.approx((4 * expected[0] + 8 * expected[1]) / 12)


def test_a_perfect_order_has_the_smallest_p_value():
    found = rank_correlation([(np.arange(4.0), np.arange(4.0))])
    assert found.value == pytest.approx(1) and found.p_value == pytest.approx(2 / 24)


def test_chance_is_seldom_significant():
    p_values = [rank_correlation([_task(seed, 8, 0.0)], resamples=300).p_value for seed in range(150)]
    assert 0.0 < np.mean(np.array(p_values) <= 0.1) < 0.18


def test_what_cannot_be_correlated_is_left_out():
    good = _task(3, 6)
    constant = (np.ones(6), np.arange(6.0))
    small = (np.arange(3.0), np.arange(3.0))
    holed = (np.array([*good[0], math.nan]), np.array([*good[1], 1.0]))
    found = rank_correlation([holed, constant, small])
    assert found.value == pytest.approx(spearmanr(*good).statistic) and found.points == 6
    assert math.isnan(found.by_task[1]) and math.isnan(found.by_task[2])
    nothing = rank_correlation([constant])
    assert math.isnan(nothing.value) and nothing.low is None and nothing.points == 0
    with pytest.raises(ValueError, match="measures for"):
        rank_correlation([(np.ones(3), np.ones(4))])

"""Intervals over documents against numpy and known spreads."""

import math

import numpy as np
import pytest

from metrics import document_intervals
from metrics.document_intervals import (
    jackknife,
    mean_over_documents,
    mean_over_pairs,
    measured,
    random_groups,
    resampled_sums,
)
from metrics.measured import Measured


@pytest.mark.parametrize("counted", [100, 2**22])
def test_sums_of_documents_drawn_anew(counted, monkeypatch):
    monkeypatch.setattr(document_intervals, "_COUNTED", counted)
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, (60, 2))
    found = resampled_sums(values, seed=3)
    assert found.shape == (1_000, 2)
    assert found.mean(0) == pytest.approx(values.sum(0), rel=0.01)
    assert found.std(0) == pytest.approx(math.sqrt(60) * values.std(0), rel=0.08)
    # Each is a sum of documents: whole numbers stay whole.
    assert resampled_sums(np.arange(7), 1) == pytest.approx(np.rint(resampled_sums(np.arange(7), 1)), abs=1e-9)
    # The same documents for every column and call.
    assert resampled_sums(values[:, 1], seed=3) == pytest.approx(found[:, 1])
    assert resampled_sums(values, seed=4)[0] != pytest.approx(found[0])


def test_many_documents_are_drawn_in_groups(monkeypatch):
    monkeypatch.setattr(document_intervals, "_MOST_DRAWN", 400)
    values = 100 + np.random.default_rng(1).normal(size=1_333)
    found = resampled_sums(values)
    assert found.mean() == pytest.approx(values.sum(), abs=5)
    # Not that of groups of three and of four documents, whose sums differ by a hundred.
    assert found.std() == pytest.approx(math.sqrt(1_333) * values.std(), rel=0.12)


def test_mean_over_documents_is_a_plain_bootstrap():
    values = np.random.default_rng(2).exponential(size=80)
    drawn = np.random.default_rng(3).choice(values, (4_000, 80)).mean(1)
    found = mean_over_documents(values)
    assert found.value == pytest.approx(values.mean())
    width = np.ptp(np.percentile(drawn, [2.5, 97.5]))
    assert (found.low, found.high) == pytest.approx(np.percentile(drawn, [2.5, 97.5]), abs=0.1 * width)
    assert math.isnan(mean_over_documents(np.empty(0)).value)
    assert mean_over_documents(np.array([4.0])) == Measured(4.0)


def test_mean_over_pairs_with_unequal_numbers_of_partners():
    values = np.array([[0, 1, 2, 0], [1, 0, 4, 0], [2, 4, 0, 3], [0, 0, 3, 0]], dtype=float)
    partners = (values > 0).sum(1)
    found = mean_over_pairs(values.sum(1), partners)
    assert found.value == pytest.approx((1 + 2 + 4 + 3) / 4) and found.low < found.value < found.high
    assert mean_over_pairs(values.sum(1), partners, logarithm=True).value == pytest.approx(math.log(2.5))
    assert math.isnan(mean_over_pairs(np.zeros(3), np.zeros(3)).value)
    assert mean_over_pairs(np.zeros(3), 2, logarithm=True) == Measured(-math.inf)


def test_no_interval_where_most_resamples_are_undefined():
    assert measured(1.0, np.array([1, np.nan, np.nan])) == Measured(1.0)
    assert measured(math.nan, np.ones(5)).low is None
    found = measured(1.0, np.array([0.0, 1.0, 2.0, np.nan]))
    assert (found.low, found.high) == pytest.approx((0.05, 1.95))


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(4).normal(size=50)
    groups = random_groups(50, 50 // 2, seed=1)
    assert sorted(np.concatenate(groups)) == list(range(50)) and {len(group) for group in groups} == {2}
    found = jackknife(values.mean(), [np.delete(values, group).mean() for group in groups])
    sums = np.array([values[group].mean() for group in groups])
    assert found.high - found.value == pytest.approx(2.0638986 * sums.std(ddof=1) / 5, rel=1e-6)
    assert random_groups(19, 10) == [] and jackknife(3.0, []) == Measured(3.0)
    assert jackknife(3.0, [1.0, math.nan]) == Measured(3.0)

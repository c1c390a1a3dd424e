"""Membership attacks: literal cases, scikit-learn's curve for every resample, intervals that cover."""

import numpy as np
import pytest
from sklearn.metrics import auc, roc_curve

from metrics.membership import _weighted_numbers, group_means, membership_attack


def test_perfect_reversed_and_constant_scores():
    high, low = np.arange(10.0) + 100, np.arange(10.0)
    told = membership_attack(high, low, resamples=50)
    assert told.auc.value == 1 and told.auc.low == told.auc.high == 1
    assert told.true_positive_rates[0.01].value == 1
    assert membership_attack(low, high, resamples=50).auc.value == 0
    same = membership_attack(np.zeros(5), np.zeros(7), resamples=50)
    assert same.auc.as_dict() == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert same.true_positive_rates[0.01].value == 0 and (same.members, same.nonmembers) == (5, 7)


def test_a_literal_case():
    # Of 3 x 2 pairs, 4 in order and one tie: 4.5 / 6. Only the best member is above all non-members.
    attack = membership_attack(np.array([5.0, 3.0, 1.0]), np.array([3.0, 0.5]), resamples=0)
    assert attack.auc.value == pytest.approx(4.5 / 6) and attack.auc.low is None
    assert attack.true_positive_rates[0.01].value == pytest.approx(1 / 3)
    assert attack.curve[0].tolist() == [0, pytest.approx(1 / 3)] and attack.curve[-1].tolist() == [1, 1]


def test_resamples_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    scores = random.integers(0, 12, 60).astype(float)  # many ties
    truth = np.repeat([1, 0], 30)
    weights = random.integers(0, 4, (5, 60)).astype(float)
    found = _weighted_numbers(scores, truth, weights, (0.1, 0.4))
    for row, weight in zip(found, weights, strict=True):
        false, true, _ = roc_curve(truth, scores, sample_weight=weight, drop_intermediate=False)
        expected = [auc(false, true), *(true[false <= rate].max() for rate in (0.1, 0.4))]
        assert row == pytest.approx(expected)


def test_intervals_cover_chance_and_widen_when_documents_come_in_groups():
    covered, widths = 0, []
    for seed in range(25):
        random = np.random.default_rng(seed)
        groups = np.repeat(np.arange(20), 5)
        members, others = (np.repeat(random.normal(size=20), 5) + 0.1 * random.normal(size=100) for _ in range(2))
        grouped = membership_attack(members, others, groups, groups, resamples=200, seed=seed).auc
        single = membership_attack(members, others, resamples=200, seed=seed).auc
        covered += grouped.low <= 0.5 <= grouped.high
        widths.append((grouped.high - grouped.low) / (single.high - single.low))
    assert covered >= 21
    assert np.mean(widths) > 1.8  # five documents that say the same are one


def test_the_same_seed_gives_the_same_interval():
    random = np.random.default_rng(1)
    members, others = random.normal(1, 1, 50), random.normal(size=50)
    first, again, other = (membership_attack(members, others, seed=seed).auc for seed in (3, 3, 4))
    assert first == again and first.low != other.low and first.low > 0.5


def test_group_means_and_faults():
    assert group_means(np.array([1.0, 2.0, 6.0]), ["b", "a", "b"]).tolist() == [3.5, 2]
    with pytest.raises(ValueError, match="members and non-members"):
        membership_attack(np.empty(0), np.ones(3))
    with pytest.raises(ValueError, match="not finite"):
        membership_attack(np.array([np.nan]), np.ones(3))

"""The linear bootstrap of the AUROC against ranking each resample anew."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from metrics import auroc_bootstrap
from metrics.auroc_bootstrap import placements, resample_aurocs
from metrics.binary_scores import resample_binary_scores, resample_patients
from metrics.intervals import paired_difference


def made(count=1500, seed=0):
    generator = np.random.default_rng(seed)
    outcomes = (generator.random(count) < 0.3) * 1
    systems = [
        [np.round(generator.normal(shift * outcomes, 1), 1) for _ in range(2)]  # with ties
        for shift in (1.5, 1.6)
    ]
    return systems, outcomes, np.arange(count) // 2 + 0


def test_placements_are_shares_of_pairs():
    scores, outcomes = np.array([0.1, 0.4, 0.4, 0.9, 0.2]), np.array([0, 1, 0, 1, 0])
    area, influence = placements(scores, outcomes)
    assert area == pytest.approx(roc_auc_score(outcomes, scores)) == pytest.approx(5.5 / 6)
    # Of the negatives 0.1, 0.4, 0.2 the positive 0.4 is above two and level with one, 0.9 above all.
    expected = np.array([1, 2.5 / 3, 0.75, 1, 1]) - 5.5 / 6
    np.testing.assert_allclose(influence, expected / np.array([3, 2, 3, 2, 3]))
    assert influence.sum() == pytest.approx(0)


def test_the_linear_part_gives_the_same_intervals(monkeypatch):
    systems, outcomes, patients = made()
    counts = resample_patients(outcomes, patients, 400, 0)
    exact = resample_aurocs(systems, outcomes, counts)
    for one, scores in zip(exact, systems, strict=True):
        np.testing.assert_array_equal(one.resampled, resample_binary_scores(scores, outcomes, counts).resampled)
    monkeypatch.setattr(auroc_bootstrap, "MANY", 100)
    linear = resample_aurocs(systems, outcomes, counts)
    for one, other in zip(exact, linear, strict=True):
        np.testing.assert_allclose(one.observed, other.observed)
        spread = one.resampled.std()
        assert np.abs(one.resampled - other.resampled).std() < 3 * spread / np.sqrt(len(outcomes))
    first, second = (paired_difference(two[1], two[0], 0) for two in (exact, linear))
    assert first.difference == pytest.approx(second.difference)
    np.testing.assert_allclose(first.interval, second.interval, atol=0.1 * abs(first.interval[1] - first.interval[0]))

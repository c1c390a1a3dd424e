"""AUROC, AUPRC, Brier and their bootstrap against scikit-learn and plain loops."""

import math

import numpy as np
import pytest
import sklearn.metrics

from metrics.binary_scores import (
    RESAMPLED_METRICS,
    binary_scores,
    resample_binary_scores,
    resample_patients,
    scores_of_resamples,
)
from metrics.intervals import paired_difference, percentile_interval

ORACLES = {
    "auroc": sklearn.metrics.roc_auc_score,
    "auprc": sklearn.metrics.average_precision_score,
    "brier": sklearn.metrics.brier_score_loss,
}


def sample(count=120, seed=0, ties=False):
    rng = np.random.default_rng(seed)
    outcomes = (rng.random(count) < 0.3).astype(np.int64)
    scores = np.clip(0.3 + 0.25 * outcomes + 0.2 * rng.normal(size=count), 0, 1)
    return (np.round(scores, 1) if ties else scores), outcomes


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("metric", RESAMPLED_METRICS)
def test_equal_to_scikit_learn_on_every_resample(metric, ties):
    scores, outcomes = sample(ties=ties)
    counts = resample_patients(outcomes, np.arange(120) // 2, 20, 0)
    found = scores_of_resamples(scores, outcomes, counts, metric)
    for value, times in zip(found, counts, strict=True):
        rows = np.repeat(np.arange(120), times)
        assert value == pytest.approx(ORACLES[metric](outcomes[rows], scores[rows]), abs=1e-12)


def test_binary_scores_of_a_literal_case():
    found = binary_scores(np.array([0.9, 0.6, 0.4, 0.2]), np.array([1, 0, 1, 0]))
    assert found["auroc"] == pytest.approx(3 / 4)
    assert found["auprc"] == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert found["brier"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.04) / 4)
    # Confidences 0.9, 0.6, 0.6, 0.8 in three bins; right, wrong, wrong, right.
    assert found["ece"] == pytest.approx((0.1 + 1.2 + 0.2) / 4)


def test_blocks_of_resamples_change_nothing(monkeypatch):
    scores, outcomes = sample()
    counts = resample_patients(outcomes, np.arange(120), 30, 1)
    whole = {metric: scores_of_resamples(scores, outcomes, counts, metric) for metric in RESAMPLED_METRICS}
    monkeypatch.setattr("metrics.binary_scores._VALUES", 250)
    for metric, expected in whole.items():
        assert scores_of_resamples(scores, outcomes, counts, metric) == pytest.approx(expected, rel=1e-14)


def test_patients_are_drawn_whole_and_within_their_kind():
    outcomes = np.array([1, 0, 0, 0, 1, 0, 0, 0, 0, 0])
    patients = np.array(["b", "b", "a", "a", "c", "d", "e", "f", "f", "g"])
    counts = resample_patients(outcomes, patients, 500, 3)
    for patient in "abf":
        assert (counts[:, patients == patient][:, 0] == counts[:, patients == patient].T).all()
    first = {patient: counts[:, np.flatnonzero(patients == patient)[0]] for patient in "abcdefg"}
    assert (first["b"] + first["c"] == 2).all()
    assert (sum(first[patient] for patient in "adefg") == 5).all()
    assert np.mean(first["d"]) == pytest.approx(1, abs=0.15)
    assert np.var(first["d"]) == pytest.approx(0.8, abs=0.2)


def test_interval_covers_the_true_area():
    # Normal scores one deviation apart: the area is Phi(1 / sqrt 2).
    truth, covered = 0.5 * (1 + math.erf(0.5)), 0
    for seed in range(60):
        rng = np.random.default_rng([7, seed])
        outcomes = np.repeat([0, 1], [70, 40])
        scores = rng.normal(size=110) + outcomes
        found = resample_binary_scores([scores], outcomes, resample_patients(outcomes, np.arange(110), 300, seed))
        low, high = percentile_interval(found)
        covered += low <= truth <= high
    assert 60 * 0.95 - 3.5 * math.sqrt(60 * 0.95 * 0.05) <= covered


def test_patients_with_several_encounters_widen_the_interval():
    rng = np.random.default_rng(0)
    outcomes = np.repeat(rng.integers(0, 2, 60), 6)
    scores = np.repeat(rng.normal(size=60), 6) + 0.8 * outcomes
    widths = []
    for patients in (np.arange(360), np.arange(360) // 6):
        low, high = percentile_interval(
            resample_binary_scores([scores], outcomes, resample_patients(outcomes, patients, 500, 0))
        )
        widths.append(high - low)
    assert widths[1] == pytest.approx(math.sqrt(6) * widths[0], rel=0.25)


def test_paired_difference_of_systems_and_seeds():
    better, outcomes = sample(400)
    worse = 0.5 * better + 0.5 * np.random.default_rng(5).random(400)
    counts = resample_patients(outcomes, np.arange(400), 400, 0)
    first = resample_binary_scores([better, better], outcomes, counts)
    second = resample_binary_scores([worse, worse], outcomes, counts)
    assert first.observed.shape == (2,) and first.resampled.shape == (2, 400)
    lead = paired_difference(first, second)
    assert lead.difference == pytest.approx(
        sklearn.metrics.roc_auc_score(outcomes, better) - sklearn.metrics.roc_auc_score(outcomes, worse)
    )
    assert lead.interval[0] < lead.difference < lead.interval[1] and lead.p_value < 0.05
    none = paired_difference(first, first)
    assert none.difference == 0 and none.interval == (0, 0) and none.p_value == 1


@pytest.mark.parametrize("outcome", [0, 1])
def test_one_outcome_has_no_area(outcome):
    found = binary_scores(np.array([0.2, 0.7]), np.array([outcome, outcome]))
    assert math.isnan(found["auroc"])
    assert found["brier"] == pytest.approx(np.mean((np.array([0.2, 0.7]) - outcome) ** 2))


def test_faults_of_the_caller():
    good = np.array([0.1, 0.9]), np.array([0, 1])
    for scores, outcomes, word in (
        (good[0], np.array([0, 2]), "neither 0 nor 1"),
        (np.array([0.1, math.nan]), good[1], "row 1"),
        (np.array([0.1]), good[1], "shape"),
        (np.array([-0.1, 0.5]), good[1], "from 0 to 1"),
    ):
        with pytest.raises(ValueError, match=word):
            binary_scores(scores, outcomes)
    with pytest.raises(ValueError, match="no resampling of f1"):
        scores_of_resamples(*good, np.ones((1, 2)), "f1")
    with pytest.raises(ValueError, match="counts of shape"):
        scores_of_resamples(*good, np.ones((1, 3)), "auroc")

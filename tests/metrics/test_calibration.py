"""Calibration against literal cases, plain loops and scikit-learn."""

import inspect
import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from metrics.calibration import brier_score, expected_calibration_error


def pairs(*confidences):
    return np.array([[value, 1 - value] for value in confidences])


def test_calibration_error_literally():
    # Bins of a fifth. (0.6, 0.8]: 0.7 and 0.8, mean 0.75, one of two right, gap 0.25. (0.8, 1]: 0.9, right, gap 0.1.
    # (0.4, 0.6]: 0.6 on the edge, wrong, gap 0.6.
    probabilities, targets = pairs(0.7, 0.8, 0.9, 0.6), np.array([0, 1, 0, 1])
    expected = (2 * 0.25 + 1 * 0.1 + 1 * 0.6) / 4
    assert expected_calibration_error(probabilities, targets, bins=5) == pytest.approx(expected)
    # One bin: mean confidence 0.75, half right.
    assert expected_calibration_error(probabilities, targets, bins=1) == pytest.approx(0.25)
    assert expected_calibration_error(pairs(1.0, 1.0, 0.0), np.array([0, 0, 1])) == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_calibration_error_equals_plain_loops(dtype):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.5] * 4, 300).astype(dtype)
    targets = rng.integers(0, 4, 300)
    bins: dict[int, list] = {}
    for row, target in zip(probabilities.tolist(), targets.tolist(), strict=True):
        best = max(range(4), key=row.__getitem__)
        bins.setdefault(math.ceil(row[best] * 15), []).append((row[best], best == target))
    expected = sum(
        len(members) / 300 * abs(np.mean([c for c, _ in members]) - np.mean([r for _, r in members]))
        for members in bins.values()
    )
    assert expected_calibration_error(probabilities, targets) == pytest.approx(expected)
    assert expected > 0.2


def test_brier_score_literally():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.5, 0.3]])
    expected = ((0.2**2 + 0.1**2 + 0.1**2) + (0.2**2 + 0.5**2 + 0.7**2)) / 2
    assert brier_score(probabilities, np.array([0, 2])) == pytest.approx(expected)
    assert brier_score(np.eye(3), np.arange(3)) == 0
    assert brier_score(np.eye(3), np.array([1, 2, 0])) == 2  # its worst
    several = np.array([[1, 1, 0], [0, 0, 0]])
    expected = ((0.2**2 + 0.9**2 + 0.1**2) + (0.2**2 + 0.5**2 + 0.3**2)) / 2
    assert brier_score(probabilities, several) == pytest.approx(expected)


@pytest.mark.skipif("scale_by_half" not in inspect.signature(brier_score_loss).parameters, reason="scikit-learn < 1.7")
def test_brier_score_equals_scikit_learn():
    rng = np.random.default_rng(1)
    probabilities, targets = rng.dirichlet([1] * 5, 80), rng.integers(0, 5, 80)
    expected = brier_score_loss(targets, probabilities, labels=range(5), scale_by_half=False)
    assert brier_score(probabilities, targets) == pytest.approx(expected)


def test_nothing_to_score_gives_no_number():
    assert math.isnan(expected_calibration_error(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)))
    assert math.isnan(brier_score(np.zeros((0, 3)), np.zeros(0, dtype=np.int64)))

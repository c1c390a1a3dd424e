"""The metrics as `evaluate` runs them, without a network."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from metrics.calibration import brier_score, expected_calibration_error
from metrics.evaluate_metrics import Calibration, MacroF1
from metrics.intervals import bootstrap_interval


def test_macro_f1_in_batches(tmp_path):
    rng = np.random.default_rng(0)
    true, said = rng.integers(0, 3, (2, 60))
    metric = MacroF1(cache_dir=str(tmp_path))
    for start in (0, 25):
        batch = slice(start, 25 if start == 0 else None)
        metric.add_batch(predictions=said[batch], references=true[batch])
    found = metric.compute(resamples=200, seed=4)
    low, high = bootstrap_interval([said], true, 200, seed=4)
    assert found == pytest.approx(
        {"f1_macro": f1_score(true, said, average="macro"), "f1_macro_low": low, "f1_macro_high": high}
    )
    assert low < found["f1_macro"] < high


def test_macro_f1_of_several_categories(tmp_path):
    rng = np.random.default_rng(1)
    true, said = (rng.random((2, 40, 3)) < 0.5).astype(int)
    found = MacroF1("multilabel", cache_dir=str(tmp_path)).compute(predictions=said, references=true, resamples=100)
    assert found["f1_macro"] == pytest.approx(f1_score(true, said, average="macro"))
    assert found["f1_macro_low"] < found["f1_macro"] < found["f1_macro_high"]


def test_calibration(tmp_path):
    rng = np.random.default_rng(2)
    probabilities, targets = rng.dirichlet([1] * 3, 50), rng.integers(0, 3, 50)
    metric = Calibration(cache_dir=str(tmp_path))
    assert metric.compute(predictions=probabilities, references=targets, bins=10) == pytest.approx(
        {"ece": expected_calibration_error(probabilities, targets, 10), "brier": brier_score(probabilities, targets)}
    )

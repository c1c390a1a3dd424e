"""Scores as `evaluate.Metric`: accumulate with `add_batch`, combine with others, use where a Trainer expects one.

Importing this module imports `evaluate`, which takes seconds. The metrics are made directly, without `evaluate.load`,
which would look for a script on the Hub:

    metric = MacroF1()
    metric.add_batch(predictions=[0, 1], references=[0, 0])
    metric.compute(resamples=1_000)
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

from metrics.calibration import brier_score, expected_calibration_error
from metrics.intervals import percentile_interval, resample_scores, resample_within_classes

MULTI_LABEL = "multilabel"


class MacroF1(evaluate.Metric):
    """Macro-F1 with its bootstrap interval over the documents.

    `compute(predictions, references, resamples=1000, seed=0)` gives `f1_macro`, `f1_macro_low` and `f1_macro_high`.
    Predictions and references are class numbers; lists of 0 and 1 for each category with
    `MacroF1("multilabel")`.
    """

    def _info(self) -> evaluate.MetricInfo:
        value = datasets.Value("int64")
        if self.config_name == MULTI_LABEL:
            value = datasets.Sequence(value)
        return evaluate.MetricInfo(
            description="Macro-averaged F1 with a 95 % bootstrap interval over the documents.",
            citation="",
            inputs_description="Class numbers, or lists of 0 and 1 for each category.",
            features=datasets.Features({"predictions": value, "references": value}),
        )

    def _compute(self, predictions: Any, references: Any, resamples: int = 1_000, seed: int = 0) -> dict[str, float]:
        said, true = np.asarray(predictions), np.asarray(references)
        scores = resample_scores([said], true, resample_within_classes(true, resamples, seed))
        low, high = percentile_interval(scores, seed)
        return {"f1_macro": scores.mean, "f1_macro_low": low, "f1_macro_high": high}


class Calibration(evaluate.Metric):
    """Expected calibration error (`ece`) and Brier score (`brier`).

    `compute(predictions, references, bins=15)` takes the probabilities of all classes and the class numbers.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Expected calibration error (Guo et al. 2017) and multi-class Brier score (Brier 1950).",
            citation="",
            inputs_description="Probabilities of the classes, and class numbers.",
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float64")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions: Any, references: Any, bins: int = 15) -> dict[str, float]:
        probabilities, targets = np.asarray(predictions), np.asarray(references)
        return {
            "ece": expected_calibration_error(probabilities, targets, bins),
            "brier": brier_score(probabilities, targets),
        }

"""Bootstrap intervals and tests of classification scores, over the test documents and the seeds.

A system trained with several seeds gives several predictions for the same documents. Both the documents and the seeds
are drawn anew in every resample (the pigeonhole bootstrap of Owen 2007, Annals of Applied Statistics 1(2), which errs
on the side of wide intervals), so that an interval tells what other documents and other training samples would do.
Five seeds say little about seeds: where the scores differ more between seeds than between resamples of the documents,
intervals of 95 % cover nearer 90 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Scores that follow from how often each class is right, true and predicted, which is what makes resampling fast.
RESAMPLED_METRICS = ("f1_macro", "accuracy", "precision_macro", "recall_macro", "f1_weighted", "f1_micro")


@dataclass(frozen=True)
class ResampledScores:
    """Scores of one system.

    Args:
        observed: `(seeds,)` on the test documents as they are.
        resampled: `(seeds, resamples)` on the resamples.
    """

    observed: np.ndarray
    resampled: np.ndarray

    @property
    def mean(self) -> float:
        """The observed score, averaged over the seeds."""
        return float(self.observed.mean())


@dataclass(frozen=True)
class PairedDifference:
    """How far the first of two systems is ahead of the second.

    Args:
        difference: Of the observed scores, averaged over the seeds.
        interval: 95 % percentile interval.
        p_value: Two-sided; above 0 and at most 1.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float


def resample_within_classes(targets: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Draw bootstrap resamples of the test documents within each class.

    Every resample has as many documents of each class as there are, so a class of one document does not vary. Documents
    with several categories each are drawn from all documents.

    Args:
        targets: `(documents,)` classes, or `(documents, categories)` of 0 and 1.
        resamples: How many.
        seed: Of the draw.

    Returns:
        `(resamples, documents)` times that each document is drawn.
    """
    generator = np.random.default_rng([seed, 1])
    strata = targets if targets.ndim == 1 else np.zeros(len(targets), dtype=np.int64)
    counts = np.zeros((resamples, len(targets)), dtype=np.int64)
    for name in np.unique(strata):
        rows = np.flatnonzero(strata == name)
        counts[:, rows] = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=resamples)
    return counts


def macro_f1_of_resamples(truth: np.ndarray, predicted: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Compute the macro-F1 of each resample, over the classes that it holds or that are predicted in it.

    Args:
        truth: `(documents,)` classes, or `(documents, categories)` of 0 and 1.
        predicted: The same shape.
        counts: `(resamples, documents)` times that each document is drawn.

    Returns:
        `(resamples,)` scores, equal to scikit-learn's `f1_score(average="macro")` on each resample.
    """
    return metric_of_resamples(truth, predicted, counts, "f1_macro")


def metric_of_resamples(truth: np.ndarray, predicted: np.ndarray, counts: np.ndarray, metric: str) -> np.ndarray:
    """Compute a score of each resample; see `macro_f1_of_resamples`.

    Args:
        truth: `(documents,)` classes, or `(documents, categories)` of 0 and 1.
        predicted: The same shape.
        counts: `(resamples, documents)` times that each document is drawn.
        metric: One of `RESAMPLED_METRICS`, as scikit-learn defines it with `zero_division=0`; classes that neither
            occur nor are predicted in a resample do not count.

    Returns:
        `(resamples,)` scores.
    """
    if metric not in RESAMPLED_METRICS:
        raise ValueError(f"no resampling of {metric}; choose from {', '.join(RESAMPLED_METRICS)}")
    # Whole numbers far below 2**24, so that float32 products are exact, and many times faster than those of integers.
    counts = np.asarray(counts, dtype=np.float32)
    if metric == "accuracy":
        right = truth == predicted if truth.ndim == 1 else (truth.astype(bool) == predicted.astype(bool)).all(1)
        return (counts @ right.astype(np.float32)).astype(np.float64) / counts.sum(1, dtype=np.float64)
    true, said = _indicators(truth, predicted)
    hits, true, said = (
        (counts @ part.astype(np.float32)).astype(np.float64) for part in (true & said, true, said)
    )  # each (resamples, classes)
    if metric == "f1_micro":
        return _share(2 * hits.sum(1), true.sum(1) + said.sum(1))
    if metric == "precision_macro":
        scores = _share(hits, said)
    elif metric == "recall_macro":
        scores = _share(hits, true)
    else:
        scores = _share(2 * hits, true + said)
    weights = true if metric == "f1_weighted" else true + said > 0
    return _share((scores * weights).sum(1), weights.sum(1))


def resample_scores(
    predictions_by_seed: Sequence[np.ndarray], targets: np.ndarray, counts: np.ndarray, metric: str = "f1_macro"
) -> ResampledScores:
    """Score every seed's predictions on the test documents and on their resamples.

    Args:
        predictions_by_seed: For each seed predictions of the shape of the targets.
        targets: `(documents,)` classes, or `(documents, categories)` of 0 and 1.
        counts: `(resamples, documents)` of `resample_within_classes`.
        metric: One of `RESAMPLED_METRICS`.

    Returns:
        The scores; systems scored on the same counts can be compared by `paired_difference`.
    """
    counts = np.concatenate([np.ones((1, len(targets)), dtype=np.float32), counts.astype(np.float32)])
    scores = np.stack([metric_of_resamples(targets, said, counts, metric) for said in predictions_by_seed])
    return ResampledScores(observed=scores[:, 0], resampled=scores[:, 1:])


def percentile_interval(scores: ResampledScores, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean over seeds, the seeds drawn with replacement as well."""
    return _percentiles(mean_over_drawn_seeds(scores.resampled, seed))


def paired_difference(
    first: ResampledScores, second: ResampledScores, seed: int = 0, *, same_seeds: bool | None = None
) -> PairedDifference:
    """Compare two systems on the same resamples of the documents.

    The p-value is the share of resampled differences that lie at least as far from the observed one as that lies from
    zero, both counted with the observation itself: `(count + 1) / (resamples + 1)` (Davison and Hinkley 1997, section
    4.2), so never 0.

    Args:
        first: Scores on the resamples.
        second: Scores on the same resamples.
        seed: Of the draw of seeds.
        same_seeds: Whether the systems' seeds stand for the same training samples, in the same order, so that they are
            drawn together; by default, whether there are as many.

    Returns:
        The first system's lead.
    """
    if same_seeds is None:
        same_seeds = len(first.observed) == len(second.observed)
    if same_seeds:
        differences = mean_over_drawn_seeds(first.resampled - second.resampled, seed)
    else:
        differences = mean_over_drawn_seeds(first.resampled, seed) - mean_over_drawn_seeds(
            second.resampled, seed, stream=3
        )
    observed = first.mean - second.mean
    # Differences that are equal but for rounding count as equal, and undefined ones speak against the observed one.
    nearer = np.abs(differences - observed) < abs(observed) - 1e-12
    beyond = len(differences) - int(nearer.sum())
    return PairedDifference(observed, _percentiles(differences), (beyond + 1) / (len(differences) + 1))


def bootstrap_interval(
    predictions_by_seed: Sequence[np.ndarray],
    targets: np.ndarray,
    resamples: int = 1_000,
    seed: int = 0,
    metric: str = "f1_macro",
) -> tuple[float, float]:
    """Return the 95 % interval of a system's score over test documents and seeds.

    Args:
        predictions_by_seed: For each seed predictions of the shape of the targets.
        targets: `(documents,)` classes, or `(documents, categories)` of 0 and 1.
        resamples: How many.
        seed: Of all draws.
        metric: One of `RESAMPLED_METRICS`.

    Returns:
        2.5th and 97.5th percentile of the mean over seeds.
    """
    counts = resample_within_classes(targets, resamples, seed)
    return percentile_interval(resample_scores(predictions_by_seed, targets, counts, metric), seed)


def paired_bootstrap(
    first_predictions_by_seed: Sequence[np.ndarray],
    second_predictions_by_seed: Sequence[np.ndarray],
    targets: np.ndarray,
    resamples: int = 1_000,
    seed: int = 0,
    metric: str = "f1_macro",
) -> PairedDifference:
    """Compare two systems' predictions for the same documents; see `paired_difference`.

    Args:
        first_predictions_by_seed: For each seed predictions of the shape of the targets.
        second_predictions_by_seed: The same of the other system. As many seeds are taken for the same training samples.
        targets: `(documents,)` classes, or `(documents, categories)` of 0 and 1.
        resamples: How many.
        seed: Of all draws.
        metric: One of `RESAMPLED_METRICS`.

    Returns:
        The first system's lead.
    """
    counts = resample_within_classes(targets, resamples, seed)
    first, second = (
        resample_scores(predictions, targets, counts, metric)
        for predictions in (first_predictions_by_seed, second_predictions_by_seed)
    )
    return paired_difference(first, second, seed)


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p-values for their number by the step-down method of Holm (1979, Scandinavian Journal of Statistics 6).

    Args:
        p_values: `(tests,)`.

    Returns:
        `(tests,)` adjusted p-values, in the given order: a test is significant at a family-wise error rate when its
        adjusted p-value is at most that.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1)), 1.0)
    return adjusted


def _indicators(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `(documents, classes)` truth values of each."""
    if truth.ndim == 2:
        return truth.astype(bool), predicted.astype(bool)
    names = np.unique(np.concatenate([truth, predicted]))
    return truth[:, None] == names, predicted[:, None] == names


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.shape(part)), where=whole > 0)


def mean_over_drawn_seeds(scores: np.ndarray, seed: int, stream: int = 2) -> np.ndarray:
    """Average `(seeds, resamples)` over seeds drawn with replacement, anew in every resample.

    One seed fewer is drawn than there are: so the variance is right, where as many would make it too small by the share
    of one seed, a fifth with five (McCarthy and Snowden 1985, Vital and Health Statistics 2(95)).
    """
    seeds, resamples = scores.shape
    draws = max(seeds - 1, 1)
    times = np.random.default_rng([seed, stream]).multinomial(draws, np.full(seeds, 1 / seeds), size=resamples)
    return np.einsum("rs,sr->r", times, scores) / draws


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    """Return the percentiles of the resamples whose score is defined; NaN where most are not."""
    finite = values[np.isfinite(values)]
    if 2 * len(finite) <= len(values):
        return math.nan, math.nan
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)

"""Scores of predicted probabilities of a binary outcome, and their bootstrap over encounters.

Encounters of one patient are drawn together. Systems scored on the same draws can be compared by
`metrics.intervals.paired_difference`, with `holm` for several comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.calibration import brier_score, expected_calibration_error
from metrics.intervals import ResampledScores

RESAMPLED_METRICS = ("auroc", "auprc", "brier")
_VALUES = 2**18  # of a block of resamples, so that it stays in the processor's cache


def binary_scores(probabilities: np.ndarray, outcomes: np.ndarray) -> dict[str, float]:
    """Return AUROC, AUPRC, Brier score and calibration error.

    Args:
        probabilities: `(n,)` of the outcome.
        outcomes: `(n,)` of 0 and 1.

    Returns:
        `auroc`: area under the ROC curve, ties counted half. `auprc`: average precision, the sum of precisions at each
        rise in recall, without interpolation. `brier`: mean squared distance to the outcome, from 0 to 1 (half of
        Brier's first form). `ece`: expected calibration error of the predicted class, 15 bins
        (`metrics.calibration`). The first two are not a number where only one outcome occurs.

    Raises:
        ValueError: The lengths differ, an outcome is neither 0 nor 1, or a probability is not from 0 to 1.
    """
    probabilities, outcomes = _checked(probabilities, outcomes)
    if len(probabilities) and not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise ValueError("a probability is not from 0 to 1")
    both = np.stack([1 - probabilities, probabilities], axis=1)
    ones = np.ones((1, len(outcomes)))
    return {
        "auroc": float(scores_of_resamples(probabilities, outcomes, ones, "auroc")[0]),
        "auprc": float(scores_of_resamples(probabilities, outcomes, ones, "auprc")[0]),
        "brier": brier_score(both, outcomes) / 2,
        "ece": expected_calibration_error(both, outcomes),
    }


def resample_patients(outcomes: np.ndarray, patients: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Draw bootstrap resamples of patients, within those who ever have the outcome and those who never have.

    So every resample has as many patients of each kind as there are and, where each has one encounter, as many
    encounters of each outcome.

    Args:
        outcomes: `(n,)` of 0 and 1.
        patients: `(n,)` ids.
        resamples: How many.
        seed: Of the draw.

    Returns:
        `(resamples, n)` int16 times that each encounter is drawn; those of one patient equally often.
    """
    _, number = np.unique(np.asarray(patients), return_inverse=True)
    number = number.reshape(-1)
    ever = np.zeros(number.max(initial=-1) + 1, dtype=bool)
    np.logical_or.at(ever, number, np.asarray(outcomes) > 0)
    generator = np.random.default_rng([seed, 11])
    counts = np.zeros((resamples, len(ever)), dtype=np.int16)
    for kind in (False, True):
        members = np.flatnonzero(ever == kind)
        if len(members):
            shares = np.full(len(members), 1 / len(members))
            counts[:, members] = generator.multinomial(len(members), shares, size=resamples)
    return counts[:, number]


def scores_of_resamples(scores: np.ndarray, outcomes: np.ndarray, counts: np.ndarray, metric: str) -> np.ndarray:
    """Compute a score of each resample.

    Areas follow from cumulative sums of the counts in the order of the scores (Mann and Whitney 1947 for the AUROC).

    Args:
        scores: `(n,)` predicted, higher for the outcome; probabilities for the Brier score.
        outcomes: `(n,)` of 0 and 1.
        counts: `(resamples, n)` times that each encounter is drawn.
        metric: One of `RESAMPLED_METRICS`, as in `binary_scores`.

    Returns:
        `(resamples,)`, not a number where a resample lacks an outcome that the score needs.

    Raises:
        ValueError: An unknown metric, or shapes that do not fit.
    """
    scores, outcomes = _checked(scores, outcomes)
    if metric not in RESAMPLED_METRICS:
        raise ValueError(f"no resampling of {metric}; choose from {', '.join(RESAMPLED_METRICS)}")
    if counts.ndim != 2 or counts.shape[1] != len(scores):
        raise ValueError(f"counts of shape {counts.shape} for {len(scores)} scores")
    step = max(1, _VALUES // max(1, len(scores)))
    parts = [counts[start : start + step] for start in range(0, len(counts), step)]
    if metric == "brier":
        errors = (scores - outcomes) ** 2
        found = [_share(part @ errors, part.sum(1, dtype=np.float64)) for part in parts]
        return np.concatenate([*found, np.empty(0)])
    area = _roc_area if metric == "auroc" else _precision_area
    found = [area(scores, outcomes == 1, part) for part in parts]
    return np.concatenate([*found, np.empty(0)])


def resample_binary_scores(
    scores_by_seed: Sequence[np.ndarray], outcomes: np.ndarray, counts: np.ndarray, metric: str = "auroc"
) -> ResampledScores:
    """Score every seed's predictions on the encounters and on their resamples.

    Args:
        scores_by_seed: For each seed `(n,)` predictions.
        outcomes: `(n,)` of 0 and 1.
        counts: `(resamples, n)` of `resample_patients`, the same for all systems to be compared.
        metric: One of `RESAMPLED_METRICS`.

    Returns:
        For `metrics.intervals.percentile_interval` and `paired_difference`.
    """
    ones = np.ones((1, len(outcomes)))
    observed, resampled = (
        [scores_of_resamples(scores, outcomes, part, metric) for scores in scores_by_seed] for part in (ones, counts)
    )
    return ResampledScores(observed=np.concatenate(observed), resampled=np.stack(resampled))


def _checked(scores: np.ndarray, outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, outcomes = np.asarray(scores, dtype=np.float64), np.asarray(outcomes)
    if scores.ndim != 1 or scores.shape != outcomes.shape:
        raise ValueError(f"scores of shape {scores.shape} for outcomes of shape {outcomes.shape}")
    if not np.isin(outcomes, (0, 1)).all():
        raise ValueError("an outcome is neither 0 nor 1")
    if not np.isfinite(scores).all():
        raise ValueError(f"the score in row {int(np.isfinite(scores).argmin()):,} (from 0) is not finite")
    return scores, outcomes.astype(np.int64)


def _roc_area(scores: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the share of pairs in which the encounter with the outcome has the higher score, `(resamples,)`."""
    falling = np.sort(-scores[positive])
    hits = np.zeros((len(counts), len(falling) + 1))
    by_score = np.flatnonzero(positive)[np.argsort(-scores[positive], kind="stable")]
    np.cumsum(counts[:, by_score], axis=1, out=hits[:, 1:], dtype=np.float64)
    misses = counts[:, ~positive].astype(np.float64)
    # Drawn positives with a higher score than each negative, and with one as high or higher.
    above, not_below = (hits[:, np.searchsorted(falling, -scores[~positive], side)] for side in ("left", "right"))
    return _share(np.einsum("rn,rn->r", misses, above + not_below) / 2, hits[:, -1] * misses.sum(1))


def _precision_area(scores: np.ndarray, positive: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean over positives of the precision at their score, `(resamples,)`."""
    order = np.argsort(-scores, kind="stable")
    drawn = counts[:, order].astype(np.float64)
    hits = np.where(positive[order], drawn, 0.0)
    groups = np.flatnonzero(np.diff(-scores[order], prepend=-np.inf))  # where equal scores begin
    if len(groups) < len(order):
        hits, drawn = (np.add.reduceat(values, groups, axis=1) for values in (hits, drawn))
    found, said = np.cumsum(hits, axis=1), np.cumsum(drawn, axis=1)
    precision = np.divide(found, said, out=np.zeros_like(found), where=said > 0)
    return _share((hits * precision).sum(1), hits.sum(1))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)

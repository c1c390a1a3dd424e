"""Bootstrap of the AUROC of many systems on many encounters, by its linear part.

Resampling encounters by counts `1 + a` changes the AUROC by a sum over encounters of `a` times their placement (DeLong
et al. 1988, Biometrics 44), and by a sum over pairs of the product of two `a`, which is smaller by the root of their
number. The first sum is a matrix product for all systems at once, some hundred times as fast as ranking each resample.
With 10,000 encounters and an AUROC of 0.97 what is left out has a standard deviation of 4e-5, the AUROC one of 2e-3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.binary_scores import resample_binary_scores
from metrics.intervals import ResampledScores

MANY = 2_000


def resample_aurocs(
    scores_by_system: Sequence[Sequence[np.ndarray]], outcomes: np.ndarray, counts: np.ndarray
) -> list[ResampledScores]:
    """Resample the AUROC of several systems, exactly up to `MANY` encounters and by its linear part above.

    Args:
        scores_by_system: For each system and each of its seeds `(n,)` predictions.
        outcomes: `(n,)` of 0 and 1, both of them.
        counts: `(resamples, n)` of `metrics.binary_scores.resample_patients`.

    Returns:
        For `metrics.intervals.percentile_interval` and `paired_difference`.
    """
    if len(outcomes) <= MANY:
        return [resample_binary_scores(scores, outcomes, counts) for scores in scores_by_system]
    changes = counts.astype(np.float32) - 1
    found = []
    for scores in scores_by_system:
        areas, influence = zip(*(placements(one, outcomes) for one in scores), strict=True)
        resampled = np.array(areas)[:, None] + (changes @ np.stack(influence, axis=1).astype(np.float32)).T
        found.append(ResampledScores(np.array(areas), resampled.astype(np.float64)))
    return found


def placements(scores: np.ndarray, outcomes: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the AUROC and what each encounter adds to it when it is drawn once more.

    Args:
        scores: `(n,)`, higher for the outcome; ties count half.
        outcomes: `(n,)` of 0 and 1, both of them.

    Returns:
        The area, and `(n,)`: the share of the other kind that the encounter is ranked rightly against, less the area,
        over the number of its own kind.
    """
    from scipy.stats import rankdata

    positive = outcomes == 1
    ranks = rankdata(scores)
    share = np.empty(len(scores))
    for own, sign in ((positive, 1), (~positive, -1)):
        within = rankdata(scores[own])
        below = ranks[own] - within  # of the other kind, ties half
        others = (~own).sum()
        share[own] = below / others if sign == 1 else 1 - below / others
    area = float(share[positive].mean())
    return area, (share - area) / np.where(positive, positive.sum(), (~positive).sum())

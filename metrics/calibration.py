"""How far predicted probabilities can be taken at their word."""

from __future__ import annotations

import numpy as np


def expected_calibration_error(probabilities: np.ndarray, targets: np.ndarray, bins: int = 15) -> float:
    """Return the expected calibration error of Guo et al. (2017, On Calibration of Modern Neural Networks, equation 3).

    Documents are put into bins of equal width by the probability of their predicted class, `(m - 1) / bins` exclusive
    to `m / bins` inclusive; the gap between a bin's mean probability and its share of right predictions is averaged
    over the documents.

    Args:
        probabilities: `(documents, classes)`.
        targets: `(documents,)` numbers of classes.
        bins: Number of bins from 0 to 1.

    Returns:
        A share from 0 to 1; not a number without documents.
    """
    if not len(targets):
        return float("nan")
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == targets
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], confidence, side="left")
    # A bin's gap times its documents is the absolute sum of theirs.
    return float(np.abs(np.bincount(place, weights=right - confidence, minlength=bins)).sum() / len(targets))


def brier_score(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Return the Brier score in its first form (Brier 1950, Monthly Weather Review 78, equation 2).

    The squared distances to the truth are summed over the classes and averaged over the documents: from 0 to 2 where
    one class applies. scikit-learn has it from 1.7 on, as `brier_score_loss(scale_by_half=False)`; without documents
    that have several categories.

    Args:
        probabilities: `(documents, classes)`.
        targets: `(documents,)` numbers of classes, or `(documents, classes)` of 0 and 1.

    Returns:
        The score, smaller is better; not a number without documents.
    """
    if not len(targets):
        return float("nan")
    truth = targets if targets.ndim == 2 else np.eye(probabilities.shape[1])[targets]
    return float(((probabilities.astype(np.float64) - truth) ** 2).sum(1).mean())

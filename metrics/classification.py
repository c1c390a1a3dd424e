"""Scores of predicted categories."""

from __future__ import annotations

import numpy as np


def category_scores(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return accuracy and macro-F1.

    Macro-F1 is the mean of the F1 of the categories that occur among the targets or the predictions (scikit-learn's
    rule). For multi-label targets accuracy is the share of documents with every category right, a category being
    predicted from a probability of 0.5 on.

    Args:
        probabilities: `(documents, categories)`.
        targets: `(documents,)` numbers of categories, or `(documents, categories)` of 0 and 1.

    Returns:
        `accuracy` and `f1_macro`; empty when there are no documents.
    """
    from sklearn.metrics import accuracy_score, f1_score

    if not len(targets):
        return {}
    if targets.ndim == 1:
        predictions = probabilities.argmax(1)
        f1 = f1_score(targets, predictions, average="macro")
    else:
        targets, predictions = targets.astype(bool), probabilities >= 0.5
        # Not scikit-learn's: it counts a category that neither occurs nor is predicted as a failure, and reads the
        # matrix of a single category as two categories.
        hits, marked = (targets & predictions).sum(0), targets.sum(0) + predictions.sum(0)
        f1 = (2 * hits[marked > 0] / marked[marked > 0]).mean() if marked.any() else 0.0
    return {"accuracy": float(accuracy_score(targets, predictions)), "f1_macro": float(f1)}

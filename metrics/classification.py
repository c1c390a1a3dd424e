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
    predictions = probabilities >= 0.5 if targets.ndim == 2 else probabilities.argmax(1)
    targets = targets.astype(bool) if targets.ndim == 2 else targets
    if targets.ndim == 2:
        # scikit-learn would count a category that neither occurs nor is predicted as a failure.
        present = (targets | predictions).any(0)
        f1 = float(f1_score(targets[:, present], predictions[:, present], average="macro")) if present.any() else 0.0
    else:
        f1 = float(f1_score(targets, predictions, average="macro"))
    return {"accuracy": float(accuracy_score(targets, predictions)), "f1_macro": f1}

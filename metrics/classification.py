"""Scores of predicted categories."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from metrics.calibration import brier_score, expected_calibration_error


def category_scores(probabilities: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return accuracy and macro-F1.

    Macro-F1 is the mean of the F1 of the categories that occur among the targets or the predictions (scikit-learn's
    rule). For multi-label targets accuracy is the share of documents with every category right, a category being
    predicted from a probability of 0.5 on.

    Args:
        probabilities: `(documents, categories)`.
        targets: `(documents,)` numbers of categories, or `(documents, categories)` of 0 and 1.

    Returns:
        `accuracy` and `f1_macro` (not a number when no category occurs or is predicted); empty when there are no
        documents.
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
        f1 = (2 * hits[marked > 0] / marked[marked > 0]).mean() if marked.any() else np.nan
    return {"accuracy": float(accuracy_score(targets, predictions)), "f1_macro": float(f1)}


def predicted_categories(probabilities: np.ndarray, *, multi_label: bool = False) -> np.ndarray:
    """Return the likeliest class of each document, or every category with a probability of 0.5 or more.

    Args:
        probabilities: `(documents, categories)`.
        multi_label: Whether a document can have several.

    Returns:
        `(documents,)` int64, or `(documents, categories)` of truth values.
    """
    return probabilities >= 0.5 if multi_label else probabilities.argmax(1)


def classification_metrics(probabilities: np.ndarray, targets: np.ndarray, ordinal: bool = False) -> dict[str, float]:
    """Return the scores of a table, by the names that scikit-learn gives its scorers.

    One class a document: `f1_macro`, `accuracy`, `precision_macro`, `recall_macro`, `f1_weighted`, `roc_auc_macro`,
    `ece` (15 bins), `brier`; with ordered classes also `mean_absolute_error` (in classes) and
    `quadratic_weighted_kappa` (Cohen 1968). Several categories a document: `f1_macro`, `f1_micro`, `accuracy` (every
    category right), `roc_auc_macro`, `brier`.

    `f1_macro` is that of `category_scores`; precision and recall are averaged over the same classes, those that occur
    among the targets or the predictions. `roc_auc_macro` is one class against the rest, averaged over the classes that
    some targets have and some have not.

    Args:
        probabilities: `(documents, categories)`, finite.
        targets: `(documents,)` numbers of classes, or `(documents, categories)` of 0 and 1.
        ordinal: The classes are ordered by their numbers.

    Returns:
        Plain numbers; a score that is not defined for these targets is left out, and all are without documents.
    """
    from sklearn.metrics import cohen_kappa_score, f1_score, mean_absolute_error, precision_score, recall_score

    if not len(targets):
        return {}
    scores = category_scores(probabilities, targets)
    predictions = predicted_categories(probabilities, multi_label=targets.ndim == 2)
    if targets.ndim == 2:
        # Flat, as scikit-learn reads the matrix of a single category as two categories.
        scores["f1_micro"] = f1_score(targets.astype(bool).ravel(), predictions.ravel(), zero_division=0)
    else:
        average = {"average": "macro", "zero_division": 0}
        scores["precision_macro"] = precision_score(targets, predictions, **average)
        scores["recall_macro"] = recall_score(targets, predictions, **average)
        scores["f1_weighted"] = f1_score(targets, predictions, average="weighted", zero_division=0)
        scores["ece"] = expected_calibration_error(probabilities, targets)
    scores["roc_auc_macro"] = _roc_auc_macro(probabilities, targets)
    scores["brier"] = brier_score(probabilities, targets)
    if ordinal:
        scores["mean_absolute_error"] = mean_absolute_error(targets, predictions)
        if len(np.unique(np.concatenate([targets, predictions]))) > 1:
            # With all classes: the distance between two is that of their numbers, also over one that does not occur.
            scores["quadratic_weighted_kappa"] = cohen_kappa_score(
                targets, predictions, weights="quadratic", labels=np.arange(probabilities.shape[1])
            )
    return {name: float(value) for name, value in scores.items() if not math.isnan(value)}


def per_class_table(probabilities: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return precision, recall and F1 of every class.

    Args:
        probabilities: `(documents, categories)`.
        targets: `(documents,)` numbers of classes, or `(documents, categories)` of 0 and 1.
        labels: Names of the categories.

    Returns:
        For each category `label`, `documents` (targets of it), `precision`, `recall`, `f1`; 0 where a share has nothing
        to divide by.
    """
    predictions = predicted_categories(probabilities, multi_label=targets.ndim == 2)
    return per_class_scores(predictions, targets, labels)


def per_class_scores(predictions: np.ndarray, targets: np.ndarray, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of `per_class_table` for predictions of the shape of the targets."""
    from sklearn.metrics import precision_recall_fscore_support

    rows = []
    for label, true, said in _columns(predictions, targets, labels):
        precision, recall, f1, _ = precision_recall_fscore_support(true, said, average="binary", zero_division=0)
        scores = {"precision": float(precision), "recall": float(recall), "f1": float(f1)}
        rows.append({"label": label, "documents": int(true.sum()), **scores})
    return rows


def confusion_counts(predictions: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
    """Count documents by their class and the predicted class.

    Args:
        predictions: `(documents,)` numbers of classes.
        targets: `(documents,)` numbers of classes.
        classes: How many there are.

    Returns:
        `(classes, classes)` int64, a row for each class of the targets and a column for each predicted class.

    Raises:
        ValueError: Documents have several categories each, which no such table shows.
    """
    from sklearn.metrics import confusion_matrix

    if targets.ndim != 1:
        raise ValueError("a confusion matrix needs one class a document")
    return confusion_matrix(targets, predictions, labels=np.arange(classes))


def _roc_auc_macro(probabilities: np.ndarray, targets: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    areas = [
        roc_auc_score(true, probabilities[:, category])
        for category, true, _ in _columns(targets, targets, range(probabilities.shape[1]))
        if true.any() and not true.all()
    ]
    return float(np.mean(areas)) if areas else math.nan


def _columns(
    predictions: np.ndarray, targets: np.ndarray, labels: Sequence[Any]
) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
    """Yield each category with the truth values of its targets and its predictions."""
    for category, label in enumerate(labels):
        if targets.ndim == 1:
            yield label, targets == category, predictions == category
        else:
            yield label, targets[:, category].astype(bool), predictions[:, category].astype(bool)

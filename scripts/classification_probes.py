"""Probes on frozen features: logistic regression, nearest neighbours, and the same beside TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from frozen_probe import rotate, scale

PENALTIES = (0.3, 3.0, 30.0, 300.0)
NEIGHBOURS = (1, 3, 5, 10, 20)
FOLDS, FOLDS_OF_MANY, MANY = 5, 3, 1000


@dataclass
class Features:
    """Features of the training and the test documents.

    Args:
        train: `(documents, features)`.
        test: `(test documents, features)`.
    """

    train: Any
    test: Any


def bag_of_words(train: Sequence[str], test: Sequence[str]) -> Features:
    """Return TF-IDF features of words and word pairs, fitted on all training texts without their labels."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if len(train) > 50 else 1)
    return Features(vectorizer.fit_transform(train), vectorizer.transform(test))


def embedding_features(train: np.ndarray, test: np.ndarray) -> Features:
    """Return embeddings, centred and scaled by one number."""
    return Features(*scale(train, test))


def side_by_side(words: Features, embeddings: Features) -> Features:
    """Return TF-IDF and embedding in one row, in a basis of as many dimensions as there are training documents."""
    from scipy.sparse import csr_matrix, hstack

    parts = [
        hstack([a, csr_matrix(b)]).tocsr() for a, b in ((words.train, embeddings.train), (words.test, embeddings.test))
    ]
    return Features(*rotate(*parts))


def fit_probe(
    method: str, features: Features, rows: np.ndarray, targets: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit a probe on some training documents and return its probabilities for the test documents.

    Settings (the penalty, the number of neighbours) are chosen by cross-validation within those training documents,
    by macro-F1.

    Args:
        method: `majority`, `tfidf`, `logistic_regression`, `hybrid` (all logistic regression) or `knn`.
        features: Of all training and test documents.
        rows: Training documents to use.
        targets: Classes of those documents: `(rows,)` numbers, or `(rows, classes)` of 0 and 1.
        classes: Number of classes.
        seed: Of the folds.

    Returns:
        `(test documents, classes)` probabilities, and the settings chosen.
    """
    if targets.ndim == 2:
        columns = [fit_probe(method, features, rows, targets[:, number], 2, seed)[0][:, 1] for number in range(classes)]
        return np.stack(columns, axis=1), {}
    found = np.zeros((features.test.shape[0], classes))
    present, counts = np.unique(targets, return_counts=True)
    if method == "majority" or len(present) == 1:
        found[:, present] = counts / counts.sum()
        return found, {}
    x, test = features.train[rows], features.test
    if method != "knn":  # a few documents need but as many dimensions
        x, test = rotate(x, test)
    model, settings = _chosen(method, x, targets, int(counts.min()), seed)
    found[:, model.classes_] = model.predict_proba(test)
    return found, settings


def _chosen(method: str, x: Any, y: np.ndarray, smallest: int, seed: int) -> tuple[Any, dict[str, Any]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier

    if method == "knn":
        grid: dict[str, list[Any]] = {"n_neighbors": [count for count in NEIGHBOURS if count <= max(1, len(y) // 2)]}
        model: Any = KNeighborsClassifier(metric="cosine", weights="distance")
        default: dict[str, Any] = {"n_neighbors": 1}
    else:
        grid, default = {"C": list(PENALTIES)}, {"C": 10.0}
        model = LogisticRegression(class_weight="balanced", max_iter=2000)
    folds = min(FOLDS if len(y) < MANY else FOLDS_OF_MANY, smallest)
    if folds < 2:  # a class of one document cannot be in two folds
        return model.set_params(**default).fit(x, y), default
    search = GridSearchCV(model, grid, scoring="f1_macro", cv=StratifiedKFold(folds, shuffle=True, random_state=seed))
    search.fit(x, y)
    return search.best_estimator_, {name: _plain(value) for name, value in search.best_params_.items()}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

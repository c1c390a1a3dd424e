"""Probes on frozen features: logistic regression, balanced bags of it, nearest neighbours, the same beside TF-IDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from frozen_probe import rotate, scale, tf_idf

PENALTIES = (0.3, 3.0, 30.0, 300.0)
# Of an embedding beside TF-IDF. Both have length 1, but TF-IDF's is spread over thousands of words: at the same weight
# the embedding outvotes them, which is right for a topic and wrong for a kind of document.
WEIGHTS = (0.1, 0.3, 1.0)
NEIGHBOURS = (1, 3, 5, 10, 20)
FOLDS, FOLDS_OF_MANY, MANY = 5, 3, 1000
# Each of them an average over balanced bags; the choice of settings makes do with fewer bags.
BAGGED = ("bagged_tfidf", "bagged_regression", "bagged_hybrid")
TIMES_RAREST = (1, 2, 4)
# How often cross-validation is to have seen documents of the rarest class, which is what bags are for, before it
# chooses: with a score for each of a dozen documents the choice would be one of chance.
RAREST_SEEN, REPEATS = 50, 3
BAGS, BAGS_IN_SEARCH = 20, 3


@dataclass
class Features:
    """Features of the training and the test documents.

    Args:
        train: `(documents, features)`.
        test: `(test documents, features)`.
        beside: Further features of the same documents; the probe chooses their weight.
    """

    train: Any
    test: Any
    beside: Features | None = None


def bag_of_words(train: Sequence[str], test: Sequence[str]) -> Features:
    """Return TF-IDF of words and word pairs, fitted on all training texts without their labels.

    Where there are fewer texts than words, it is in a basis of as many dimensions as there are training texts.
    """
    return Features(*rotate(*tf_idf(train, test)))


def embedding_features(train: np.ndarray, test: np.ndarray) -> Features:
    """Return embeddings, centred and scaled by one number."""
    return Features(*scale(train, test))


def side_by_side(words: Features, embeddings: Features) -> Features:
    """Return TF-IDF with the embeddings beside it."""
    return replace(words, beside=embeddings)


def fit_probe(
    method: str, features: Features, rows: np.ndarray, targets: np.ndarray, classes: int, seed: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """Fit a probe on some training documents and return its probabilities for the test documents.

    Settings (the penalty, the number of neighbours, the weight of an embedding beside TF-IDF) are chosen by
    cross-validation within those training documents, by macro-F1.

    Args:
        method: `majority`, `tfidf`, `logistic_regression`, `hybrid` (all logistic regression), `knn`, or one of
            `BAGGED`.
        features: Of all training and test documents.
        rows: Training documents to use.
        targets: Classes of those documents: `(rows,)` numbers, or `(rows, classes)` of 0 and 1.
        classes: Number of classes.
        seed: Of the folds, and of the bags.

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
    if method == "knn":
        model, grid, default = _nearest_neighbours(len(rows))
    else:
        model, grid, default = _bags(seed) if method in BAGGED else _regression()
    if features.beside is not None:
        model, grid, default = _with_weight(model, grid, default, x.shape[1])
        x, test = _beside(x, features.beside.train[rows]), _beside(test, features.beside.test)
    smallest = int(counts.min())
    repeats = min(REPEATS, -(-RAREST_SEEN // smallest)) if method in BAGGED else 1
    model, settings = _chosen(model, grid, default, x, targets, smallest, repeats, seed)
    found[:, model.classes_] = model.predict_proba(test)
    return found, settings


Search = tuple[Any, dict[str, list[Any]], dict[str, Any]]  # a model, the settings to try, and those where none can be


def _nearest_neighbours(documents: int) -> Search:
    from sklearn.neighbors import KNeighborsClassifier

    few = [count for count in NEIGHBOURS if count <= max(1, documents // 2)]
    return KNeighborsClassifier(metric="cosine", weights="distance"), {"n_neighbors": few}, {"n_neighbors": 1}


def _regression() -> Search:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(class_weight="balanced", max_iter=2000), {"C": list(PENALTIES)}, {"C": 10.0}


def _bags(seed: int) -> Search:
    from balanced_bags import BalancedBags

    grid = {"C": list(PENALTIES), "times_rarest": list(TIMES_RAREST)}
    return BalancedBags(bags=BAGS_IN_SEARCH, seed=seed), grid, {"C": 10.0, "times_rarest": 1}


def _with_weight(model: Any, grid: dict[str, list[Any]], default: dict[str, Any], start: int) -> Search:
    """Let the columns from `start` on have a weight, which is one more setting."""
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    steps = Pipeline([("weigh", FunctionTransformer(_weigh)), ("model", model)])
    of_model = {f"model__{name}": values for name, values in grid.items()}
    weights = [{"start": start, "weight": weight} for weight in WEIGHTS]
    fixed = {f"model__{name}": value for name, value in default.items()}
    return steps, of_model | {"weigh__kw_args": weights}, fixed | {"weigh__kw_args": weights[-1]}


def _beside(words: Any, embeddings: np.ndarray) -> Any:
    """Put rows side by side; the words of very many documents, or of few different words, are sparse still."""
    from scipy.sparse import csr_matrix, hstack, issparse

    return hstack([words, csr_matrix(embeddings)]).tocsr() if issparse(words) else np.hstack([words, embeddings])


def _weigh(x: Any, start: int, weight: float) -> Any:
    from scipy.sparse import issparse

    weights = np.where(np.arange(x.shape[1]) < start, 1.0, weight)
    return x.multiply(weights).tocsr() if issparse(x) else x * weights


def _chosen(
    model: Any,
    grid: dict[str, list[Any]],
    default: dict[str, Any],
    x: Any,
    y: np.ndarray,
    smallest: int,
    repeats: int,
    seed: int,
) -> tuple[Any, dict[str, Any]]:
    from sklearn.model_selection import GridSearchCV, RepeatedStratifiedKFold

    folds = min(FOLDS if len(y) < MANY else FOLDS_OF_MANY, smallest)
    chosen = default
    if folds > 1:  # a class of one document cannot be in two folds
        cv = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed)
        chosen = GridSearchCV(model, grid, scoring="f1_macro", cv=cv, refit=False).fit(x, y).best_params_
    model.set_params(**chosen)
    model.set_params(**{name: BAGS for name in model.get_params() if name.split("__")[-1] == "bags"})
    return model.fit(x, y), _named(chosen)


def _named(settings: dict[str, Any]) -> dict[str, Any]:
    found = {name.removeprefix("model__"): _plain(value) for name, value in settings.items()}
    weigh = found.pop("weigh__kw_args", None)
    return found if weigh is None else found | {"embedding_weight": weigh["weight"]}


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

"""Balanced bagging of a logistic regression, for classes of very different sizes.

Weights of classes do next to nothing once a model separates its training documents, as one of many features does
with a few hundred of them: the boundary stays where the many are. Leaving out documents of the large classes moves it,
at the price of what they would have taught, and an average over several such samples pays most of that back (Wallace,
Small, Brodley and Trikalinos, "Class Imbalance, Redux", ICDM 2011, section 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from corpora.few_shot import few_shot_sample
from frozen_probe import principal_axes


class RotatedRegression(LogisticRegression):
    """A logistic regression that is fitted in the basis of its training documents where those are fewer than features.

    Coefficients are given for the features as they came: the same as without, found faster.
    """

    def fit(self, x: Any, y: np.ndarray) -> RotatedRegression:
        """Fit; `x` is `(documents, features)`, sparse or dense, and `y` `(documents,)`."""
        found = principal_axes(x)
        if found is None:
            return super().fit(x, y)
        axes, lengths = found
        super().fit(axes * lengths, y)
        self.coef_ = np.asarray(x.T @ (axes @ (self.coef_ / lengths).T)).T
        self.n_features_in_ = x.shape[1]
        return self


class BalancedBags(ClassifierMixin, BaseEstimator):
    """The mean of the probabilities of logistic regressions, each fitted on as many documents of every class.

    Args:
        C: Inverse strength of the L2 penalty.
        times_rarest: Documents of a class in a bag, as a multiple of the rarest class's; a smaller class gives all.
        bags: Number of regressions.
        seed: Of the bags.
    """

    def __init__(self, C: float = 1.0, times_rarest: int = 1, bags: int = 20, seed: int = 0) -> None:  # noqa: N803
        self.C, self.times_rarest, self.bags, self.seed = C, times_rarest, bags, seed

    def fit(self, x: Any, y: np.ndarray) -> BalancedBags:
        """Fit; `x` is `(documents, features)`, sparse or dense, and `y` `(documents,)`."""
        self.classes_, counts = np.unique(y, return_counts=True)
        size = self.times_rarest * int(counts.min())
        bags = self.bags if counts.max() > size else 1  # all bags would hold the same documents
        self.models_ = []
        for bag in range(bags):
            rows = few_shot_sample(y, size, self.seed + bag)
            # Classes with fewer documents than the bag asks for are weighed up to the others.
            model = RotatedRegression(C=self.C, class_weight="balanced", max_iter=2000)
            self.models_.append(model.fit(x[rows], y[rows]))
        return self

    def predict_proba(self, x: Any) -> np.ndarray:
        """Return `(documents, classes)` probabilities."""
        return np.mean([model.predict_proba(x) for model in self.models_], axis=0)

    def predict(self, x: Any) -> np.ndarray:
        """Return the likeliest class of each document."""
        return self.classes_[self.predict_proba(x).argmax(axis=1)]

"""Membership inference: how well a score tells documents that a model was trained on from others.

The attacks are those of Mireshghallah et al. (2022, Quantifying Privacy Risks of Masked Language Models Using
Membership Inference Attacks, EMNLP): the masked loss of a document by itself, and set against that of a reference
model. Besides the area under the curve, the true-positive rate at few false positives counts (Carlini et al. 2022,
Membership Inference Attacks From First Principles): an attack that is sure of one patient in a hundred does harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.document_intervals import measured
from metrics.measured import Measured

FALSE_POSITIVE_RATES = (0.01, 0.001)
RESAMPLES = 1_000
_CURVE_POINTS = 101
_COUNTED = 2**21


@dataclass(frozen=True, eq=False)
class Attack:
    """What a membership attack reached.

    Args:
        auc: Area under the curve; 0.5 is chance.
        true_positive_rates: For each rate of false positives, the share of members found.
        members: Scored members.
        nonmembers: Scored non-members. Fewer than the inverse of a rate of false positives allow none at all.
        curve: `(points, 2)` false- and true-positive rates, thinned.
    """

    auc: Measured
    true_positive_rates: dict[float, Measured]
    members: int
    nonmembers: int
    curve: np.ndarray

    def as_dict(self) -> dict[str, Any]:
        """Return the attack for JSON."""
        return {
            "auc": self.auc.as_dict(),
            "true_positive_rate": {str(rate): value.as_dict() for rate, value in self.true_positive_rates.items()},
            "members": self.members,
            "nonmembers": self.nonmembers,
            "curve": [[round(float(x), 6), round(float(y), 6)] for x, y in self.curve],
        }


def membership_attack(
    members: np.ndarray,
    nonmembers: np.ndarray,
    member_groups: Sequence[Any] | None = None,
    nonmember_groups: Sequence[Any] | None = None,
    *,
    rates: Sequence[float] = FALSE_POSITIVE_RATES,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Attack:
    """Measure an attack, with 95 % percentile intervals of a bootstrap that draws whole groups.

    Args:
        members: `(members,)` scores of documents that the model was trained on; a higher score says member.
        nonmembers: `(non-members,)` scores of documents of the same kind that it was not trained on.
        member_groups: Patient of each member. The documents of a patient are alike, so they are drawn together;
            without groups each document is drawn by itself.
        nonmember_groups: The same of the non-members.
        rates: False-positive rates at which to give the true-positive rate.
        resamples: How many.
        seed: Of the draw.

    Raises:
        ValueError: A side has no scores, or one is not finite.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    if not len(members) or not len(nonmembers):
        raise ValueError("an attack needs members and non-members")
    scores = np.concatenate([members, nonmembers]).astype(np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    truth = np.repeat([1, 0], [len(members), len(nonmembers)])
    false, true, _ = roc_curve(truth, scores, drop_intermediate=False)
    observed = [float(roc_auc_score(truth, scores)), *_true_positive_rates(false[None], true[None], rates)[0].tolist()]
    generator = np.random.default_rng([seed, 11])
    draws = [_draws(groups, len(side)) for groups, side in ((member_groups, members), (nonmember_groups, nonmembers))]
    drawn = []
    step = max(1, _COUNTED // len(scores))
    for start in range(0, resamples if min(len(members), len(nonmembers)) > 1 else 0, step):
        count = min(step, resamples - start)
        weights = np.array([np.concatenate([draw(generator) for draw in draws]) for _ in range(count)])
        drawn.append(_weighted_numbers(scores, truth, weights, rates))
    intervals = [
        measured(value, np.concatenate(drawn)[:, place] if drawn else None) for place, value in enumerate(observed)
    ]
    return Attack(
        auc=intervals[0],
        true_positive_rates=dict(zip(rates, intervals[1:], strict=True)),
        members=len(members),
        nonmembers=len(nonmembers),
        curve=_thinned(false, true),
    )


def group_means(values: np.ndarray, groups: Sequence[Any]) -> np.ndarray:
    """Return the mean of each group's values, groups in order of appearance: document scores to patients' scores.

    Args:
        values: `(documents,)`.
        groups: Group of each document.
    """
    places = _numbered(groups)
    return np.bincount(places, weights=values) / np.bincount(places)


def _weighted_numbers(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray, rates: Sequence[float]) -> np.ndarray:
    """Return area and true-positive rates `(resamples, 1 + rates)` of weighted documents, ties counted half.

    What scikit-learn's `roc_curve` gives for each row of weights, without sorting anew.

    Args:
        scores: `(documents,)`.
        truth: `(documents,)` 1 for members.
        weights: `(resamples, documents)`.
        rates: Of false positives.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of each run of equal scores
    curves = []
    for side in (0, 1):
        sums = np.cumsum(weights[:, order] * (truth[order] == side), axis=1)[:, last]
        curves.append(np.concatenate([np.zeros((len(weights), 1)), sums], axis=1) / sums[:, -1:])
    false, true = curves
    area = (np.diff(false, axis=1) * (true[:, 1:] + true[:, :-1]) / 2).sum(1)
    return np.column_stack([area, _true_positive_rates(false, true, rates)])


def _true_positive_rates(false: np.ndarray, true: np.ndarray, rates: Sequence[float]) -> np.ndarray:
    """Return the highest true-positive rate at no more than so many false positives, `(curves, rates)`."""
    # A rate between two points is reached by no threshold, so the point before it counts.
    return np.column_stack([np.where(false <= rate + 1e-12, true, 0.0).max(1) for rate in rates])


def _numbered(groups: Sequence[Any]) -> np.ndarray:
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)


def _draws(groups: Sequence[Any] | None, count: int) -> Any:
    """Return a function that draws how often each document is in a resample."""
    places = np.arange(count) if groups is None else _numbered(groups)
    units = int(places.max()) + 1

    def draw(generator: np.random.Generator) -> np.ndarray:
        return np.bincount(generator.integers(0, units, units), minlength=units)[places].astype(np.float64)

    return draw


def _thinned(false: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return points of the curve at even steps of the false-positive rate and at even steps of its logarithm."""
    wanted = np.unique(np.concatenate([np.linspace(0, 1, _CURVE_POINTS), np.geomspace(1e-4, 1, _CURVE_POINTS)]))
    places = np.unique(np.searchsorted(false, wanted, side="right") - 1)
    return np.column_stack([false[places], true[places]])

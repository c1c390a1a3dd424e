"""Exposure of canaries: how far a model singles out what was planted (Carlini et al. 2019, The Secret Sharer).

Exposure is `log2(size of the space) - log2(rank)` of the planted secret among all secrets of its form, ordered by their
loss. One that the model has not seen has any rank alike, so its exposure is about exponential, with a mean of
`1 / ln 2 = 1.44` bits; one that the model gives away first has the logarithm of the space's size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.document_intervals import mean_over_documents

UNSEEN_BITS = 1 / math.log(2)
"""Mean exposure of a secret that the model has never seen."""


@dataclass(frozen=True)
class GroupExposure:
    """Exposure of the canaries that were planted equally often.

    Args:
        repetitions: How often each was planted; 0 for those that were not, the control.
        bits: Exposure of each canary.
        p_value: Probability of a mean at least as high, had the model not seen them.
    """

    repetitions: int
    bits: tuple[float, ...]
    p_value: float

    def as_dict(self) -> dict[str, Any]:
        """Return the group for JSON."""
        return {
            "repetitions": self.repetitions,
            "canaries": len(self.bits),
            "mean_bits": mean_over_documents(np.array(self.bits)).as_dict(),
            "largest_bits": max(self.bits),
            "p_value": self.p_value,
        }


def exact_exposure(loss: float, others: np.ndarray) -> float:
    """Return the exposure of a secret whose every alternative was scored (equation of definition 5).

    Args:
        loss: Of the planted secret.
        others: `(size of the space - 1,)` losses of all other secrets. An equal loss ranks before the secret, so that a
            model that tells nothing apart exposes nothing.

    Returns:
        Bits, from 0 to the logarithm of the space's size.
    """
    return math.log2(len(others) + 1) - math.log2(1 + int((others <= loss).sum()))


def approximate_exposure(loss: float, others: np.ndarray, space: int) -> float:
    """Return the exposure from a sample of the alternatives: the larger of section 4.3's two approximations.

    By distribution modelling: minus the logarithm of the probability that another secret has at most this loss, under
    a skew-normal distribution with the sample's mean, variance and skewness; bounded by the logarithm of the space's
    size, beyond which no rank goes. By sampling: the rank within the sample, which holds where the losses are
    distributed otherwise, but cannot exceed the logarithm of the sample's size.

    Args:
        loss: Of the planted secret.
        others: `(sample,)` losses of secrets drawn from the space.
        space: Size of the space.

    Raises:
        ValueError: Fewer than 20 alternatives.
    """
    from scipy.stats import skewnorm

    if len(others) < 20:
        raise ValueError("a distribution cannot be fitted to fewer than 20 losses")
    sampled = exact_exposure(loss, others)
    if np.ptp(others) == 0:
        return sampled
    logarithm = skewnorm.logcdf(loss, *skewnorm.fit(others, method="mm"))
    modelled = -logarithm / math.log(2) if np.isfinite(logarithm) else math.inf  # so far out that nothing is left
    return float(min(max(modelled, sampled), math.log2(space)))


def exposure_by_repetitions(repetitions: list[int], bits: list[float]) -> list[GroupExposure]:
    """Gather canaries by how often they were planted, the least first.

    Args:
        repetitions: Of each canary.
        bits: Exposure of each.
    """
    from scipy.special import gammaincc

    groups = []
    for count in sorted(set(repetitions)):
        values = [value for times, value in zip(repetitions, bits, strict=True) if times == count]
        # A sum of exponentials is gamma-distributed; in units of their mean it needs no scale.
        p_value = float(gammaincc(len(values), sum(values) / UNSEEN_BITS))
        groups.append(GroupExposure(count, tuple(values), p_value))
    return groups

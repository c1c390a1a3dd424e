"""Paired differences of scores, with a correction for their number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from metrics.intervals import ResampledScores, holm, paired_difference

ERROR_RATE = 0.05


@dataclass(frozen=True, kw_only=True)
class AdjustedDifference:
    """A score against that of a reference, one of a family of comparisons.

    Args:
        difference: How far the score is ahead.
        interval: 95 % interval of the difference.
        p_value: Two-sided, of the paired bootstrap.
        adjusted_p_value: After Holm, over all comparisons of the family.
    """

    difference: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p_value: float

    @property
    def significant(self) -> bool:
        """Whether the difference stands at a family-wise error rate of 5 %."""
        return self.adjusted_p_value <= ERROR_RATE

    def numbers(self) -> dict[str, Any]:
        """Return the difference and its test as plain values, without what is compared."""
        return {
            "difference": self.difference,
            "interval": list(self.interval),
            "p_value": self.p_value,
            "adjusted_p_value": self.adjusted_p_value,
            "significant": self.significant,
        }


class ScoredPair(NamedTuple):
    """Two scores on the same resamples.

    Args:
        scores: What is compared.
        reference: With what.
        same_seeds: Whether seeds are drawn together, as they stand for the same training samples in both.
    """

    scores: ResampledScores
    reference: ResampledScores
    same_seeds: bool


def adjusted_differences(pairs: Sequence[ScoredPair], seed: int = 0) -> list[AdjustedDifference]:
    """Compare the pairs of one family by the paired bootstrap, corrected by Holm (1979).

    Args:
        pairs: The family.
        seed: Of the draw of seeds.

    Returns:
        A difference for each pair.
    """
    found = [paired_difference(pair.scores, pair.reference, seed, same_seeds=pair.same_seeds) for pair in pairs]
    adjusted = holm([one.p_value for one in found])
    return [
        AdjustedDifference(
            difference=one.difference, interval=one.interval, p_value=one.p_value, adjusted_p_value=float(p_value)
        )
        for one, p_value in zip(found, adjusted, strict=True)
    ]


def resamples_for(comparisons: int, resamples: int) -> int:
    """Return the resamples that a family of comparisons needs, at least those asked for.

    The smallest p-value of `resamples` is `1 / (resamples + 1)`, which Holm multiplies by the number of comparisons:
    with 1,000 resamples and 51 comparisons, no difference could stand however large. So many are taken that it comes
    to half of the error rate.
    """
    return max(resamples, math.ceil(2 * comparisons / ERROR_RATE))

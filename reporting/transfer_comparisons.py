"""Vectors against vectors at the same place: paired differences of AUROC, corrected for their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from metrics.intervals import holm, paired_difference
from reporting.transfer_results import Place, Row, System

ERROR_RATE = 0.05
REFERENCES = ("one_hot", "random")


@dataclass(frozen=True)
class Comparison:
    """A system against the same classifier and setting on control vectors.

    Args:
        system: The system.
        place: Where both are compared.
        reference: The control: `one_hot` or `random`.
        difference: How far the system is ahead in AUROC.
        interval: 95 % interval of the difference, over test encounters and seeds.
        p_value: Two-sided, of the paired bootstrap.
        adjusted_p_value: After Holm, over the comparisons with this reference at this place, a column of a table.
    """

    system: System
    place: Place
    reference: str
    difference: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p_value: float

    @property
    def significant(self) -> bool:
        """Whether the difference stands at a family-wise error rate of 5 %."""
        return self.adjusted_p_value <= ERROR_RATE


def compare_vectors(rows: Sequence[Row], seed: int = 0) -> list[Comparison]:
    """Compare every row with the rows of the control vectors that differ from it in nothing else.

    Args:
        rows: Rows of `transfer_rows`, so scored on the same resamples.
        seed: Of the draw of seeds.

    Returns:
        Comparisons in the order of the rows, for each reference.
    """
    by_key = {(row.system, row.place): row for row in rows}
    found: list[Comparison] = []
    for reference in REFERENCES:
        families: dict[Place, list[tuple[Row, Row]]] = {}
        for row in rows:
            other = by_key.get((System(reference, row.system.classifier, row.system.setting), row.place))
            if other is not None and row.system.embedding not in (None, reference):
                families.setdefault(row.place, []).append((row, other))
        for pairs in families.values():
            differences = [
                paired_difference(row.scores, other.scores, seed, same_seeds=row.seeds == other.seeds)
                for row, other in pairs
            ]
            adjusted = holm([one.p_value for one in differences])
            found += [
                Comparison(
                    row.system, row.place, reference, one.difference, one.interval, one.p_value, float(adjusted_p)
                )
                for (row, _), one, adjusted_p in zip(pairs, differences, adjusted, strict=True)
            ]
    return found


def enough_resamples(keys: Sequence[tuple[System, Place]], resamples: int) -> int:
    """Return the resamples that the largest family of comparisons needs for its smallest p-value to stand.

    Args:
        keys: System and place of each row.
        resamples: At least so many.
    """
    sizes = Counter(place for system, place in set(keys) if system.embedding is not None)
    return max(resamples, round(2 * max(sizes.values(), default=0) / ERROR_RATE))

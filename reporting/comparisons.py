"""Every system of a table against a reference, with a correction for the number of comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from metrics.intervals import holm, paired_difference
from reporting.classification_results import Cell, System
from reporting.result_rows import Row, systems_of

ERROR_RATE = 0.05


@dataclass(frozen=True)
class Comparison:
    """A system against the reference at the same number of shots.

    Args:
        system: The system.
        reference: What it is compared with.
        shots: Labelled documents a class of both; None for all.
        difference: How far the system is ahead.
        interval: 95 % interval of the difference.
        p_value: Two-sided, of the paired bootstrap.
        adjusted_p_value: After Holm, over all comparisons of the table.
    """

    system: System
    reference: System
    shots: int | None
    difference: float
    interval: tuple[float, float]
    p_value: float
    adjusted_p_value: float

    @property
    def significant(self) -> bool:
        """Whether the difference stands at a family-wise error rate of 5 %."""
        return self.adjusted_p_value <= ERROR_RATE


def compare_with_reference(rows: Sequence[Row], reference: System, seed: int = 0) -> list[Comparison]:
    """Compare every row with the reference's row of the same number of shots, where it has one.

    Seeds are drawn together where both systems have the same ones on the same corpus, as they then stand for the same
    training samples; otherwise each system's by themselves.

    Args:
        rows: Rows of `aggregate_rows`, so scored on the same resamples.
        reference: The system to compare with.
        seed: Of the draw of seeds.

    Returns:
        Comparisons in the order of the rows.
    """
    references = {row.shots: row for row in rows if row.system == reference}
    pairs = [(row, references[row.shots]) for row in rows if row.system != reference and row.shots in references]
    differences = [
        paired_difference(
            row.scores,
            other.scores,
            seed,
            same_seeds=row.seeds == other.seeds and row.corpus_digest == other.corpus_digest,
        )
        for row, other in pairs
    ]
    adjusted = holm([found.p_value for found in differences])
    return [
        Comparison(
            row.system, reference, row.shots, found.difference, found.interval, found.p_value, float(adjusted_p_value)
        )
        for (row, _), found, adjusted_p_value in zip(pairs, differences, adjusted, strict=True)
    ]


def enough_resamples(cells: Sequence[Cell], reference: System, resamples: int) -> int:
    """Return the resamples that a table needs, at least those asked for.

    The smallest p-value of `resamples` is `1 / (resamples + 1)`, which Holm multiplies by the number of comparisons:
    with 1,000 resamples and 51 comparisons, no difference could stand however large. So many are taken that it comes
    to half of the error rate.
    """
    scored = {cell.shots for cell in cells if cell.system == reference}
    comparisons = sum(
        len({cell.shots for cell in cells if cell.system == system} & scored)
        for system in systems_of(cells)
        if system != reference
    )
    return max(resamples, math.ceil(2 * comparisons / ERROR_RATE))


def default_reference(systems: Sequence[System]) -> System:
    """Return TF-IDF with logistic regression, which every encoder should beat; without it the first system."""
    return next((system for system in systems if system.method == "tfidf"), systems[0])

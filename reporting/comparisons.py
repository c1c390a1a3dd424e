"""Every system of a table against a reference, with a correction for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reporting.adjusted_differences import AdjustedDifference, ScoredPair, adjusted_differences, resamples_for
from reporting.classification_results import Cell, System
from reporting.result_rows import Row, systems_of


@dataclass(frozen=True)
class Comparison(AdjustedDifference):
    """A system against the reference at the same number of shots; one family are all comparisons of a table.

    Args:
        system: The system.
        reference: What it is compared with.
        shots: Labelled documents a class of both; None for all.
    """

    system: System
    reference: System
    shots: int | None


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
    found = adjusted_differences(
        [
            ScoredPair(row.scores, other.scores, row.seeds == other.seeds and row.corpus_digest == other.corpus_digest)
            for row, other in pairs
        ],
        seed,
    )
    return [
        Comparison(row.system, reference, row.shots, **vars(one)) for (row, _), one in zip(pairs, found, strict=True)
    ]


def enough_resamples(cells: Sequence[Cell], reference: System, resamples: int) -> int:
    """Return the resamples that a table needs, at least those asked for."""
    scored = {cell.shots for cell in cells if cell.system == reference}
    comparisons = sum(
        len({cell.shots for cell in cells if cell.system == system} & scored)
        for system in systems_of(cells)
        if system != reference
    )
    return resamples_for(comparisons, resamples)


def default_reference(systems: Sequence[System]) -> System:
    """Return TF-IDF with logistic regression, which every encoder should beat; without it the first system."""
    return next((system for system in systems if system.method == "tfidf"), systems[0])

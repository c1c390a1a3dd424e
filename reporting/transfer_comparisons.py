"""Vectors against vectors at the same place: paired differences of AUROC, corrected for their number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reporting.adjusted_differences import AdjustedDifference, ScoredPair, adjusted_differences, resamples_for
from reporting.transfer_results import Place, Row, System

REFERENCES = ("one_hot", "random")


@dataclass(frozen=True)
class Comparison(AdjustedDifference):
    """A system against the same classifier and setting on control vectors, in AUROC.

    One family are the comparisons with one reference at one place, a column of a table.

    Args:
        system: The system.
        place: Where both are compared.
        reference: The control: `one_hot` or `random`.
    """

    system: System
    place: Place
    reference: str


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
            differences = adjusted_differences(
                [ScoredPair(row.scores, other.scores, row.seeds == other.seeds) for row, other in pairs], seed
            )
            found += [
                Comparison(row.system, row.place, reference, **vars(one))
                for (row, _), one in zip(pairs, differences, strict=True)
            ]
    return found


def enough_resamples(keys: Sequence[tuple[System, Place]], resamples: int) -> int:
    """Return the resamples that the largest family of comparisons needs for its smallest p-value to stand.

    Args:
        keys: System and place of each row.
        resamples: At least so many.
    """
    sizes = Counter(place for system, place in set(keys) if system.embedding is not None)
    return resamples_for(max(sizes.values(), default=0), resamples)

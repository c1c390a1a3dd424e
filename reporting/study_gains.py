"""Differences between models of a study that are read, classified and labelled alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reporting.adjusted_differences import AdjustedDifference, ScoredPair, adjusted_differences, resamples_for
from reporting.classification_results import ClassificationResults, System
from reporting.result_rows import Row, aggregate_rows
from reporting.study_results import BASE

# At least; more where Holm's correction for the gains of a table, as of a sweep, needs them.
RESAMPLES = 4_000


@dataclass(frozen=True, kw_only=True)
class Gain(AdjustedDifference):
    """How far a system is ahead of another in macro-F1, with as many labelled documents.

    Args:
        system: The system.
        reference: The other.
        shots: Labelled documents a class; None for all.
    """

    system: System
    reference: System
    shots: int | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A finished classification of a study.

    Args:
        corpus: Its corpus.
        label: What was predicted.
        group: Name of the evaluation in the recipe.
        results: As classify.py left them.
        rows: Macro-F1, all on the same resamples.
        seed: Of all draws.
    """

    corpus: str
    label: str
    group: str
    results: ClassificationResults
    rows: Sequence[Row]
    seed: int = 0

    @property
    def task(self) -> str:
        """What is predicted, of which corpus."""
        return f"{self.corpus}, {self.label}"


def make_evaluation(corpus: str, label: str, group: str, results: ClassificationResults, seed: int = 0) -> Evaluation:
    """Score the cells of a classification on common resamples of its test documents."""
    keys = {(cell.system, cell.shots) for cell in results.cells}
    compared = sum(
        system.model not in (None, BASE) and (replace(system, model=BASE), shots) in keys for system, shots in keys
    )
    resamples = resamples_for(compared, RESAMPLES)
    return Evaluation(corpus, label, group, results, aggregate_rows(results, "f1_macro", resamples, seed), seed)


def gains(rows: Sequence[Row], pairs: Sequence[tuple[System, System, int | None]], seed: int = 0) -> list[Gain]:
    """Compare systems pair by pair.

    Args:
        rows: All on the same resamples.
        pairs: System, reference and number of labels; passed over where one of the two has no such row.
        seed: Of the draw of seeds.

    Returns:
        Gains in the order of the pairs, corrected together.
    """
    found = {(row.system, row.shots): row for row in rows}
    known = [pair for pair in pairs if (pair[0], pair[2]) in found and (pair[1], pair[2]) in found]
    scored = []
    for system, reference, shots in known:
        first, second = found[system, shots], found[reference, shots]
        same_seeds = first.seeds == second.seeds and first.corpus_digest == second.corpus_digest
        scored.append(ScoredPair(first.scores, second.scores, same_seeds))
    return [
        Gain(system=system, reference=reference, shots=shots, **vars(difference))
        for (system, reference, shots), difference in zip(known, adjusted_differences(scored, seed), strict=True)
    ]


def gains_over_base(evaluation: Evaluation) -> list[Gain]:
    """Compare each model with the base that is read and classified in the same way, at each number of labels.

    Returns:
        Gains in the order of the rows, corrected together.
    """
    pairs = [
        (row.system, replace(row.system, model=BASE), row.shots)
        for row in evaluation.rows
        if row.system.model not in (None, BASE)
    ]
    return gains(evaluation.rows, pairs, evaluation.seed)

"""Differences between models of a study that are read, classified and labelled alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from metrics.intervals import holm, paired_difference
from reporting.classification_results import ClassificationResults, System
from reporting.comparisons import ERROR_RATE
from reporting.result_rows import Row, aggregate_rows
from reporting.study_results import BASE

# Smallest p-value well below what Holm's correction asks of a table of a hundred gains.
RESAMPLES = 4_000


@dataclass(frozen=True)
class Gain:
    """How far a system is ahead of another with as many labelled documents.

    Args:
        system: The system.
        reference: The other.
        shots: Labelled documents a class; None for all.
        difference: Of macro-F1.
        interval: 95 % interval of the difference, over test documents and seeds.
        p_value: Two-sided, paired bootstrap.
        adjusted_p_value: After Holm over all gains that were asked for together.
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
        """Whether it stands at a family-wise error rate of 5 %."""
        return self.adjusted_p_value <= ERROR_RATE


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A finished classification of a study.

    Args:
        corpus: Its corpus.
        label: What was predicted.
        group: Name of the evaluation in the recipe.
        results: As classify.py left them.
        rows: Macro-F1, all on the same resamples.
    """

    corpus: str
    label: str
    group: str
    results: ClassificationResults
    rows: Sequence[Row]

    @property
    def task(self) -> str:
        """What is predicted, of which corpus."""
        return f"{self.corpus}, {self.label}"


def make_evaluation(corpus: str, label: str, group: str, results: ClassificationResults, seed: int = 0) -> Evaluation:
    """Score the cells of a classification on common resamples of its test documents."""
    return Evaluation(corpus, label, group, results, aggregate_rows(results, "f1_macro", RESAMPLES, seed))


def gain(rows: Sequence[Row], system: System, reference: System, shots: int | None, seed: int = 0) -> Gain | None:
    """Return the difference between two systems; None where one of them has no row. Its p-value is not corrected."""
    found = {(row.system, row.shots): row for row in rows}
    first, second = found.get((system, shots)), found.get((reference, shots))
    if first is None or second is None:
        return None
    same = first.seeds == second.seeds and first.corpus_digest == second.corpus_digest
    difference = paired_difference(first.scores, second.scores, seed, same_seeds=same)
    return Gain(
        system, reference, shots, difference.difference, difference.interval, difference.p_value, difference.p_value
    )


def gains_over_base(evaluation: Evaluation, seed: int = 0) -> list[Gain]:
    """Compare each model with the base that is read and classified in the same way, at each number of labels.

    Returns:
        Gains in the order of the rows, corrected together.
    """
    found = [
        one
        for row in evaluation.rows
        if row.system.model not in (None, BASE)
        if (one := gain(evaluation.rows, row.system, replace(row.system, model=BASE), row.shots, seed)) is not None
    ]
    adjusted = holm([one.p_value for one in found])
    return [replace(one, adjusted_p_value=float(value)) for one, value in zip(found, adjusted, strict=True)]

"""Claims of the main study (Taylor et al. 2024, arXiv 2403.19802) against the results of a study of ours.

A claim is tested on every task (a label of a corpus) that has the models which it speaks of. It `holds` where the
interval of the difference excludes zero on the claimed side in at least one task, and on the other side in none; `does
not hold` the other way round; `depends` where tasks contradict each other; and is `not shown` where every interval
holds zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from reporting.classification_results import System
from reporting.result_rows import Row, shots_of
from reporting.space_results import SpaceResults
from reporting.study_gains import Evaluation, Gain, gains
from reporting.study_results import BASE, StudyModel, StudyResults
from reporting.system_names import BASELINES, method_name
from reporting.tables import shots_name

HOLDS, FAILS, DEPENDS, NOT_SHOWN, UNTESTED = "holds", "does not hold", "depends", "not shown", "not tested"
FROZEN = "logistic_regression"


@dataclass(frozen=True)
class Finding:
    """One task's answer to a claim.

    Args:
        task: Which.
        what: What was compared.
        difference: On the claimed side when positive.
        interval: 95 %.
    """

    task: str
    what: str
    difference: float
    interval: tuple[float, float]

    @property
    def sign(self) -> int:
        """1 where the interval lies above zero, -1 below, else 0."""
        return (self.interval[0] > 0) - (self.interval[1] < 0)


@dataclass(frozen=True)
class ClaimResult:
    """A claim with what was found.

    Args:
        claim: In words.
        findings: One a task and comparison.
    """

    claim: str
    findings: Sequence[Finding]

    @property
    def verdict(self) -> str:
        """Whether it holds."""
        if not self.findings:
            return UNTESTED
        signs = {finding.sign for finding in self.findings}
        if {1, -1} <= signs:
            return DEPENDS
        return HOLDS if 1 in signs else FAILS if -1 in signs else NOT_SHOWN


@dataclass(frozen=True)
class _Comparison:
    """A claim that one way to adapt is ahead of another.

    Args:
        claim: In words.
        ahead, behind: Roles of models.
        methods: Of classification.
        fewest: Take the fewest labels of an evaluation; else the most.
    """

    claim: str
    ahead: str
    behind: str
    methods: tuple[str, ...]
    fewest: bool


COMPARISONS = (
    _Comparison("With few labels a frozen DeCLUTR model beats a frozen MLM model.", "declutr", "mlm", (FROZEN,), True),
    _Comparison("With all labels a frozen DeCLUTR model beats a frozen MLM model.", "declutr", "mlm", (FROZEN,), False),
    _Comparison("DeCLUTR after MLM beats MLM alone, frozen, few labels.", "mlm_declutr", "mlm", (FROZEN,), True),
    _Comparison("Fine-tuned, DeCLUTR still beats MLM.", "declutr", "mlm", ("fine_tuned",), False),
    _Comparison("MLM on the notes improves a frozen model, few labels.", "mlm", BASE, (FROZEN,), True),
    _Comparison("DeCLUTR on the notes improves a frozen model, few labels.", "declutr", BASE, (FROZEN,), True),
    _Comparison("The note category adds nothing to MLM for classification.", "mlm", "category", (FROZEN,), False),
)


def judge_claims(
    study: StudyResults, evaluations: Sequence[Evaluation], spaces: Sequence[tuple[str, SpaceResults]]
) -> list[ClaimResult]:
    """Test every claim on every task that allows it.

    Args:
        study: The study.
        evaluations: Its classifications.
        spaces: Its embedding spaces, each with its corpus.
    """
    results = [ClaimResult(one.claim, list(_compared(one, study, evaluations))) for one in COMPARISONS]
    results.append(ClaimResult("TF-IDF beats frozen encoders, all labels.", list(_bag_of_words(evaluations))))
    for claim, ahead, behind, measure, sign in (
        ("DeCLUTR spreads documents more evenly than MLM (lower uniformity).", "declutr", "mlm", "uniformity", -1),
        ("The note category gives more separable clusters than MLM (silhouette).", "category", "mlm", "silhouette", 1),
    ):
        results.append(ClaimResult(claim, list(_measured(study, spaces, ahead, behind, measure, sign))))
    return results


def _named(study: StudyResults, corpus: str, role: str) -> StudyModel | None:
    if role == BASE:
        return study.models[0]
    return next((model for model in study.models_of(corpus) if model.role == role), None)


def _compared(claim: _Comparison, study: StudyResults, evaluations: Sequence[Evaluation]) -> Iterator[Finding]:
    for evaluation in evaluations:
        ahead, behind = (_named(study, evaluation.corpus, role) for role in (claim.ahead, claim.behind))
        if ahead is None or behind is None:
            continue
        for system in _systems(evaluation.rows, ahead.name, lambda one: one.method in claim.methods and _whole(one)):
            shots = _sizes(evaluation.rows, system)
            size = shots[0] if claim.fewest else shots[-1]
            for found in gains(evaluation.rows, [(system, replace(system, model=behind.name), size)]):
                yield _finding(evaluation, found)


def _bag_of_words(evaluations: Sequence[Evaluation]) -> Iterator[Finding]:
    for evaluation in evaluations:
        words = next((row.system for row in evaluation.rows if row.system.method == "tfidf"), None)
        for system in _systems(evaluation.rows, None, lambda one: one.method == FROZEN):
            size = _sizes(evaluation.rows, system)[-1]
            for found in gains(evaluation.rows, [(words, system, size)] if words else []):
                yield _finding(evaluation, found)


def _measured(
    study: StudyResults,
    spaces: Sequence[tuple[str, SpaceResults]],
    ahead: str,
    behind: str,
    measure: str,
    sign: int,
) -> Iterator[Finding]:
    """Compare a measure of two spaces; their intervals are of independent resamples, so the difference's is wider."""
    for corpus, space in spaces:
        names = [_named(study, corpus, role) for role in (ahead, behind)]
        if None in names:
            continue
        values = [
            next((model.measures.get(measure) for model in space.models if model.name == one.name), None)
            for one in names
        ]
        if any(value is None or value.low is None or value.value is None for value in values):
            continue
        first, second = values
        difference = sign * (first.value - second.value)
        ends = sorted((sign * (first.low - second.high), sign * (first.high - second.low)))
        what = f"{measure}: {names[0].name} v. {names[1].name}"
        yield Finding(f"{corpus}, {space.label_column}", what, difference, (ends[0], ends[1]))


def _systems(rows: Sequence[Row], model: str | None, fits: Callable[[System], bool]) -> list[System]:
    """Return the systems of a model, or of all with None, that fit, each once."""
    systems = dict.fromkeys(row.system for row in rows if row.system.model is not None)
    return [system for system in systems if (model is None or system.model == model) and fits(system)]


def _whole(system: System) -> bool:
    return system.method != "fine_tuned" or system.frozen == "none"


def _sizes(rows: Sequence[Row], system: System) -> list[int | None]:
    """Return the numbers of labels that a system was trained with, the fewest first, all last."""
    return shots_of([row for row in rows if row.system == system])


def _finding(evaluation: Evaluation, found: Gain) -> Finding:
    ahead, behind = (
        method_name(one.method) if one.method in BASELINES else one.model for one in (found.system, found.reference)
    )
    what = f"{ahead} v. {behind}, {shots_name(found.shots)}"
    return Finding(evaluation.task, what, found.difference, found.interval)

"""Claims of the main study (Taylor et al. 2024, arXiv 2403.19802) against results of ours.

A claim is tested on every task (a label of a corpus) that has the models which it speaks of.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from reporting.claims import ClaimResult, Finding, Roles
from reporting.classification_results import System
from reporting.result_rows import Row, shots_of
from reporting.space_results import SpaceResults
from reporting.study_gains import Evaluation, Gain, gains
from reporting.study_results import BASE
from reporting.system_names import BASELINES, method_name
from reporting.tables import shots_name

FROZEN = "logistic_regression"
# Sizes of the training samples that a claim speaks of: the fewest labels a class, all, or the most there are.
FEWEST, ALL, MOST = "fewest", "all", "most"


@dataclass(frozen=True)
class _Comparison:
    """A claim that one way to adapt is ahead of another.

    Args:
        claim: In words.
        ahead, behind: Roles of models.
        methods: Of classification.
        size: `FEWEST`, `ALL` or `MOST`.
    """

    claim: str
    ahead: str
    behind: str
    methods: tuple[str, ...]
    size: str


COMPARISONS = (
    _Comparison(
        "With few labels a frozen DeCLUTR model beats a frozen MLM model.", "declutr", "mlm", (FROZEN,), FEWEST
    ),
    _Comparison("With all labels a frozen DeCLUTR model beats a frozen MLM model.", "declutr", "mlm", (FROZEN,), ALL),
    _Comparison("DeCLUTR after MLM beats MLM alone, frozen, few labels.", "mlm_declutr", "mlm", (FROZEN,), FEWEST),
    _Comparison("Fine-tuned, DeCLUTR still beats MLM.", "declutr", "mlm", ("fine_tuned",), MOST),
    _Comparison("MLM on the notes improves a frozen model, few labels.", "mlm", BASE, (FROZEN,), FEWEST),
    _Comparison("DeCLUTR on the notes improves a frozen model, few labels.", "declutr", BASE, (FROZEN,), FEWEST),
    _Comparison("The note category adds nothing to MLM for classification.", "mlm", "category", (FROZEN,), MOST),
)


def judge_claims(
    roles_of: Callable[[str], Roles], evaluations: Sequence[Evaluation], spaces: Sequence[tuple[str, SpaceResults]]
) -> list[ClaimResult]:
    """Test every claim on every task that allows it.

    Args:
        roles_of: What the models stand for, by the corpus of a task.
        evaluations: Classifications.
        spaces: Embedding spaces, each with its corpus.
    """
    results = [ClaimResult(1, one.claim, list(_compared(one, roles_of, evaluations))) for one in COMPARISONS]
    words = list(_bag_of_words(evaluations))
    results.append(ClaimResult(1, "TF-IDF beats frozen encoders, all labels.", words, "its predecessor (ELM4PSIR)"))
    for claim, ahead, behind, measure, sign in (
        ("DeCLUTR spreads documents more evenly than MLM (lower uniformity).", "declutr", "mlm", "uniformity", -1),
        ("The note category gives more separable clusters than MLM (silhouette).", "category", "mlm", "silhouette", 1),
    ):
        found: dict[Hashable, Finding] = {}
        for one in _measured(roles_of, spaces, ahead, behind, measure, sign):
            # Uniformity knows no labels: that of a corpus is one finding, however many labels it is analysed by.
            labelled = one.task if measure == "silhouette" else None
            found.setdefault((labelled, one.what, one.difference, one.interval), one)
        results.append(ClaimResult(1, claim, list(found.values())))
    return results


def _compared(
    claim: _Comparison, roles_of: Callable[[str], Roles], evaluations: Sequence[Evaluation]
) -> Iterator[Finding]:
    for evaluation in evaluations:
        roles = roles_of(evaluation.corpus)
        for ahead, behind in product(roles.named(claim.ahead), roles.named(claim.behind)):
            for system in _systems(evaluation.rows, ahead, lambda one: one.method in claim.methods and _whole(one)):
                pairs = [(system, replace(system, model=behind), size) for size in _sizes(evaluation, system, claim)]
                for found in gains(evaluation.rows, pairs):
                    yield _finding(evaluation, found)


def _bag_of_words(evaluations: Sequence[Evaluation]) -> Iterator[Finding]:
    for evaluation in evaluations:
        words = next((row.system for row in evaluation.rows if row.system.method == "tfidf"), None)
        systems = _systems(evaluation.rows, None, lambda one: one.method == FROZEN) if words else []
        for found in gains(evaluation.rows, [(words, system, None) for system in systems]):
            yield _finding(evaluation, found)


def _measured(
    roles_of: Callable[[str], Roles],
    spaces: Sequence[tuple[str, SpaceResults]],
    ahead: str,
    behind: str,
    measure: str,
    sign: int,
) -> Iterator[Finding]:
    """Compare a measure of two spaces; their intervals are of independent resamples, so the difference's is wider."""
    for corpus, space in spaces:
        roles = roles_of(corpus)
        values = {model.name: model.measures.get(measure) for model in space.models}
        for names in product(roles.named(ahead), roles.named(behind)):
            first, second = (values.get(name) for name in names)
            if any(value is None or value.low is None or value.value is None for value in (first, second)):
                continue
            difference = sign * (first.value - second.value)
            ends = sorted((sign * (first.low - second.high), sign * (first.high - second.low)))
            task = f"{corpus}, {space.label_column}" if space.label_column else corpus
            yield Finding(task, f"{names[0]} v. {names[1]}", measure, difference, (ends[0], ends[1]))


def _systems(rows: Sequence[Row], model: str | None, fits: Callable[[System], bool]) -> list[System]:
    """Return the systems of a model, or of all with None, that fit, each once."""
    systems = dict.fromkeys(row.system for row in rows if row.system.model is not None)
    return [system for system in systems if (model is None or system.model == model) and fits(system)]


def _whole(system: System) -> bool:
    return system.method != "fine_tuned" or system.frozen == "none"


def _sizes(evaluation: Evaluation, system: System, claim: _Comparison) -> list[int | None]:
    """Return the number of labels that a claim speaks of, where the system was trained with so many."""
    found = shots_of([row for row in evaluation.rows if row.system == system])
    if claim.size == FEWEST:
        return [size for size in found[:1] if size is not None]
    return [size for size in found[-1:] if size is None or claim.size == MOST]


def _finding(evaluation: Evaluation, found: Gain) -> Finding:
    ahead, behind = (
        method_name(one.method) if one.method in BASELINES else one.model for one in (found.system, found.reference)
    )
    what = f"{ahead} v. {behind}, {shots_name(found.shots)}"
    return Finding(evaluation.task, what, "macro-F1", found.difference, found.interval)

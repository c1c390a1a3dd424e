"""Results of the finished steps of a study, read and scored, and what they say of the claims of published studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reporting.claims import ClaimResult, Roles
from reporting.classification_results import load_results
from reporting.space_results import SpaceResults, load_space_results
from reporting.study_claims import judge_claims
from reporting.study_gains import Evaluation, make_evaluation
from reporting.study_results import StudyResults
from reporting.tagging_claims import judge_tagging_claims
from reporting.tagging_results import TaggingResults, join_tagging_results, load_tagging_results


@dataclass(frozen=True, eq=False)
class StudyParts:
    """Results of a study.

    Args:
        evaluations: Its classifications.
        spaces: Corpus, folder and embedding space of each analysis.
        taggings: All systems of each task of entities, called by the task.
    """

    evaluations: Sequence[Evaluation]
    spaces: Sequence[tuple[str, Path, SpaceResults]]
    taggings: Sequence[TaggingResults]


def load_study_parts(study: StudyResults, seed: int = 0) -> StudyParts:
    """Read the results of a study; steps that are not finished are left out.

    Raises:
        InputError: A result is damaged.
    """
    evaluations = [
        make_evaluation(*step.name.split("/")[1:], load_results(step.folder), seed)
        for step in study.finished("classify")
    ]
    spaces = [
        (step.name.split("/")[1], step.folder, load_space_results(step.folder)) for step in study.finished("space")
    ]
    systems: dict[str, list[TaggingResults]] = {}
    for step in study.finished("tag"):
        _, task, name = step.name.split("/")
        if name != "compared":
            systems.setdefault(task, []).append(replace(load_tagging_results(step.folder), corpus=task))
    return StudyParts(evaluations, spaces, [join_tagging_results(found) for found in systems.values()])


def without_sweeps(study: StudyResults, evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return evaluations without the models of sweeps, which have tables of their own: dozens, each of one seed."""
    swept = {model.name for model in study.models if model.sweep is not None}
    return [
        replace(
            one,
            results=replace(one.results, cells=[cell for cell in one.results.cells if cell.system.model not in swept]),
            rows=[row for row in one.rows if row.system.model not in swept],
        )
        for one in evaluations
    ]


def judge_study(study: StudyResults, parts: StudyParts, seed: int = 0) -> list[ClaimResult]:
    """Test the claims of the main study and, where entities were tagged, of the study on entities.

    Raises:
        InputError: A result is damaged.
    """
    spaces = [(corpus, space) for corpus, _, space in parts.spaces]
    claims = judge_claims(study.roles_of, without_sweeps(study, parts.evaluations), spaces)
    if parts.taggings:
        roles = Roles({model.name: model.role for model in study.models})
        claims += judge_tagging_claims(parts.taggings, roles, seed=seed)
    return claims

"""Checks the options of every step of a study before the first one runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from command_line import RecipeParser
from corpora.errors import InputError
from corpora.records import resolve_all
from corpora.sources import find_sources
from modeling.checkpoint_folder import check_checkpoint
from study_plan import Step


def check_options(steps: Sequence[Step], output: Path, recipe: str | Path) -> None:
    """Build the options of each step as its script would, and look for the files to begin with and their columns.

    A mistyped key of the last step is found now, not after a night.

    Args:
        steps: Of the study.
        output: Its folder.
        recipe: The recipe, for messages.

    Raises:
        InputError: An option is unknown, missing or not allowed, and the message names the step; or notes, one
            of their columns or a checkpoint is not there.
    """
    parsers: dict[tuple, RecipeParser] = {}
    made = {str(step.made) for step in steps}
    for step in steps:
        start = step.options.get("model_name_or_path")
        if start is not None and not any(str(other.folder) == start for other in steps):
            check_checkpoint(start)
        try:
            types = _option_types(step)
            if types not in parsers:
                parsers[types] = RecipeParser(types)
            built = parsers[types].build(step.options, Path(recipe))
        except InputError as error:
            raise InputError(f"step {step.name}: {error.problem}", file=recipe, remedy=error.remedy) from error
        files = [file for file in step.options.get("input_files") or () if file not in made]
        if files:
            _check_columns(step, files, built)
        made_up = any(name.startswith("annotated/") for name in step.needs)
        if step.subcommand == "train" and not made_up:
            _find_annotated(built)


def _check_columns(step: Step, files: Sequence[str], options: Sequence[Any]) -> None:
    """Look for the columns of a corpus at the heads of its files.

    Raises:
        InputError: A file or a column is missing; the remedy says where in the recipe columns are named.
    """
    notes, reading = options[:2]
    try:
        resolve_all(find_sources(files), notes.columns(), reading)
    except InputError as error:
        place = f"its place in the recipe is {step.section}" if error.column else None
        remedy = "; ".join(filter(None, (error.remedy, place)))
        raise InputError(error.problem, file=error.file, row=error.row, column=error.column, remedy=remedy) from error


def _find_annotated(options: Sequence[Any]) -> None:
    """Look for the annotated files of a task.

    Raises:
        InputError: One is missing, empty or of no known format.
    """
    from tag_study import find_given

    find_given(options[0], options[-1])


def _option_types(step: Step) -> tuple[type, ...]:
    if step.script == "pretrain.py":
        return _pretraining(step.options)
    return _TYPES[step.script, step.subcommand]()


def _pretraining(options: Mapping[str, Any]) -> tuple[type, ...]:
    from pretrain import option_types

    objective = options.get("objective")
    if objective not in ("mlm", "declutr", "note_category"):
        raise InputError("'objective' is not one of mlm, declutr, note_category")
    return option_types(objective)


def _demo_notes() -> tuple[type, ...]:
    from corpora.demo import DemoOptions
    from make_demo_notes import OutputArguments

    return OutputArguments, DemoOptions


def _preparation() -> tuple[type, ...]:
    from prepare_notes import OPTIONS

    return OPTIONS


def _classification() -> tuple[type, ...]:
    from classify import OPTIONS

    return OPTIONS


def _space() -> tuple[type, ...]:
    from analyse_embeddings import OPTIONS

    return OPTIONS


def _correlation() -> tuple[type, ...]:
    from correlate_metrics import CorrelateOptions

    return (CorrelateOptions,)


def _tagging() -> tuple[type, ...]:
    from tag_study import OPTIONS

    return OPTIONS


def _tagging_comparison() -> tuple[type, ...]:
    from tag import ComparedFolders

    return (ComparedFolders,)


def _audit() -> tuple[type, ...]:
    from audit_options import AttackOptions, AuditOptions

    return AuditOptions, AttackOptions


def _card() -> tuple[type, ...]:
    from make_card import CardOptions
    from model_cards.statements import DataStatement, ModelStatement

    return CardOptions, ModelStatement, DataStatement


def _report() -> tuple[type, ...]:
    from report_study import ReportOptions

    return (ReportOptions,)


_TYPES: dict[tuple[str, str | None], Callable[[], tuple[type, ...]]] = {
    ("make_demo_notes.py", None): _demo_notes,
    ("prepare_notes.py", None): _preparation,
    ("classify.py", None): _classification,
    ("analyse_embeddings.py", None): _space,
    ("correlate_metrics.py", None): _correlation,
    ("tag.py", "train"): _tagging,
    ("tag.py", "compare"): _tagging_comparison,
    ("audit_privacy.py", None): _audit,
    ("make_card.py", None): _card,
    ("report_study.py", None): _report,
}

"""A whole study from notes to report: adapted models, classified with, analysed, audited, in tables and one page.

    python scripts/run_study.py recipes/study_demo.yaml --output_dir STUDY

A recipe names corpora, a base model, ways to adapt it at equal numbers of tokens, and evaluations; each becomes steps,
and each step one call of another script with a recipe of its own under STUDY/steps. Run the same command again after an
interruption: finished steps are skipped, and those at work go on where they stopped. A step that fails stops only
those that need it.
"""

from __future__ import annotations

import shlex
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from command_line import RecipeParser, run
from corpora.errors import InputError
from corpora.json_files import write_json
from reporting.durations import minutes
from reporting.study_results import MANIFEST
from study_jobs import StudyJobs, threads_of_each
from study_options import check_options
from study_plan import manifest, plan
from study_recipe import read_study
from study_runner import (
    StudyFolder,
    chosen_steps,
    end_with_sigterm,
    refuse_foreign_folder,
    with_dependents,
    with_needs,
)
from study_time import TimeTable


@dataclass(kw_only=True)
class StudyOptions:
    """Which study, and what of it."""

    _argument_group_name = "Study"

    study: str = field(metadata={"help": "Recipe of the study; also without its name, as the first word."})
    output_dir: str = field(metadata={"help": "Folder for everything that the study makes."})
    inputs: list[str] = field(
        default_factory=list,
        metadata={
            "help": "CORPUS=FILE: notes of a corpus of the recipe; several times for several files. TASK=FILE, "
            "TASK.validation=FILE, TASK.test=FILE: annotated text of an evaluation by entities."
        },
    )
    base: str | None = field(
        default=None, metadata={"help": "Checkpoint folder or Hub id to start from, in place of the recipe's."}
    )
    only: list[str] = field(
        default_factory=list,
        metadata={
            "help": "Run these steps and what they need: names, their beginnings (adapt/demo) or patterns (*/demo/*)."
        },
    )
    redo: list[str] = field(
        default_factory=list, metadata={"help": "Delete the results of these steps, and of all that need them, first."}
    )
    dry_run: bool = field(default=False, metadata={"help": "Print the steps with their estimated times and stop."})
    launcher: str | None = field(
        default=None,
        metadata={"help": "What training is started with: 'accelerate launch --config_file FILE'; Python by default."},
    )
    jobs: int = field(
        default=1,
        metadata={
            "help": "Steps at work at the same time where they do not need each other; each gets an equal share of the "
            "processor's threads and, with as many GPUs as jobs, of the GPUs."
        },
    )

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError("--jobs is below 1")
        if self.jobs > 1 and self.launcher is not None:
            raise ValueError("--jobs and --launcher both share out the machine: give one of them")


def main(argv: list[str]) -> int:
    """Run the study, or print its plan."""
    # The recipe of a study is no recipe of options.
    words = ["--study", *argv] if argv and not argv[0].startswith("-") else argv
    if not any(word.partition("=")[0] in ("--study", "--help", "-h") for word in words):
        raise InputError("no study is named", remedy="begin with its recipe, for example recipes/study_demo.yaml")
    (options,) = RecipeParser([StudyOptions], description=" ".join(__doc__.split("\n\n")[0].split())).parse(words)
    output = Path(options.output_dir)
    refuse_foreign_folder(output, Path(options.study))
    study = read_study(options.study, _inputs(options.inputs), options.base)
    steps = plan(study, output)
    # Which imports what all the scripts need: some seconds without a word.
    if not options.dry_run:
        print(f"Checking the options of {len(steps)} steps.", flush=True)
    check_options(steps, output, options.study)
    folder = StudyFolder(output, steps)
    wanted = with_needs(chosen_steps(steps, options.only, "--only"), steps) if options.only else steps
    chosen = chosen_steps(steps, options.redo, "--redo")
    if unwanted := [step.name for step in chosen if step not in wanted]:
        raise InputError(
            f"--redo would delete {unwanted[0]}, which --only leaves out", remedy="name it in --only too, or in neither"
        )
    redone = with_dependents(chosen, steps)
    table = TimeTable(folder, wanted, threads_of_each(options.jobs) if options.jobs > 1 else None)
    if options.dry_run:
        print(table.plan([step.name for step in redone], options.jobs))
        try:
            folder.check_settings([step for step in wanted if step not in redone])
        except InputError as error:
            print(f"As it is, the study would be refused: {error}")
        return 0
    end_with_sigterm()
    with folder.locked() as lock:
        for step in redone:
            folder.forget(step)
        folder.check_settings(wanted)
        write_json(output / MANIFEST, manifest(study, steps, output, options.study))
        begun = time.monotonic()
        work = StudyJobs(folder, wanted, table, options.jobs, shlex.split(options.launcher or ""), lock)
        work.run()
    return _end(work, time.monotonic() - begun)


def _end(work: StudyJobs, seconds: float) -> int:
    """Say what is finished, and on stderr what failed."""
    unfinished = len(work.failed) + len(work.left_out)
    print(f"\n{len(work.steps) - unfinished} of {len(work.steps)} steps are finished, this time in {minutes(seconds)}.")
    report = next((one for one in work.steps if one.takes_what_is_there and work.folder.is_finished(one)), None)
    if report is not None:
        print(f"The report: {report.made}")
    if work.left_out:
        print(f"{len(work.left_out)} steps were left out, for they need what failed; the same command goes on.")
    for name, why in work.failed.items():
        print(f"{Path(sys.argv[0]).name}: step {name}: {why}", file=sys.stderr)
    return 1 if work.failed else 0


def _inputs(entries: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entry in entries:
        name, equals, file = entry.partition("=")
        if not (name and equals and file):
            raise InputError(f"--inputs {entry} is not of the form NAME=FILE")
        found.setdefault(name, []).append(file)
    return found


if __name__ == "__main__":
    run(main)

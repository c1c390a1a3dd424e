"""Runs the steps of a study as processes of their own; remembers what is finished."""

from __future__ import annotations

import fcntl
import fnmatch
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import yaml

from corpora.errors import InputError
from corpora.json_files import read_json, write_json
from reporting.study_results import MANIFEST
from study_plan import Step, step_digests

SCRIPTS = Path(__file__).resolve().parent
LOCK = "study.lock"


@dataclass(frozen=True)
class Work:
    """A step at work.

    Args:
        step: The step.
        process: Of its script.
        begun: When it was started, on the monotonic clock.
    """

    step: Step
    process: subprocess.Popen[bytes]
    begun: float

    def seconds(self) -> float:
        """Return how long it has been at work."""
        return time.monotonic() - self.begun


class StudyFolder:
    """The folder of a study: recipes, records and logs of its steps.

    `steps/NAME.yaml` is what a step's script is called with, `steps/NAME.json` says that it is finished,
    `logs/NAME.log` holds what it printed.

    Args:
        folder: The folder; made where there is none.
        steps: Of the study.
    """

    def __init__(self, folder: Path, steps: Sequence[Step]) -> None:
        self.folder, self.steps = folder, {step.name: step for step in steps}
        self._digests = step_digests(steps, folder)

    def recipe(self, step: Step) -> Path:
        """Return where the options of a step are."""
        return self.folder / "steps" / f"{step.name}.yaml"

    def log(self, step: Step) -> Path:
        """Return where the output of a step is."""
        return self.folder / "logs" / f"{step.name}.log"

    def record(self, step: Step) -> dict[str, Any] | None:
        """Return what is remembered of a finished step, None before it is finished."""
        return read_json(self.folder / "steps" / f"{step.name}.json")

    def digest(self, step: Step) -> str:
        """Return the digest of a step's settings; of a step that takes what is there also of what is there."""
        digest = self._digests[step.name]
        if step.takes_what_is_there:
            digest += "".join("01"[self.is_finished(self.steps[name])] for name in step.needs)
        return digest

    def is_finished(self, step: Step) -> bool:
        """Return whether a step with these settings is finished."""
        record = self.record(step)
        return record is not None and record["digest"] == self.digest(step) and step.made.exists()

    def check_settings(self, steps: Sequence[Step]) -> None:
        """Make sure that finished steps had the settings that they have now.

        Raises:
            InputError: One had others; its result would be mixed with that of other settings.
        """
        changed = [
            step.name
            for step in steps
            if not step.takes_what_is_there
            and (record := self.record(step)) is not None
            and record["digest"] != self.digest(step)
        ]
        if changed:
            raise InputError(
                f"{len(changed)} finished steps had other settings, the first is {changed[0]}",
                file=self.folder,
                remedy=f"choose another --output_dir, or delete their results with --redo {changed[0]}",
            )

    def forget(self, step: Step) -> None:
        """Delete what a step made; where nothing shows that it was ever started, what is in its place is not its."""
        if not any(file.exists() for file in self._traces(step)):
            return
        for kind in ("json", "seconds"):
            (self.folder / "steps" / f"{step.name}.{kind}").unlink(missing_ok=True)
        if step.folder.is_dir():
            shutil.rmtree(step.folder)
        elif step.script != "make_card.py":  # a person's words in a card stay; the script writes all else anew
            step.folder.unlink(missing_ok=True)

    def _traces(self, step: Step) -> list[Path]:
        """Return the files of which a step leaves one as soon as it starts."""
        ends = [self.folder / "steps" / f"{step.name}.{kind}" for kind in ("json", "seconds")]
        return [self.recipe(step), self.log(step), *ends]

    def finish(self, step: Step, seconds: float) -> None:
        """Remember that a step is finished."""
        earlier = self.folder / "steps" / f"{step.name}.seconds"
        spent = _seconds(earlier) + seconds
        record = {"step": step.name, "script": step.script, "digest": self.digest(step), "seconds": round(spent, 1)}
        write_json(self.folder / "steps" / f"{step.name}.json", record)
        earlier.unlink(missing_ok=True)

    def interrupt(self, step: Step, seconds: float) -> None:
        """Remember how long an unfinished step took so far."""
        earlier = self.folder / "steps" / f"{step.name}.seconds"
        earlier.write_text(str(_seconds(earlier) + seconds))

    @contextmanager
    def locked(self) -> Iterator[IO[str]]:
        """Hold the folder against a second run.

        The lock is inherited by the process of a step and lasts as long as it: a step that outlives a killed run is
        found, and never runs twice at once.

        Raises:
            InputError: Another run, or a step of a killed one, is at work.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / LOCK).open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise InputError(
                    "another run, or a step of a run that was killed, is at work here",
                    file=self.folder,
                    remedy="wait until it has ended, or end it",
                ) from error
            yield file

    def start(
        self, step: Step, launcher: Sequence[str], lock: IO[str], environment: Mapping[str, str] | None = None
    ) -> Work:
        """Start a step.

        Args:
            step: The step.
            launcher: What pretrain.py is started with in place of Python.
            lock: From `locked`.
            environment: Variables beside those of this process.

        Returns:
            The step at work, for `end` or `stop`.
        """
        recipe, log = self.recipe(step), self.log(step)
        for file in (recipe, log, step.folder):
            file.parent.mkdir(parents=True, exist_ok=True)
        recipe.write_text(yaml.safe_dump(dict(step.options), sort_keys=False, allow_unicode=True), encoding="utf-8")
        started = list(launcher) if launcher and step.script == "pretrain.py" else [sys.executable]
        command = [*started, str(SCRIPTS / step.script), *filter(None, [step.subcommand]), str(recipe)]
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[lock.fileno()],
                env={**os.environ, **(environment or {})},
            )
        return Work(step, process, time.monotonic())

    def end(self, work: Work) -> bool:
        """Remember what became of a step whose process has ended.

        Returns:
            Whether the step is finished.
        """
        finished = work.process.wait() == 0 and work.step.made.exists()
        (self.finish if finished else self.interrupt)(work.step, work.seconds())
        return finished

    def stop(self, works: Sequence[Work]) -> None:
        """End the processes of steps at work, and remember how long these took."""
        for work in works:
            work.process.terminate()
        for work in works:
            work.process.wait()
            self.interrupt(work.step, work.seconds())

    def fault(self, step: Step) -> str:
        """Return the line in which a failed step's script says what is wrong; else where its output is.

        Other output is not repeated: it may be a library's, and hold anything.
        """
        lines = (
            self.log(step).read_text(encoding="utf-8", errors="replace").splitlines() if self.log(step).exists() else []
        )
        told = [line for line in lines if line.startswith(f"{step.script}: error: ")]
        if not told:
            return f"see {self.log(step)}"
        # The script speaks of its own options, which the command line of a study has not.
        return told[-1] + (f" (options of this step stand in the recipe under {step.section})" if step.section else "")


def refuse_foreign_folder(folder: Path, recipe: Path) -> None:
    """Make sure that a study is written to a new folder or to that of a study, for --redo deletes what is in it.

    Args:
        folder: Of the study.
        recipe: Of the study, which may lie in the folder beforehand.

    Raises:
        InputError: It is a file, or holds something that no study put there.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is a file, not a folder", file=folder, remedy="choose another --output_dir")
    if not folder.is_dir() or (folder / MANIFEST).is_file():
        return
    # A run that was killed before it wrote the manifest leaves the lock.
    if any(file.name != LOCK and file.resolve() != recipe.resolve() for file in folder.iterdir()):
        raise InputError(
            "the output folder holds files that are not of a study", file=folder, remedy="choose another --output_dir"
        )


def chosen_steps(steps: Sequence[Step], patterns: Sequence[str], option: str) -> list[Step]:
    """Return the steps whose names match one of the patterns; `adapt/*` also matches what lies deeper.

    Raises:
        InputError: A pattern matches none.
    """
    found: list[Step] = []
    for pattern in patterns:
        matching = [
            step for step in steps if fnmatch.fnmatchcase(step.name, pattern) or step.name.startswith(f"{pattern}/")
        ]
        if not matching:
            raise InputError(f"{option} {pattern} is no step", remedy="see --dry_run for their names")
        found += matching
    return [step for step in steps if step in found]


def with_needs(chosen: Sequence[Step], steps: Sequence[Step]) -> list[Step]:
    """Return the chosen steps and all that they need, in the order of the study."""
    by_name, wanted = {step.name: step for step in steps}, [step.name for step in chosen]
    for name in wanted:
        wanted += [need for need in by_name[name].needs if need not in wanted]
    return [step for step in steps if step.name in wanted]


def with_dependents(chosen: Sequence[Step], steps: Sequence[Step]) -> list[Step]:
    """Return the chosen steps and all that need them, in the order of the study."""
    names = {step.name for step in chosen}
    for step in steps:  # each stands after those that it needs
        if names & set(step.needs):
            names.add(step.name)
    return [step for step in steps if step.name in names]


def end_with_sigterm() -> None:
    """Let SIGTERM end the steps at work, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _seconds(file: Path) -> float:
    return float(file.read_text()) if file.is_file() else 0.0

"""Goes through the steps of a study, several at a time where asked: what can start, what has to wait or is left out."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import IO

from launching import usable_processors
from reporting.durations import minutes
from study_plan import Step
from study_runner import StudyFolder, Work
from study_time import TimeTable

# Seconds between two looks at the steps at work.
PAUSE = 0.1


class StudyJobs:
    """Runs steps, each after those that it needs or waits for.

    Args:
        folder: Of the study.
        steps: Those to run, each after those that it needs.
        table: Of their times.
        jobs: Steps at work at the same time.
        launcher: What pretrain.py is started with in place of Python.
        lock: From `StudyFolder.locked`.

    Attributes:
        failed: By the name of a step, what its script says is wrong.
        left_out: Names of steps that need one that failed.
    """

    def __init__(
        self,
        folder: StudyFolder,
        steps: Sequence[Step],
        table: TimeTable,
        jobs: int,
        launcher: Sequence[str],
        lock: IO[str],
    ) -> None:
        self.folder, self.steps, self.table, self.launcher, self.lock = folder, steps, table, launcher, lock
        self.failed: dict[str, str] = {}
        self.left_out: set[str] = set()
        self._waiting = list(steps)
        self._places: list[Work | None] = [None] * jobs

    def run(self) -> None:
        """Run all steps to their ends; whatever interrupts it ends the steps at work, too."""
        try:
            self._start_what_can()
            while self._at_work():
                time.sleep(PAUSE)
                if self._look():
                    self._start_what_can()
        except BaseException:
            self.folder.stop(self._at_work())
            raise

    def _at_work(self) -> list[Work]:
        return [work for work in self._places if work is not None]

    def _start_what_can(self) -> None:
        for step in list(self._waiting):
            unfinished = {one.name for one in self._waiting} | {work.step.name for work in self._at_work()}
            if unfinished & step.waits_for:
                continue
            missing = [name for name in step.needs if name in self.failed or name in self.left_out]
            nothing = step.takes_what_is_there and len(missing) == len(step.needs)
            if self.folder.is_finished(step):
                self._say(step, "finished before")
            elif missing and (nothing or not step.takes_what_is_there):
                self.left_out.add(step.name)
                self._say(step, f"left out, for it needs {missing[0]}")
            elif None in self._places:
                place = self._places.index(None)
                left = self.table.left(self._waiting, self._at_work(), len(self._places))
                self._say(step, f"about {minutes(self.table.estimate(step))}; about {minutes(left)} left")
                environment = environment_of(place, len(self._places))
                self._places[place] = self.folder.start(step, self.launcher, self.lock, environment)
            else:
                continue
            self._waiting.remove(step)

    def _look(self) -> bool:
        """Take notice of steps that have ended; return whether any has."""
        ended = False
        for place, work in enumerate(self._places):
            if work is None or work.process.poll() is None:
                continue
            self._places[place], ended = None, True
            if self.folder.end(work):
                self._say(work.step, f"done in {minutes(work.seconds())}")
                self.table.learn(work.step)
            else:
                self.failed[work.step.name] = self.folder.fault(work.step)
                self._say(work.step, f"FAILED: {self.failed[work.step.name]}")
        return ended

    def _say(self, step: Step, words: str) -> None:
        number = [one.name for one in self.steps].index(step.name) + 1
        print(f"[{number}/{len(self.steps)}] {step.name}: {words}", flush=True)


def threads_of_each(jobs: int) -> int:
    """Return the processor threads of a step where several run at the same time: an equal share, at least one."""
    return max(1, usable_processors() // jobs)


def environment_of(place: int, jobs: int) -> dict[str, str]:
    """Return what tells a step its share of the machine.

    Args:
        place: Which of the steps at work, from 0.
        jobs: Steps at work at the same time.

    Returns:
        `OMP_NUM_THREADS` where it is not set and, with as many GPUs as jobs, `CUDA_VISIBLE_DEVICES` with an equal share
        of them; nothing for one job.
    """
    if jobs == 1:
        return {}
    environment = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(threads_of_each(jobs))}
    devices = _gpus()
    if len(devices) >= jobs:
        share = len(devices) // jobs
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices[place * share : (place + 1) * share])
    return environment


def _gpus() -> list[str]:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [device for device in chosen.split(",") if device]
    import torch

    return [str(device) for device in range(torch.cuda.device_count())]

"""How the script was started, and whether that is what its user meant."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from command_line import read_yaml


def usable_processors() -> int:
    """Return how many processors this process may use; not every system tells, and then it is all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_main_process() -> bool:
    """Return whether this is the process that talks."""
    return int(os.environ.get("RANK", "0")) == 0


def say(line: str = "") -> None:
    """Print a line from the main process, in order with what libraries print."""
    if is_main_process():
        print(line, flush=True)


def processes_asked_for() -> int | None:
    """Return the number of processes that `accelerate launch` was asked for; None when started otherwise."""
    import psutil

    try:
        words = psutil.Process().parent().cmdline()
    except (psutil.Error, AttributeError):
        return None
    if "launch" not in words or not any(Path(word).stem.startswith("accelerate") for word in words):
        return None
    for number, word in enumerate(words):
        name, _, value = word.partition("=")
        if name in ("--num_processes", "--num-processes"):
            return int(value or words[number + 1])
    for number, word in enumerate(words):
        name, _, value = word.partition("=")
        if name in ("--config_file", "--config-file"):
            return int(read_yaml(Path(value or words[number + 1])).get("num_processes", 1))
    return None


def warn_about_missing_processes(world_size: int) -> None:
    """Say so on stderr when fewer processes run than were asked for.

    `accelerate launch --cpu --num_processes 2` starts a single process and reports no error.
    """
    asked = processes_asked_for()
    if asked is not None and asked > world_size and is_main_process():
        script = Path(sys.argv[0]).name
        print(
            f"{script}: warning: accelerate launch was asked for {asked} processes but {world_size} runs; on CPU start "
            f"with: torchrun --nproc-per-node {asked} {script} ...",
            file=sys.stderr,
        )


class Processes(NamedTuple):
    """The processes that `accelerate launch` or `torchrun` started for one job.

    Args:
        rank: Of this one, from 0.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the one that talks and writes what belongs to all."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all have come here."""
        if self.count > 1:
            import torch

            torch.distributed.barrier()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process go first, for example to fill a cache that the others read.

        When it fails, it ends, and the launcher ends the others.
        """
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()


@contextmanager
def joined_processes() -> Iterator[Processes]:
    """Join the processes of this job; one process alone joins nobody and imports nothing.

    They only wait for each other, so gloo does it on any device.
    """
    processes = Processes(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    if processes.count == 1:
        yield processes
        return
    import torch

    # One may have far more to do than another; the default would give up after half an hour.
    torch.distributed.init_process_group("gloo", timeout=timedelta(days=30))
    try:
        yield processes
    finally:
        torch.distributed.destroy_process_group()

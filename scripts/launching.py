"""How the script was started, and whether that is what its user meant."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from command_line import read_yaml


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

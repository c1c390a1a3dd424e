"""Run scripts of the project as a user would, and measure them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def command_words(*words: object, **options: Any) -> list[str]:
    """Return words and `--NAME VALUE ...` of the options as a command line has them; a list has several values."""
    line = [*map(str, words)]
    for key, value in options.items():
        line += [f"--{key}", *map(str, value if isinstance(value, list) else [value])]
    return line


def script(name: str, *words: object, log: Path | None = None, **options: Any) -> float:
    """Run `scripts/NAME.py` offline with this interpreter, and wait for it.

    Args:
        name: Of the script.
        words: Its arguments without a name.
        log: File to add its output to; where this process prints by default.
        options: Its named arguments.

    Returns:
        The largest resident size of its process in MiB.

    Raises:
        SystemExit: It ended with a fault, which its output tells.
    """
    line = command_words(*words, **options)
    print("$", " ".join([f"{name}.py", *line]), flush=True)
    command = [sys.executable, str(ROOT / "scripts" / f"{name}.py"), *line]
    with log.open("a") if log is not None else nullcontext() as stream:
        process = subprocess.Popen(
            command, env={**os.environ, "HF_HUB_OFFLINE": "1"}, stdout=stream, stderr=stream and subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)  # of this one child; getrusage knows the largest of all
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        place = f"; see {log}" if log is not None else ""
        raise SystemExit(f"{name}.py ended with status {process.returncode}{place}")
    return usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)

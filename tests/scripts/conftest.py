"""What tests of scripts share: a small base and notes, and scripts that are killed at an exact place and run again."""

import json

import pytest

# What comes before the program of a test. Each run is a forked process of its own.
KILLED_RUNS = """
import json, os, signal, sys, traceback
from pathlib import Path


def die():
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def kill_while_writing(pattern):
    # Half of the file is written, and it has not got its name.
    replace = Path.replace

    def cut(self, target):
        if Path(target).match(pattern):
            os.truncate(self, self.stat().st_size // 2)
            die()
        return replace(self, target)

    Path.replace = cut


def run(main, arguments, log, kill, place):
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        if kill is not None:
            globals()[kill](place)
        try:
            status = main(arguments) or 0
        except BaseException:
            traceback.print_exc()
            status = 1
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
    return os.waitpid(child, 0)[1]


def finished(folder):
    cells = {file.stem for file in (folder / "cells").glob("*.json")}
    return {
        file.name: file.stat().st_mtime_ns for file in (folder / "cells").glob("*")
        if file.suffix in (".json", ".npz") and file.stem in cells
    }


def play(main):
    for scenario in json.loads(sys.argv[1]):
        folder, seen = Path(scenario["folder"]), []
        arguments = [*scenario["arguments"], "--output_dir", str(folder)]
        kills = [*scenario["kills"], (None, None)]
        for number, (kill, place) in enumerate(kills):
            status = run(main, arguments, f"{folder}-{number}.log", kill, place)
            assert status == (0 if kill is None else signal.SIGKILL), f"{folder.name}, run {number}: {status}"
            seen.append({"cells": finished(folder), "results": (folder / "results.json").exists()})
        Path(f"{folder}-seen.json").write_text(json.dumps(seen))
"""


@pytest.fixture
def play_killed(run_forked, tmp_path):
    """Run a script to its end for each list of kills, each run but the last of a list killed.

    `play_killed(program, arguments, {"whole": [], "killed": [("kill_while_writing", "*.json")]})` adds to
    `KILLED_RUNS` a program that calls `play(SCRIPT.main)`; a kill is a function of either, and what it is given. The
    name of a list becomes the output folder in `tmp_path`; beside it lie `NAME-RUN.log`, what each run printed, and
    `NAME-seen.json`, after each run the files of finished `cells` and when they were written, and whether there are
    `results`.
    """

    def play(program, arguments, kills):
        words = list(map(str, arguments))
        scenarios = [{"folder": str(tmp_path / name), "arguments": words, "kills": kills[name]} for name in kills]
        (tmp_path / "program.py").write_text(KILLED_RUNS + program)
        run_forked(tmp_path / "program.py", json.dumps(scenarios))

    return play


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Keep the cache of datasets in the folder of the test."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture
def notes_file(notes, tmp_path):
    """Return a file of notes."""
    notes.to_json(tmp_path / "notes.jsonl")
    return tmp_path / "notes.jsonl"

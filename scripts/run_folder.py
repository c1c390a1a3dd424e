"""The folder of a training run: what it was started with, whether it is finished, where to resume."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.json_files import read_fields, write_json

SETTINGS = "run_settings.json"
SUMMARY = "training_summary.json"
TOKENIZER = "tokenizer"  # a folder, of a run that trains its own
EARLIER = "earlier_run"  # a folder, of a run that --restart will delete

# Changing these between an interruption and its resumption does not change the result.
FREE_SETTINGS = frozenset(
    (
        "output_dir",
        "run_name",
        "disable_tqdm",
        "logging_dir",
        "logging_steps",
        "logging_strategy",
        "logging_first_step",
        "log_level",
        "log_level_replica",
        "log_on_each_node",
        "report_to",
        "save_total_limit",
        "dataloader_num_workers",
        "dataloader_persistent_workers",
        "dataloader_prefetch_factor",
        "dataloader_pin_memory",
        "dataloader_multiprocessing_context",
        "restart",
        "hub_token",
        "hub_model_id",
        "local_rank",
        "ddp_timeout",
        "train_file",
        "validation_file",
    )
)


def refuse_inputs_within(folder: Path, inputs: Iterable[tuple[str, str | Path | None]]) -> None:
    """Make sure that a run does not read what it would delete or write over.

    Args:
        folder: Of the run.
        inputs: What each is, for messages, and its path; Hub ids and what is not given pass.

    Raises:
        InputError: One is the folder, or lies in it.
    """
    for what, name in inputs:
        if name is None or not Path(name).exists():
            continue
        # Of a link, its own place or that of its target may be in the folder.
        for place in (os.path.abspath, os.path.realpath):
            if Path(place(name)).is_relative_to(place(folder)):
                raise InputError(f"{what} lies in the output folder", file=folder, remedy="choose another --output_dir")


def prepare_run_folder(folder: Path) -> None:
    """Create the folder of a run; an earlier one that a killed `--restart` set aside comes back.

    Raises:
        InputError: It holds something that is not a run of ours, or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is a file, not a folder", file=folder, remedy="choose another --output_dir")
    put_back_earlier_run(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SETTINGS).is_file():
        raise InputError(
            "the output folder holds files that are not of a run", file=folder, remedy="choose another --output_dir"
        )
    folder.mkdir(parents=True, exist_ok=True)


def set_earlier_run_aside(folder: Path) -> None:
    """Empty the folder of a run, so that its run can come back as long as the new one has not begun to train."""
    aside = folder / EARLIER
    files = [file for file in folder.iterdir() if file != aside]
    if not files:
        return
    aside.mkdir(exist_ok=True)
    # Its settings last: they tell that all of it is there.
    for file in sorted(files, key=lambda file: file.name == SETTINGS):
        file.replace(aside / file.name)


def put_back_earlier_run(folder: Path) -> None:
    """Undo `set_earlier_run_aside`, wherever it or this was interrupted; without an earlier run nothing happens."""
    aside = folder / EARLIER
    if not aside.is_dir():
        return
    if (aside / SETTINGS).is_file():  # what else is there, the new run left
        shutil.rmtree(folder / TOKENIZER, ignore_errors=True)
        (aside / SETTINGS).replace(folder / SETTINGS)
    for file in aside.iterdir():
        file.replace(folder / file.name)
    aside.rmdir()


def delete_earlier_run(folder: Path) -> None:
    """Delete what was set aside; call it when all that can be found wrong before training is not."""
    shutil.rmtree(folder / EARLIER, ignore_errors=True)


def remove_if_empty(folder: Path) -> None:
    """Take back a folder that `prepare_run_folder` made for a run that could not start."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def remove_if_unstarted(folder: Path) -> None:
    """Take back the folder of a run that was refused before it saved anything: its settings, and its tokenizer."""
    if folder.is_dir() and {file.name for file in folder.iterdir()} <= {SETTINGS, TOKENIZER}:
        shutil.rmtree(folder)


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Compare with the settings of an earlier run in the folder, and store them when there is none.

    A run that stopped before its first checkpoint binds nobody: its settings give way, and its tokenizer goes.

    Raises:
        InputError: The folder holds a run with other settings.
    """
    kept = {name: value for name, value in settings.items() if name not in FREE_SETTINGS}
    kept = json.loads(json.dumps(kept, sort_keys=True, default=str))
    path = folder / SETTINGS
    remedy = "choose another --output_dir, or pass --restart to delete that run"
    earlier = read_fields(path, remedy) if path.is_file() else {}
    changed = sorted(name for name in kept.keys() | earlier.keys() if kept.get(name) != earlier.get(name))
    if not changed:
        return
    if not any(folder.glob("checkpoint-*")) and not (folder / SUMMARY).is_file():
        shutil.rmtree(folder / TOKENIZER, ignore_errors=True)
        write_json(path, kept)
    else:
        raise InputError(
            f"holds a run with other settings ({', '.join(changed[:5])}{', ...' if len(changed) > 5 else ''})",
            file=folder,
            remedy=remedy,
        )


def made_here(checkpoint: str | Path) -> bool:
    """Tell whether a run of ours made a model: most likely on these very notes, so that no audit may refer to it."""
    return (Path(checkpoint) / SUMMARY).is_file()

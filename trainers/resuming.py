"""Which checkpoint of an interrupted run can be resumed."""

from __future__ import annotations

import json
from pathlib import Path

from transformers import TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from corpora.errors import InputError

OPTIMIZER, FSDP_OPTIMIZER = "optimizer.pt", "optimizer.bin"


def last_complete_checkpoint(output_dir: str | Path) -> Path | None:
    """Return the newest checkpoint folder that was written to its end, or None.

    The Trainer writes `trainer_state.json` last, so a folder without a readable one was interrupted; a folder without
    weights or optimizer was interrupted while it was being deleted.
    """
    folders = [
        path
        for path in Path(output_dir).glob(f"{PREFIX_CHECKPOINT_DIR}-*")
        if path.is_dir() and path.name.rsplit("-", 1)[1].isdigit()
    ]
    for folder in sorted(folders, key=lambda path: int(path.name.rsplit("-", 1)[1]), reverse=True):
        if _is_complete(folder):
            return folder
    return None


def check_same_sharding(checkpoint: str | Path, *, fsdp: bool) -> None:
    """Look whether a checkpoint was written by a run like this one.

    Raises:
        InputError: One of the two is under FSDP, and the other is not.
    """
    if (Path(checkpoint) / FSDP_OPTIMIZER).is_file() != fsdp:
        raise InputError(
            f"was written {'without' if fsdp else 'with'} FSDP",
            file=checkpoint,
            remedy="start the run as it was started before, or pass --restart to train it anew",
        )


def run_is_finished(checkpoint: str | Path, args: TrainingArguments) -> bool:
    """Return whether a checkpoint holds the last step of the run that the arguments describe."""
    state = json.loads((Path(checkpoint) / "trainer_state.json").read_text(encoding="utf-8"))
    if args.max_steps > 0:
        return state["global_step"] >= args.max_steps
    return state["global_step"] >= state["max_steps"] and state["num_train_epochs"] >= args.num_train_epochs


def _is_complete(folder: Path) -> bool:
    try:
        json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    weights = list(folder.glob("*.safetensors"))
    optimizers = [name for name in (OPTIMIZER, FSDP_OPTIMIZER) if (folder / name).is_file()]
    scheduler = (folder / "scheduler.pt").is_file()
    return bool(weights) and bool(optimizers) and scheduler and any(folder.glob("rng_state*"))

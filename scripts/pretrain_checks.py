"""What pretrain.py refuses before it writes or deletes anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import InputError
from corpora.sources import find_sources
from pretrain_options import ModelOptions, NotesOptions
from run_folder import refuse_inputs_within

if TYPE_CHECKING:
    from datasets import DatasetDict


def check_output(folder: Path, notes: NotesOptions, model: ModelOptions, *, restart: bool) -> None:
    """Make sure that a run does not delete or write over what it reads.

    Args:
        folder: Of the run.
        notes: What it reads.
        model: What it starts from.
        restart: Whether the folder is emptied. Without it a run leaves notes in its folder alone.

    Raises:
        InputError: The model, the tokenizer or, with `restart`, notes lie in the folder.
    """
    read = [("the model to start from", model.model_name_or_path), ("the tokenizer", model.tokenizer_name)]
    if restart:
        for option, files in (("--train_file", notes.train_file), ("--validation_file", notes.validation_file)):
            read += [(f"what {option} names", source.name) for source in (find_sources(files) if files else ())]
    refuse_inputs_within(folder, read)


def check_validation(corpus: DatasetDict, notes: NotesOptions, training: Any, log_space: int) -> None:
    """Make sure that there are validation documents where a run evaluates on them.

    Args:
        corpus: What was read.
        notes: From where.
        training: Arguments of the trainer.
        log_space: How many validation documents are measured.

    Raises:
        InputError: There are none.
    """
    if "validation" in corpus:
        return
    if log_space:
        raise InputError("--log_space needs validation documents", remedy="name them in --validation_file")
    if training.eval_strategy != "no":
        # The best model is that of an evaluation, so that the trainer wants both switched off.
        both = " --no_load_best_model_at_end" if training.load_best_model_at_end else ""
        raise InputError(
            "there are no validation documents to evaluate on",
            file=notes.train_file[0],
            remedy=f"name them in --validation_file, or pass --eval_strategy no{both}",
        )

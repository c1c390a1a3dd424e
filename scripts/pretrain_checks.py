"""What pretrain.py refuses before it writes or deletes anything."""

from __future__ import annotations

from pathlib import Path

from corpora.sources import find_sources
from pretrain_options import ModelOptions, NotesOptions
from run_folder import refuse_inputs_within


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

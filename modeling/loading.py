"""A masked language model and its tokenizer from a folder or the Hub, with errors that a user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_tokenizer(name_or_path: str | Path) -> PreTrainedTokenizerBase:
    """Load a tokenizer.

    Raises:
        InputError: None can be loaded from there.
    """
    from transformers import AutoTokenizer

    with refuse_unloadable("tokenizer", name_or_path):
        return AutoTokenizer.from_pretrained(str(name_or_path))


def load_masked_lm(name_or_path: str | Path) -> tuple[PreTrainedModel, bool]:
    """Load a masked language model in float32.

    Returns:
        The model, and whether its head came out untrained because the checkpoint holds an encoder only.

    Raises:
        InputError: No masked language model can be loaded from there.
    """
    import torch
    from transformers import AutoModelForMaskedLM

    from modeling.head import head_parameters

    # A checkpoint saved in half precision is trained in full: optimizer updates would vanish in bf16.
    with refuse_unloadable("masked language model", name_or_path), quiet_loading():
        model, info = AutoModelForMaskedLM.from_pretrained(
            str(name_or_path), output_loading_info=True, dtype=torch.float32
        )
    return model, bool(set(head_parameters(model)) & set(info["missing_keys"]))


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Keep back transformers' table of missing and unexpected weights, and its progress bar of a few milliseconds."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def quiet_training() -> Iterator[None]:
    """Keep back what the Trainer prints of each run, where there are many; its warnings stay out too."""
    import datasets

    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        with quiet_loading():
            yield
    finally:
        if not bars:
            datasets.enable_progress_bars()


@contextmanager
def refuse_unloadable(what: str, name_or_path: str | Path) -> Iterator[None]:
    """Make an `InputError` of whatever transformers raises on files that it cannot load, for it raises many things.

    Args:
        what: What is loaded, for the message.
        name_or_path: Checkpoint folder or Hub id.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split(". ")[0].split())[:200]
        if "ignore_mismatched_sizes" in reason:
            reason = "its weights have other shapes than its config.json says"
        elif isinstance(error, LookupError) or not reason:
            reason = f"{type(error).__name__} {reason}".rstrip()
        raise InputError(
            f"no {what} can be loaded from here ({reason})",
            file=str(name_or_path),
            remedy="give a checkpoint folder, or a Hub id while online",
        ) from error


def describe_size(model: Any) -> str:
    """Return a line on the size of a model, for logs."""
    total = sum(parameter.numel() for parameter in model.parameters())
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    return f"{type(model).__name__}, {total / 1e6:.1f} M parameters, {trained / 1e6:.1f} M trained"

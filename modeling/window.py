"""How many tokens a model can read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corpora.errors import InputError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# These number positions from padding_idx + 1, so that many rows of the position table are never used.
OFFSET_POSITIONS = (
    "roberta",
    "camembert",
    "xlm-roberta",
    "xlm-roberta-xl",
    "longformer",
    "mpnet",
    "roberta-prelayernorm",
    "data2vec-text",
)


def model_window(config: PretrainedConfig) -> int:
    """Return the longest input in tokens, special tokens included."""
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None or positions < 1:  # relative positions only
        return 512
    if config.model_type in OFFSET_POSITIONS:
        return positions - (config.pad_token_id or 0) - 1
    return positions


def reading_length(config: PretrainedConfig, max_length: int | None) -> int:
    """Return the tokens of a document to read: what was asked for, or the model's window, at most 512.

    Raises:
        InputError: More were asked for than the model's window holds.
    """
    window = model_window(config)
    if max_length is not None and max_length > window:
        raise InputError(
            f"--max_length {max_length} exceeds the model's window of {window}", remedy=f"set it to {window} or less"
        )
    return max_length or min(window, 512)


def check_padding(config: PretrainedConfig, multiple: int | None) -> None:
    """Make sure that no length that is rounded up to a multiple exceeds the model's window.

    Raises:
        InputError: The multiple does not divide the window.
    """
    window = model_window(config)
    if window % (multiple or 1):
        raise InputError(
            f"--pad_to_multiple_of {multiple} does not divide the model's window of {window}, "
            "which padding could exceed",
            remedy=f"give a divisor of {window}",
        )

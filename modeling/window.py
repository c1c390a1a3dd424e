"""How many tokens a model can read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

"""Document embeddings from hidden states."""

from __future__ import annotations

import torch

POOLING_MODES = ("mean", "cls", "max")


def pool(hidden: torch.Tensor, attention_mask: torch.Tensor, mode: str = "mean") -> torch.Tensor:
    """Pool the last hidden states of each row into one vector, in fp32.

    Args:
        hidden: `(rows, length, hidden)` last hidden states.
        attention_mask: `(rows, length)`, 1 where there is a token. Special tokens count, as in the study and in
            sentence-transformers.
        mode: `mean` over tokens, `cls` (the first token) or `max` over tokens.

    Returns:
        `(rows, hidden)` float32.

    Raises:
        ValueError: The mode is unknown.
    """
    if mode == "cls":
        return hidden[:, 0].float()
    mask = attention_mask.unsqueeze(-1).to(torch.float32)
    if mode == "mean":
        return (hidden.float() * mask).sum(1) / mask.sum(1).clamp(min=1)
    if mode == "max":
        return hidden.float().masked_fill(mask == 0, torch.finfo(torch.float32).min).amax(1)
    raise ValueError(f"unknown pooling mode {mode!r}, choose from {', '.join(POOLING_MODES)}")

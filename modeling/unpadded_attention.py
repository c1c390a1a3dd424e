"""Self-attention over rows laid end to end, each row seeing itself alone; registered with transformers by name."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from modeling.processor_dropout import dropout

UNPADDED = "unpadded"  # as `sdpa` and `eager` are called


class Sequences(NamedTuple):
    """Where rows laid end to end begin and end.

    Args:
        lengths: Tokens of each row.
        offsets: `(rows + 1,)` int64 on the device of the tokens: the first token of each row, and the end.
        places: `(tokens,)` int64 there: of each token in the flattened rows of the padded batch.
    """

    lengths: tuple[int, ...]
    offsets: torch.Tensor
    places: torch.Tensor | None = None


def unpadded_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sequences: Sequences | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attend within each row of `sequences`; without them do what `sdpa` does, padding mask and all.

    Args:
        module: The layer.
        query: `(1, heads, tokens, size)`.
        key: The same.
        value: The same.
        attention_mask: Of a padded batch; None with `sequences`.
        dropout: Dropout of the attention weights.
        scaling: Of the scores; `size ** -0.5` when not given.
        sequences: The rows.
        kwargs: Further arguments of `sdpa`.

    Returns:
        `(1, tokens, heads, size)`, and None in place of the weights.
    """
    if sequences is None:
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    attend = _each_row if query.device.type == "cpu" else _nested
    return attend(query, key, value, sequences, dropout, scaling), None


def _each_row(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    sequences: Sequences,
    probability: float,
    scaling: float | None,
) -> torch.Tensor:
    """One call for each run of rows of equal length: a processor has no kernel for uneven ones."""
    runs = [(length, len(list(rows))) for length, rows in groupby(sequences.lengths)]
    sizes = [length * rows for length, rows in runs]
    pieces = []
    for (length, rows), *three in zip(runs, *(one[0].split(sizes, dim=1) for one in (query, key, value)), strict=True):
        by_row = [one.unflatten(1, (rows, length)).transpose(0, 1) for one in three]
        if probability:
            output = _with_dropout(*by_row, probability, scaling)
        else:
            output = scaled_dot_product_attention(*by_row, scale=scaling)
        pieces.append(output.transpose(1, 2).flatten(0, 1))
    return torch.cat(pieces).unsqueeze(0)


def _with_dropout(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, probability: float, scaling: float | None
) -> torch.Tensor:
    """As torch does it on a processor, which has no fused kernel with dropout, but for the drawing of the mask.

    Args:
        query: `(rows, heads, length, size)`.
        key: The same.
        value: The same.
        probability: Of dropout.
        scaling: Of the scores.
    """
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    weights = ((query * scaling) @ key.transpose(-2, -1)).softmax(-1)
    return dropout(weights, probability) @ value


def _nested(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    sequences: Sequences,
    dropout: float,
    scaling: float | None,
) -> torch.Tensor:
    """One call for all rows: nested tensors reach the flash and memory-efficient kernels for uneven lengths."""
    bounds = {"min_seqlen": min(sequences.lengths), "max_seqlen": max(sequences.lengths)}
    nested = [
        torch.nested.nested_tensor_from_jagged(one[0].transpose(0, 1).contiguous(), sequences.offsets, **bounds)
        for one in (query, key, value)
    ]
    output = scaled_dot_product_attention(*(one.transpose(1, 2) for one in nested), dropout_p=dropout, scale=scaling)
    return output.transpose(1, 2).values().unsqueeze(0)


AttentionInterface.register(UNPADDED, unpadded_attention)
# A padded batch, of `generate` or of a user, gets the mask that it would get under `sdpa`.
AttentionMaskInterface.register(UNPADDED, sdpa_mask)

"""One forward pass that gives all hidden states, and logits only where a token was masked.

A masked language model's head is the larger part of a step: at 50,265 words each token costs as many multiplications
as several layers, and 85 % of the logits are thrown away. The head works position by position, so it may be given the
masked positions alone; loss and gradients are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from modeling.unpadded import is_unpadded, pad_again, unpadded_inputs


def inner_model(model: nn.Module) -> PreTrainedModel:
    """Return the `transformers` model inside wrappers (DistributedDataParallel, torch.compile, peft)."""
    while True:
        if hasattr(model, "get_base_model"):  # peft
            model = model.get_base_model()
        elif isinstance(getattr(model, "module", None), nn.Module) and not isinstance(model, PreTrainedModel):
            model = model.module
        elif hasattr(model, "_orig_mod"):  # torch.compile
            model = model._orig_mod
        else:
            return model


@contextmanager
def _selection(encoder: nn.Module, chosen: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """While active, the encoder hands its head only the chosen positions; the full hidden states are kept aside."""
    seen: list[torch.Tensor] = []

    def select(module: nn.Module, arguments: tuple, output: Any) -> Any:
        hidden = output[0]
        seen.append(hidden)
        # A leading dimension of one keeps the shape (batch, length, hidden) that heads are written for.
        selected = hidden[chosen].unsqueeze(0)
        if isinstance(output, tuple):
            return (selected, *output[1:])
        return type(output)(last_hidden_state=selected)

    handle = encoder.register_forward_hook(select)
    try:
        yield seen
    finally:
        handle.remove()


def forward_masked_positions(
    model: nn.Module, input_ids: torch.Tensor, attention_mask: torch.Tensor, chosen: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a masked language model once, through its outermost wrapper.

    The whole pass is one call of `model`, so DistributedDataParallel synchronises every gradient. Works with every
    `AutoModelForMaskedLM` architecture whose head takes the encoder's first output, without knowing its name. After
    `modeling.unpadded.run_unpadded` the model sees the real tokens alone.

    Args:
        model: The model, wrapped or not.
        input_ids: `(rows, length)`.
        attention_mask: `(rows, length)`.
        chosen: `(rows, length)` boolean: the positions to compute logits for, none of them padding.

    Returns:
        Hidden states `(rows, length, hidden)` and logits `(chosen positions, vocabulary)`, row by row.
    """
    inner = inner_model(model)
    if not is_unpadded(inner):
        with _selection(inner.base_model, chosen) as seen:
            output = model(input_ids=input_ids, attention_mask=attention_mask)
        return seen[0], output["logits"].squeeze(0)
    inputs = unpadded_inputs(inner.config, input_ids, attention_mask)
    places = inputs["sequences"].places
    with _selection(inner.base_model, chosen.reshape(-1)[places].unsqueeze(0)) as seen:
        output = model(**inputs)
    return pad_again(seen[0], attention_mask, places), output["logits"].squeeze(0)

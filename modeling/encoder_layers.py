"""The layers of an encoder, whatever its family: freezing some, and starting in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from corpora.errors import InputError


def layer_list(encoder: PreTrainedModel) -> tuple[nn.Module, str]:
    """Return the module that holds the list of layers, and the list's name in it.

    Raises:
        InputError: The encoder has no list of as many layers as its configuration says.
    """
    for parent in encoder.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ModuleList) and len(child) == encoder.config.num_hidden_layers:
                return parent, name
    raise InputError(f"the layers of {type(encoder).__name__} cannot be told apart", remedy="pass --freeze all or none")


def frozen_modules(encoder: PreTrainedModel, depth: str | int) -> list[nn.Module]:
    """Return the modules that a freezing depth names.

    Args:
        encoder: The encoder.
        depth: `none`, `embeddings`, a number N (embeddings and the first N layers), or `all`.

    Raises:
        InputError: The depth is none of these, or the encoder has fewer layers.
    """
    if depth == "none":
        return []
    if depth == "all":
        return [encoder]
    count = 0 if depth == "embeddings" else int(depth) if str(depth).isdecimal() else None
    if count is None:
        raise InputError(f"--freeze {depth} is no depth", remedy="give all, none, embeddings or a number of layers")
    parent, name = layer_list(encoder)
    layers = getattr(parent, name)
    if count > len(layers):
        raise InputError(
            f"--freeze {count}: the encoder has {len(layers)} layers", remedy=f"give {len(layers)} or less, or all"
        )
    return [*(getattr(encoder, key) for key in _embedding_names(encoder)), *layers[:count]]


def _embedding_names(encoder: PreTrainedModel) -> list[str]:
    """Name what stands before the layers: the embeddings and, where they have another width, their projection."""
    return [key for key, _ in encoder.named_children() if "embed" in key]


def boundary_states(
    encoder: PreTrainedModel, depth: str | int, input_ids: torch.Tensor, attention_mask: torch.Tensor
) -> torch.Tensor:
    """Return the hidden states `(rows, length, hidden)` that enter the first layer that is not frozen.

    With all layers frozen, those that leave the last: some encoders have a norm after it.

    Args:
        encoder: The encoder.
        depth: `embeddings` or a number of layers.
        input_ids: `(rows, length)`.
        attention_mask: `(rows, length)`.
    """
    parent, name = layer_list(encoder)
    layers, first = getattr(parent, name), 0 if depth == "embeddings" else int(depth)
    seen: list[torch.Tensor] = []

    def keep(module: nn.Module, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        seen.append(arguments[0] if arguments else keywords["hidden_states"])
        raise _BoundaryReachedError

    def keep_output(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        seen.append(output if isinstance(output, torch.Tensor) else output[0])
        raise _BoundaryReachedError

    if first < len(layers):
        handle = layers[first].register_forward_pre_hook(keep, with_kwargs=True)
    else:
        handle = layers[-1].register_forward_hook(keep_output)
    try:
        encoder(input_ids=input_ids, attention_mask=attention_mask)
    except _BoundaryReachedError:
        pass
    finally:
        handle.remove()
    return seen[0]


class _BoundaryReachedError(Exception):
    """The layer was reached; the rest of the pass is not needed."""


class _Given(nn.Module):
    """Stands in place of the embeddings and returns what it was given."""

    def __init__(self, states: torch.Tensor) -> None:
        super().__init__()
        self.states = states

    def forward(self, *arguments: Any, **keywords: Any) -> torch.Tensor:
        return self.states


@contextmanager
def starting_from(encoder: PreTrainedModel, depth: str | int, states: torch.Tensor) -> Iterator[None]:
    """While active, the encoder begins with the given hidden states at a frozen boundary.

    Args:
        encoder: The encoder.
        depth: As in `boundary_states`.
        states: `(rows, length, hidden)`.
    """
    parent, name = layer_list(encoder)
    layers = getattr(parent, name)
    embeddings = _embedding_names(encoder)
    replaced = {key: getattr(encoder, key) for key in embeddings}
    try:
        setattr(parent, name, layers[0 if depth == "embeddings" else int(depth) :])
        for key in embeddings:
            setattr(encoder, key, _Given(states))
        yield
    finally:
        setattr(parent, name, layers)
        for key, module in replaced.items():
            setattr(encoder, key, module)

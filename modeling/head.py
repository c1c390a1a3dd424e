"""What belongs to a masked language model's head, and what to its encoder."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel


def head_parameters(model: PreTrainedModel) -> dict[str, nn.Parameter]:
    """Return the parameters outside the encoder by name; a decoder tied to the embeddings is the encoder's."""
    inside = {id(parameter) for parameter in model.base_model.parameters()}
    return {name: parameter for name, parameter in model.named_parameters() if id(parameter) not in inside}


def head_modules(model: PreTrainedModel) -> list[str]:
    """Return the names of the head's layers that share no parameter with the encoder.

    These can be trained and saved beside LoRA matrices; the tied decoder cannot.
    """
    names = set(head_parameters(model))
    layers = []
    for name, module in model.named_modules():
        own = [f"{name}.{key}" for key, _ in module.named_parameters(recurse=False)]
        if own and not list(module.children()) and all(key in names for key in own):
            layers.append(name)
    return layers

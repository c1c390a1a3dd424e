"""Dropout on a processor, whose masks torch draws one number at a time: a sixth of the time of a training step.

Here one draw of 64 bits decides over four entries, and the mask is kept as one byte an entry until the backward pass.
The probability is rounded to a multiple of 1 / 65,536, and the entries that stay are scaled by what was drawn, so that
the expectation is exact. Draws come from torch's generator: a seed, a saved state and gradient checkpointing work as
they do with `torch.nn.Dropout`. The entries that fall are others than there.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

LEVELS = 2**16
ENTRIES_A_DRAW = 4


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: torch.Tensor, dropped_levels: int) -> torch.Tensor:
        stays = draw(tensor.numel(), dropped_levels).view(tensor.shape)
        ctx.scale = LEVELS / (LEVELS - dropped_levels)
        ctx.save_for_backward(stays)
        # The mask as numbers first: a product with booleans takes five times as long.
        return stays.to(tensor.dtype).mul_(ctx.scale).mul_(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (stays,) = ctx.saved_tensors
        return stays.to(gradient.dtype).mul_(ctx.scale) * gradient, None


def draw(count: int, dropped_levels: int) -> torch.Tensor:
    """Draw which entries stay.

    Args:
        count: Entries.
        dropped_levels: Of `LEVELS`; their share is the probability with which an entry falls.

    Returns:
        `(count,)` booleans.
    """
    words = torch.empty(-(-count // ENTRIES_A_DRAW), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    return words.view(torch.int16)[:count] >= dropped_levels - LEVELS // 2


def dropout(tensor: torch.Tensor, probability: float) -> torch.Tensor:
    """Set entries to zero with a probability, and scale the others so that the expectation stays.

    Args:
        tensor: Of any shape and floating-point type. On a GPU, where torch's own is fast, that is used.
        probability: From 0 to 1.
    """
    levels = round(probability * LEVELS)
    if tensor.device.type != "cpu" or not 0 < levels < LEVELS:
        return F.dropout(tensor, probability)
    return _Dropout.apply(tensor, levels)


class ProcessorDropout(nn.Dropout):
    """A `torch.nn.Dropout` that drops by `dropout`."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Drop entries while training."""
        return dropout(input, self.p) if self.training else input


def drop_quickly(model: nn.Module) -> int:
    """Turn every `torch.nn.Dropout` of a model into a `ProcessorDropout`, in place; weights and names stay.

    Returns:
        How many.
    """
    found = [module for module in model.modules() if type(module) is nn.Dropout and not module.inplace]
    for module in found:
        module.__class__ = ProcessorDropout
    return len(found)

"""A model whose training diverged is no model: nothing is exported of it."""

from __future__ import annotations

from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from corpora.errors import InputError


def check_finite_weights(model: nn.Module, accelerator: Accelerator, folder: str | Path) -> None:
    """Look at the weights of all processes. Every process must call it, and each learns the same.

    Raises:
        InputError: One is not finite; `folder` is named.
    """
    # A parameter that is sharded among processes is looked at where it lies.
    parts = (getattr(one, "to_local", lambda one=one: one)() for one in model.parameters())
    broken = torch.stack([~torch.isfinite(part.detach()).all() for part in parts]).sum()
    if int(accelerator.reduce(broken, reduction="sum")):
        raise InputError(
            "training diverged: there are weights that are not finite",
            file=folder,
            remedy="lower the learning rate, or give --bf16 in place of --fp16",
        )

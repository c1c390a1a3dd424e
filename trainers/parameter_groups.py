"""A learning rate of its own for a part of the model."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


def give_own_rate(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], rate: float) -> None:
    """Move parameters into groups with another learning rate; all other settings of their groups stay.

    Args:
        optimizer: A fresh optimizer.
        parameters: What to move; parameters that it does not train are passed over.
        rate: The learning rate.
    """
    chosen = {id(parameter) for parameter in parameters}
    for group in list(optimizer.param_groups):
        own = [parameter for parameter in group["params"] if id(parameter) in chosen]
        if own:
            group["params"] = [parameter for parameter in group["params"] if id(parameter) not in chosen]
            settings = {key: value for key, value in group.items() if key not in ("params", "lr")}
            optimizer.add_param_group({"params": own, "lr": rate, **settings})

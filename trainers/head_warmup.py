"""Let an untrained masked-LM head settle before it moves the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class HeadWarmupCallback(TrainerCallback):
    """Drops the gradients of all but the head's parameters during the first optimizer steps.

    A checkpoint that holds an encoder alone gets a head with random weights, whose first gradients are large and
    meaningless. Dropping (not zeroing) them also keeps weight decay and momentum away from the encoder.

    Args:
        head: Gives the parameters that train from the first step; asked at each, as FSDP puts others in their place.
        steps: Optimizer steps in which nothing else trains; below 1 a share of the whole run.
    """

    def __init__(self, head: Callable[[], Iterable[nn.Parameter]], steps: float) -> None:
        self._head = head
        self._steps = steps

    def is_active(self, state: TrainerState) -> bool:
        """Return whether the next optimizer step trains the head alone."""
        return state.global_step < (self._steps if self._steps >= 1 else int(self._steps * state.max_steps))

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop gradients while the head settles."""
        if self.is_active(state):
            head = {id(parameter) for parameter in self._head() if parameter.requires_grad}
            for parameter in kwargs["model"].parameters():
                if head and id(parameter) not in head:  # without one there is nothing to wait for
                    parameter.grad = None

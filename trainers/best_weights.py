"""Keep the best weights in memory, and stop when they stay the best for long."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments


class BestWeightsCallback(TrainerCallback):
    """Remembers the trained parameters of the best evaluation and puts them back at the end.

    For runs that are too small and too many to write checkpoints for: a head on frozen features trains in seconds,
    and `load_best_model_at_end` would write the whole encoder at each evaluation.

    Args:
        metric: Name of the metric, such as `eval_f1_macro`; higher is better, and NaN is never the best.
        patience: Evaluations without improvement before training stops; None: never.
    """

    def __init__(self, metric: str = "eval_f1_macro", patience: int | None = None) -> None:
        self.metric, self.patience = metric, patience
        self.best: float | None = None
        self.best_epoch: float | None = None
        self._weights: dict[str, torch.Tensor] = {}
        self._waited = 0

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Compare with the best so far."""
        value = (metrics or {}).get(self.metric)
        if value is None:
            return
        if value > (-math.inf if self.best is None else self.best):
            self.best, self.best_epoch, self._waited = value, state.epoch, 0
            self._weights = {
                name: parameter.detach().clone()
                for name, parameter in kwargs["model"].named_parameters()
                if parameter.requires_grad
            }
        else:
            self._waited += 1
            if self.patience is not None and self._waited >= self.patience:
                control.should_training_stop = True

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put the best weights back."""
        parameters = dict(kwargs["model"].named_parameters())
        with torch.no_grad():
            for name, weight in self._weights.items():
                parameters[name].copy_(weight)

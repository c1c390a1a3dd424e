"""What every trainer here shares: a loss that is a mean over an optimizer step, and learning rates of parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.data import RandomSampler, Sampler
from transformers import Trainer

from collators.epochs import EpochDataset
from collators.random_order import RandomOrder
from modeling.processor_dropout import drop_quickly
from trainers.epoch_callback import EpochCallback
from trainers.optional_packages import refuse_missing_packages
from trainers.parameter_groups import give_own_rate


class StepMeanTrainer(Trainer):
    """A `transformers.Trainer` whose subclasses divide their loss by the items of the whole step themselves.

    So gradient accumulation 8 x 1 equals 1 x 8, and two processes equal one. A training dataset that is an
    `EpochDataset` is told of each epoch.

    Args:
        kwargs: As in `Trainer`.

    Raises:
        InputError: The arguments ask for a package that is not installed.
    """

    # Read by transformers >= 5.22; older versions come to the same conclusion from `model_accepts_loss_kwargs` and the
    # `labels` in each batch.
    loss_is_scaled_for_ga = True

    def __init__(self, **kwargs: Any) -> None:
        if kwargs.get("args") is not None:
            refuse_missing_packages(kwargs["args"])
        super().__init__(**kwargs)
        # Makes the Trainer count the labels of a whole step and hand the number to `compute_loss`.
        self.model_accepts_loss_kwargs = True
        if self.args.device.type == "cpu":
            # There is no device to copy to, and torch warns of it at every pass over the data.
            self.args.dataloader_pin_memory = False
            if not self.args.torch_compile:
                drop_quickly(self.model)
        if isinstance(self.train_dataset, EpochDataset):
            self.add_callback(EpochCallback(self.train_dataset))

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler | None:
        sampler = super()._get_train_sampler(train_dataset)
        dataset = self.train_dataset if train_dataset is None else train_dataset
        seedable = self.args.accelerator_config.use_seedable_sampler
        if type(sampler) is not RandomSampler or not isinstance(dataset, EpochDataset) or not seedable:
            return sampler
        return RandomOrder(dataset, self.order_seed())

    def order_seed(self) -> int:
        """Return the seed of the order of the training documents."""
        return self.args.seed if self.args.data_seed is None else self.args.data_seed

    def step_share(self, total: torch.Tensor, items: torch.Tensor | float) -> torch.Tensor:
        """Return a micro-batch's part of the mean over a step.

        Args:
            total: Sum of the losses of this process's micro-batch.
            items: How many the whole step has, over all micro-batches and processes.
        """
        # Gradients are averaged over processes afterwards, so each one's share is scaled up.
        scale = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        return total * scale / torch.as_tensor(items, device=total.device).clamp(min=1)

    def own_rates(self) -> list[tuple[Iterable[nn.Parameter], float | None]]:
        """Return parts of the model with their learning rates; None stands for that of the rest."""
        return []

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Give the parts of `own_rates` their learning rates."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(*args, **kwargs)
        if fresh:
            for parameters, rate in self.own_rates():
                if rate is not None:
                    give_own_rate(optimizer, parameters, rate)
        return optimizer

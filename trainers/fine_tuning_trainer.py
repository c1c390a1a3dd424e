"""What training a classifier and training a tagger share: what is frozen, how batches are read, scores."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from torch import nn
from transformers import EvalPrediction, PreTrainedTokenizerBase

from corpora.errors import InputError
from modeling.masked_positions import inner_model
from modeling.window import check_padding
from trainers.fine_tuning_arguments import FineTuningArguments
from trainers.step_mean_trainer import StepMeanTrainer


class FineTuningTrainer(StepMeanTrainer):
    """A trainer of an encoder with a head on it; subclasses give the loss and the scores.

    Args:
        model: A model that can `freeze` a part of its encoder and name its `collator`, plain or with LoRA;
            `args.freeze` is applied to a plain one.
        args: Of `arguments_class`; its defaults when not given.
        processing_class: The model's tokenizer.
        data_collator: Reads documents or sentences as the model's configuration says when not given.
        train_dataset: As the collator reads it.
        kwargs: As in `Trainer`.

    Raises:
        InputError: The tokenizer is missing, the encoder has fewer layers than shall be frozen, or
            `args.pad_to_multiple_of` does not divide its window.
    """

    arguments_class: ClassVar[type[FineTuningArguments]] = FineTuningArguments

    def __init__(
        self,
        model: nn.Module,
        args: FineTuningArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        **kwargs: Any,
    ) -> None:
        args = args if args is not None else self.arguments_class()
        plain = inner_model(model)
        if plain is model and args.freeze != plain.frozen_depth:
            plain.freeze(args.freeze)
        if data_collator is None:
            if processing_class is None:
                raise InputError("a trainer needs the model's tokenizer", remedy="pass processing_class")
            check_padding(plain.encoder.config, args.pad_to_multiple_of)
            data_collator = plain.collator(processing_class)
            data_collator.pad_to_multiple_of = args.pad_to_multiple_of
        super().__init__(
            model=model,
            args=args,
            processing_class=processing_class,
            data_collator=data_collator,
            train_dataset=train_dataset,
            compute_metrics=self._scores,
            **kwargs,
        )

    @abstractmethod
    def _scores(self, prediction: EvalPrediction) -> dict[str, float]:
        """Return the scores of an evaluation."""


def trained_parameters(model: nn.Module) -> int:
    """Return how many numbers training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

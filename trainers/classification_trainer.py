"""Training a `NoteClassifier`: frozen, partly frozen, fine-tuned, or with LoRA."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import EvalPrediction, PreTrainedTokenizerBase, Trainer

from collators.classification import collate_frozen
from corpora.errors import InputError
from metrics.classification import category_scores
from modeling.classification_loss import classification_losses
from modeling.masked_positions import inner_model
from modeling.note_classifier import NoteClassifier
from trainers.category_loss import category_weights
from trainers.classification_arguments import ClassificationArguments
from trainers.parameter_groups import give_own_rate


class ClassificationTrainer(Trainer):
    """A `transformers.Trainer` for document classifiers; macro-F1 and accuracy are reported at evaluation.

    Example:
        ```python
        classifier = NoteClassifier.from_encoder("runs/model", labels)
        args = ClassificationArguments("out", freeze="all", learning_rate=1e-3)
        trainer = ClassificationTrainer(classifier, args, processing_class=tokenizer, train_dataset=documents)
        ```

    Args:
        model: A `NoteClassifier`, plain or with LoRA; `args.freeze` is applied to a plain one.
        args: `ClassificationArguments`.
        processing_class: The model's tokenizer.
        data_collator: When not given, reads tokenised documents as the model's configuration says, or takes what
            `modeling.frozen_features` left of them.
        train_dataset: `LabelledDocuments`, or any dataset of `input_ids` and `labels`.
        class_counts: Training documents of each class, for `class_weights="balanced"`; they weight the mean to 1.
        kwargs: As in `Trainer`.

    Raises:
        InputError: The tokenizer is missing, or the encoder has fewer layers than shall be frozen.
        ValueError: Balanced weights without `class_counts`.
    """

    # The loss is divided by the documents of the whole step here; see `AdaptationTrainer`.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: nn.Module,
        args: ClassificationArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        class_counts: Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        args = args if args is not None else ClassificationArguments()
        if args.class_weights == "balanced" and class_counts is None:
            raise ValueError('class_weights="balanced" needs class_counts')
        classifier: NoteClassifier = inner_model(model)
        if classifier is model and args.freeze != classifier.frozen_depth:
            classifier.freeze(args.freeze)
        if data_collator is None:
            if processing_class is None:
                raise InputError("a trainer needs the model's tokenizer", remedy="pass processing_class")
            data_collator = classifier.collator(processing_class)
            data_collator.pad_to_multiple_of = args.pad_to_multiple_of
            if train_dataset is not None and "input_ids" not in train_dataset[0]:
                data_collator = collate_frozen
        self._class_weights = category_weights(class_counts, "inverse") if args.class_weights == "balanced" else None
        with warnings.catch_warnings():
            # Of Trainer's own label smoother, which is not used here.
            warnings.filterwarnings("ignore", message="Label smoothing is not compatible with multi-label")
            super().__init__(
                model,
                args,
                processing_class=processing_class,
                data_collator=data_collator,
                train_dataset=train_dataset,
                compute_metrics=self._scores,
                **kwargs,
            )
        self.model_accepts_loss_kwargs = True

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the loss of a micro-batch as its share of the step's mean over documents."""
        labels = inputs["labels"]
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        losses = classification_losses(
            outputs["logits"],
            labels,
            inner_model(model).config.task,
            self._class_weights,
            self.args.label_smoothing_factor,
        )
        if model.training and num_items_in_batch is not None:
            # Counted over the labels' entries; a document of several labels has as many as there are classes.
            documents = torch.as_tensor(num_items_in_batch) / (labels[0].numel())
            scale = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
            loss = losses.sum() * scale / documents
        else:
            loss = losses.mean()
        return (loss, outputs) if return_outputs else loss

    def _scores(self, prediction: EvalPrediction) -> dict[str, float]:
        return category_scores(self._probabilities(prediction.predictions), prediction.label_ids)

    def _probabilities(self, logits: np.ndarray) -> np.ndarray:
        return inner_model(self.model).probabilities(torch.from_numpy(np.asarray(logits))).numpy()

    def predict_probabilities(self, documents: Any) -> np.ndarray:
        """Return the probabilities of the classes, `(documents, classes)` float32.

        Args:
            documents: As `train_dataset`.
        """
        return self._probabilities(self.predict(documents).predictions)

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Give what is not the encoder a learning rate of its own when asked for."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(*args, **kwargs)
        if fresh and self.args.head_learning_rate is not None:
            encoder = {id(parameter) for parameter in inner_model(self.model).encoder.parameters()}
            own = [parameter for parameter in self.model.parameters() if id(parameter) not in encoder]
            give_own_rate(optimizer, own, self.args.head_learning_rate)
        return optimizer


def trained_parameters(model: nn.Module) -> int:
    """Return how many numbers training changes."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)

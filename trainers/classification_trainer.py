"""Training a `NoteClassifier`: frozen, partly frozen, fine-tuned, or with LoRA."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import EvalPrediction, PreTrainedTokenizerBase

from collators.classification import collate_frozen
from metrics.classification import category_scores
from modeling.classification_loss import classification_losses
from modeling.masked_positions import inner_model
from trainers.category_loss import category_weights
from trainers.classification_arguments import ClassificationArguments
from trainers.fine_tuning_trainer import FineTuningTrainer


class ClassificationTrainer(FineTuningTrainer):
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

    arguments_class = ClassificationArguments

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
        args = args if args is not None else self.arguments_class()
        if args.class_weights == "balanced" and class_counts is None:
            raise ValueError('class_weights="balanced" needs class_counts')
        self._class_weights = category_weights(class_counts, "inverse") if args.class_weights == "balanced" else None
        with warnings.catch_warnings():
            # Of Trainer's own label smoother, which is not used here.
            warnings.filterwarnings("ignore", message="Label smoothing is not compatible with multi-label")
            super().__init__(model, args, processing_class, data_collator, train_dataset=train_dataset, **kwargs)
        if data_collator is None and train_dataset is not None and "input_ids" not in train_dataset[0]:
            self.data_collator = collate_frozen

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
            loss = self.step_share(losses.sum(), torch.as_tensor(num_items_in_batch) / labels[0].numel())
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

    def own_rates(self) -> list[tuple[Iterable[nn.Parameter], float | None]]:
        """Return what is not the encoder with the rate that was asked for."""
        encoder = {id(parameter) for parameter in inner_model(self.model).encoder.parameters()}
        own = [parameter for parameter in self.model.parameters() if id(parameter) not in encoder]
        return [(own, self.args.head_learning_rate)]

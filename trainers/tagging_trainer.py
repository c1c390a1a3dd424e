"""Training a `TokenTagger`: fine-tuned, frozen, with LoRA or from scratch; with a CRF or without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from transformers import EvalPrediction

from metrics.entity_scores import entity_types, spans_by_document, strict_counts, strict_scores
from modeling.masked_positions import inner_model
from trainers.fine_tuning_trainer import FineTuningTrainer
from trainers.tagging_arguments import TaggingArguments


class TaggingTrainer(FineTuningTrainer):
    """A `transformers.Trainer` for taggers; strict entity scores are reported at evaluation.

    The loss of a step is the mean over its sentences of the CRF's negative log-likelihood (Belkadi et al. 2022), or
    without a CRF the mean cross-entropy over its words, however the step is divided into micro-batches and processes.

    Example:
        ```python
        tagger = TokenTagger.from_encoder("runs/model", ["Drug", "Dosage"])
        args = TaggingArguments("out", learning_rate=5e-5, crf_learning_rate=5e-3, eval_strategy="epoch")
        trainer = TaggingTrainer(tagger, args, tagger.tokenizer(), train_dataset=sentences, eval_dataset=others)
        ```

    Args:
        model: A `TokenTagger`, plain or with LoRA; `args.freeze` is applied to a plain one.
        args: `TaggingArguments`.
        processing_class: The model's tokenizer.
        data_collator: Reads sentences as the model's configuration says when not given.
        train_dataset: Of `collators.tagged_sentences`, or any dataset of `input_ids`, `word_offsets` and `labels`.
        kwargs: As in `Trainer`.

    Raises:
        InputError: The tokenizer is missing, or the encoder has fewer layers than shall be frozen.
    """

    arguments_class = TaggingArguments

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the loss of a micro-batch as its share of the step's mean over sentences or words."""
        outputs = model(**inputs)
        loss = outputs["loss"]
        if model.training and num_items_in_batch is not None:
            loss = self.step_share(loss * self._items(inputs["labels"]), num_items_in_batch)
        return (loss, outputs) if return_outputs else loss

    def _items(self, labels: torch.Tensor) -> torch.Tensor:
        """Count what the loss is a mean over."""
        labelled = labels >= 0
        return labelled.any(1).sum() if inner_model(self.model).crf is not None else labelled.sum()

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> torch.Tensor:
        """Count the sentences or words of a step, over all processes."""
        items = sum((self._items(batch["labels"]) for batch in batch_samples), torch.zeros((), dtype=torch.int64))
        items = items.to(device)
        return self.accelerator.reduce(items, "sum") if self.args.average_tokens_across_devices else items

    def _scores(self, prediction: EvalPrediction) -> dict[str, float]:
        """Return strict scores over the entity types of the model; a type that training never saw is not counted."""
        model = inner_model(self.model)
        gold, found = [], []
        for numbers, labels in zip(prediction.predictions, prediction.label_ids, strict=True):
            words = labels >= 0
            gold.append(model.iob2(labels[words].tolist()))
            found.append(model.iob2(numbers[words].tolist()))
        names = [str(number) for number in range(len(gold))]
        spans = [list(spans_by_document(tags, names).values()) for tags in (gold, found)]
        counts = strict_counts(*spans, entity_types(*spans)).sum(0)
        scores = strict_scores(counts)
        wanted = ("precision_micro", "recall_micro", "f1_micro", "f1_macro")
        return {name: float(scores[name]) for name in wanted} | {"predicted_entities": int(counts[:, 1].sum())}

    def own_rates(self) -> list[tuple[Iterable[nn.Parameter], float | None]]:
        """Return the linear layer and the CRF with the rates that were asked for."""
        model, head_rate = inner_model(self.model), self.args.head_learning_rate
        crf_rate = self.args.crf_learning_rate if self.args.crf_learning_rate is not None else head_rate
        return [(model.classifier.parameters(), head_rate), (model.crf.parameters() if model.crf else [], crf_rate)]

"""Training a `TokenTagger`: fine-tuned, frozen, with LoRA or from scratch; with a CRF or without."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import EvalPrediction, PreTrainedTokenizerBase, Trainer

from collators.epochs import EpochDataset
from corpora.errors import InputError
from metrics.entity_scores import entity_types, spans_by_document, strict_counts, strict_scores
from modeling.masked_positions import inner_model
from modeling.tagger import TokenTagger
from trainers.epoch_callback import EpochCallback
from trainers.parameter_groups import give_own_rate
from trainers.tagging_arguments import TaggingArguments


class TaggingTrainer(Trainer):
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

    # The loss is divided by the items of the whole step here; see `AdaptationTrainer`.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        model: nn.Module,
        args: TaggingArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        **kwargs: Any,
    ) -> None:
        args = args if args is not None else TaggingArguments()
        tagger: TokenTagger = inner_model(model)
        if tagger is model:
            tagger.freeze(args.freeze)
        if data_collator is None:
            if processing_class is None:
                raise InputError("a trainer needs the model's tokenizer", remedy="pass processing_class")
            data_collator = tagger.collator(processing_class)
            data_collator.pad_to_multiple_of = args.pad_to_multiple_of
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
        if isinstance(train_dataset, EpochDataset):
            self.add_callback(EpochCallback(train_dataset))

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
            scale = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
            items = self._items(inputs["labels"])
            loss = loss * items * scale / torch.as_tensor(num_items_in_batch, device=loss.device).clamp(min=1)
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

    def create_optimizer(self, *args: Any, **kwargs: Any) -> torch.optim.Optimizer:
        """Give the linear layer and the CRF learning rates of their own when asked for."""
        fresh = self.optimizer is None
        optimizer = super().create_optimizer(*args, **kwargs)
        if fresh:
            model = inner_model(self.model)
            head, crf = list(model.classifier.parameters()), list(model.crf.parameters()) if model.crf else []
            head_rate = self.args.head_learning_rate
            crf_rate = self.args.crf_learning_rate if self.args.crf_learning_rate is not None else head_rate
            for parameters, rate in ((head, head_rate), (crf, crf_rate)):
                if rate is not None:
                    give_own_rate(optimizer, parameters, rate)
        return optimizer

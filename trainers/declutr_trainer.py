"""DeCLUTR: contrastive learning on spans of documents, with masked language modelling and metadata beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from collators.declutr import DeclutrCollator
from collators.special_tokens import special_token_affixes
from corpora.category_columns import CategoryColumn
from corpora.errors import InputError
from modeling.masked_positions import inner_model
from modeling.pooling import pool
from modeling.window import model_window
from trainers.base import LossTerm
from trainers.contrastive_loss import alignment_uniformity, nt_xent, pair_relations
from trainers.declutr_arguments import DeclutrArguments
from trainers.gathering import gather_rows
from trainers.metadata_trainer import MetadataTrainer, metadata_columns


class DeclutrTrainer(MetadataTrainer):
    """Adapts an encoder by `L = contrastive_weight * L_c + mlm_weight * L_mlm` (Giorgi et al. 2021).

    With `category_columns` the loss of `MetadataTrainer` comes on top: it reads the embeddings of the anchors, or with
    `category_view="clean"` of the (unmasked) positives.

    Anchors and positives pass the encoder in one merged forward. The positives' embeddings of an anchor are averaged
    before the cosine. Embeddings of all processes stand in one contrastive batch, with the gradient of the whole.

    Example:
        ```python
        tokenized = tokenize_documents(corpus["train"], tokenizer)
        documents, report = keep_long_enough(tokenized, args.span_options().min_document_length)
        DeclutrTrainer(model, args, processing_class=tokenizer, train_dataset=documents).train()
        ```

    Args:
        model: A masked language model.
        args: `DeclutrArguments`.
        processing_class: The model's tokenizer.
        data_collator: A `DeclutrCollator` from the arguments when not given.
        train_dataset: From `tokenize_documents` and `keep_long_enough`, with the metadata columns if any.
        columns: Found in `train_dataset` when not given.
        kwargs: As in `MetadataTrainer`.

    Raises:
        InputError: The longest span does not fit the model's window.
    """

    def __init__(
        self,
        model: nn.Module | None = None,
        args: DeclutrArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        data_collator: DeclutrCollator | None = None,
        train_dataset: Any = None,
        columns: Sequence[CategoryColumn] | None = None,
        **kwargs: Any,
    ) -> None:
        args = args if args is not None else DeclutrArguments()
        if columns is None:
            columns = metadata_columns(args, train_dataset)
        if data_collator is None and processing_class is not None:
            data_collator = DeclutrCollator(
                processing_class,
                args.span_options(),
                args.masking_options() if args.mlm_weight else None,
                clean_anchors=args.clean_anchors,
                seed=args.seed,
                pad_to_multiple_of=args.pad_to_multiple_of,
                columns=columns,
            )
        if model is not None and processing_class is not None:
            check_span_fits(inner_model(model), processing_class, args.max_span_length)
        super().__init__(
            model, args, processing_class, columns, data_collator=data_collator, train_dataset=train_dataset, **kwargs
        )
        if not args.mlm_weight:
            self.freeze_masked_lm_head()

    def loss_terms(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[LossTerm]:
        """Return the contrastive term and, unless its weight is zero, the masked-LM term."""
        hidden, logits = self.forward(model, inputs)
        embeddings = pool(hidden, inputs["attention_mask"], self.args.pooling)
        if model.training:
            self._throughput.add("spans", len(embeddings))
        anchors = gather_rows(embeddings[inputs["anchor_rows"]], self.accelerator)
        positives = gather_rows(embeddings[inputs["positive_rows"]].mean(1), self.accelerator)
        keys = [
            gather_rows(inputs[name], self.accelerator) for name in ("document_keys", "patient_keys", "content_keys")
        ]
        span_keys = gather_rows(inputs["span_keys"].T, self.accelerator).T
        category_keys = gather_rows(inputs["category_keys"], self.accelerator) if self.columns else None
        relations = pair_relations(
            *keys, span_keys, self.args.same_document, self.args.same_patient, category_keys, self.args.same_category
        )
        losses, hits = nt_xent(torch.cat((anchors, positives)), relations, self.args.temperature)

        alignment, uniformity = alignment_uniformity(anchors, positives)
        self.record("contrastive_accuracy", hits[: len(anchors)].sum(), len(anchors))
        self.record("alignment", alignment * len(anchors), len(anchors))
        if len(anchors) > 1:
            self.record("uniformity", uniformity * len(anchors), len(anchors))
        terms = [LossTerm("contrastive", self.args.contrastive_weight, losses.sum(), len(losses), over_step=False)]
        if self.args.mlm_weight:
            terms.append(self.masked_lm_term(logits, inputs["labels"], self.args.mlm_weight))
        clean = self.args.category_view == "clean"
        rows = embeddings[inputs["positive_rows"]].mean(1) if clean else embeddings[inputs["anchor_rows"]]
        return terms + self.category_terms(rows, inputs)

    def term_weights(self) -> dict[str, float]:
        """Return the weights of all terms."""
        weights = {"contrastive": self.args.contrastive_weight, "mlm": self.args.mlm_weight}
        return weights | self.category_term_weights()

    def sampling_batch_size(self) -> int | None:
        """Return the documents of a batch over all processes when they shall be of one category."""
        size = self.args.train_batch_size * self.accelerator.num_processes
        return size if self.args.one_category_batches else None


def check_span_fits(model: nn.Module, tokenizer: PreTrainedTokenizerBase, max_span_length: int) -> None:
    """Raise an `InputError` when a span with its special tokens is longer than the model's window."""
    specials = sum(map(len, special_token_affixes(tokenizer)))
    window = model_window(model.config)
    if max_span_length + specials > window:
        raise InputError(
            f"--max_span_length {max_span_length} and {specials} special tokens exceed the model's window of {window}",
            remedy=f"set it to {window - specials} or less",
        )

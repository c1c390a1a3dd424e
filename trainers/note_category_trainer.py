"""The note-category objective: masked language modelling, and the document's metadata from its embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase

from collators.note_category import NoteCategoryCollator
from corpora.category_columns import CategoryColumn
from modeling.masked_positions import inner_model
from modeling.pooling import pool
from modeling.window import reading_length
from trainers.base import LossTerm
from trainers.metadata_trainer import MetadataTrainer, metadata_columns
from trainers.note_category_arguments import NoteCategoryArguments


class NoteCategoryTrainer(MetadataTrainer):
    """Adapts an encoder by `L = mlm_weight * L_mlm + category_weight * L_category` (Taylor et al. 2024, section 2).

    The category loss stands where BERT had next-sentence prediction: a head reads the document embedding and predicts
    the kind of note, or any other metadata column.

    Example:
        ```python
        documents = tokenize_documents(corpus["train"], tokenizer)
        args = NoteCategoryArguments("out", category_columns=["note_category"])
        trainer = NoteCategoryTrainer(model, args, processing_class=tokenizer, train_dataset=documents)
        trainer.train()
        trainer.export("out")
        ```

    Args:
        model: A masked language model.
        args: `NoteCategoryArguments`.
        processing_class: The model's tokenizer.
        data_collator: A `NoteCategoryCollator` from the arguments when not given.
        train_dataset: From `tokenize_documents`, with the metadata columns (`keep_columns`).
        columns: Found in `train_dataset` when not given.
        kwargs: As in `MetadataTrainer`.

    Raises:
        InputError: A metadata column is missing or holds no categories, or `max_length` exceeds the model's window.
    """

    args: NoteCategoryArguments

    def __init__(
        self,
        model: nn.Module | None = None,
        args: NoteCategoryArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        data_collator: NoteCategoryCollator | None = None,
        train_dataset: Any = None,
        columns: Sequence[CategoryColumn] | None = None,
        **kwargs: Any,
    ) -> None:
        args = args if args is not None else NoteCategoryArguments()
        if columns is None:
            columns = metadata_columns(args, train_dataset)
        if data_collator is None and processing_class is not None and model is not None:
            # A clean view without a masked-LM loss has no use for masked rows.
            masks = args.mlm_weight > 0 or args.category_view == "masked"
            data_collator = NoteCategoryCollator(
                processing_class,
                columns,
                reading_length(inner_model(model).config, args.max_length),
                args.document_window,
                args.masking_options() if masks else None,
                clean_view=args.category_view == "clean",
                seed=args.seed,
                pad_to_multiple_of=args.pad_to_multiple_of,
            )
        super().__init__(
            model, args, processing_class, columns, data_collator=data_collator, train_dataset=train_dataset, **kwargs
        )
        if not args.mlm_weight:
            self.freeze_masked_lm_head()

    def loss_terms(self, model: nn.Module, inputs: Mapping[str, Any]) -> list[LossTerm]:
        """Return the terms of the metadata columns and, unless its weight is zero, the masked-LM term."""
        inputs = self.without_repeats(inputs)
        hidden, logits = self.forward(model, inputs)
        embeddings = pool(hidden, inputs["attention_mask"], self.args.pooling)
        if model.training:
            self._throughput.add("documents", torch.tensor(len(inputs["category_rows"])))
        terms = self.category_terms(embeddings[inputs["category_rows"]], inputs)
        if self.args.mlm_weight:
            terms.append(self.masked_lm_term(logits, inputs["labels"], self.args.mlm_weight))
        return terms

    def term_weights(self) -> dict[str, float]:
        """Return the weights of all terms."""
        return {"mlm": self.args.mlm_weight} | self.category_term_weights()

"""What every objective that reads document metadata shares: heads, their losses, their evaluation, their files."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Sampler
from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import EvalLoopOutput

from collators.category_sampler import CategorySampler
from collators.epochs import EpochDataset
from corpora.category_columns import CategoryColumn, category_column
from corpora.errors import InputError
from modeling.category_heads import CategoryHeadOptions, CategoryHeads
from modeling.masked_positions import inner_model
from trainers.base import AdaptationTrainer, LossTerm
from trainers.category_evaluation import CategoryEvaluation
from trainers.category_loss import category_cross_entropy, category_weights, has_category, supervised_contrastive
from trainers.fully_sharded import whole
from trainers.gathering import gather_rows, gather_sizes, sum_over_rows
from trainers.metadata_arguments import MetadataArguments

logger = logging.getLogger(__name__)


def metadata_columns(args: MetadataArguments, train_dataset: Any) -> tuple[CategoryColumn, ...]:
    """Find the categories of the columns that the arguments name.

    Args:
        args: Names the columns.
        train_dataset: Tokenised documents with those columns, plain or in an `EpochDataset`.

    Raises:
        InputError: There is no dataset, or a column is missing or holds no categories.
    """
    if not args.category_columns:
        return ()
    documents = train_dataset.documents if isinstance(train_dataset, EpochDataset) else train_dataset
    if documents is None:
        raise InputError(
            "the categories of --category_columns are found in the training documents", remedy="pass train_dataset"
        )
    return tuple(category_column(documents, name, args.max_categories) for name in args.category_columns)


class MetadataTrainer(AdaptationTrainer):
    """An `AdaptationTrainer` that can learn from document metadata: `w * sum_c w_c L_c` over columns c.

    While it trains, the heads are a submodule `category_heads` of the model, so that the optimizer, Accelerate and
    checkpoints treat them like any other part. In a saved folder they lie apart from the encoder's weights
    (`modeling.category_heads`).

    Args:
        model: A masked language model, plain or with LoRA.
        args: Arguments of the objective.
        processing_class: The model's tokenizer.
        columns: The metadata columns, from `metadata_columns`.
        kwargs: As in `AdaptationTrainer`.
    """

    args: MetadataArguments

    def __init__(
        self,
        model: nn.Module | None = None,
        args: MetadataArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        columns: Sequence[CategoryColumn] = (),
        **kwargs: Any,
    ) -> None:
        self.columns = tuple(columns)
        if args.supcon_projection_size and all(column.multi_label for column in self.columns):
            raise InputError(
                "no column has a contrastive loss to project for: lists take binary cross-entropy",
                remedy="leave out --supcon_projection_size",
            )
        self.category_heads: CategoryHeads | None = None
        self._category_evaluation: CategoryEvaluation | None = None
        if self.columns and args.trains_categories and model is not None:
            self.category_heads = _new_heads(self.columns, args, inner_model(model).config.hidden_size)
            model.add_module("category_heads", self.category_heads)
            balance = "none" if args.category_balance == "sampling" else args.category_balance
            self._weights = [
                category_weights(column.counts, balance, args.effective_number_beta) for column in self.columns
            ]
        super().__init__(model, args, processing_class, **kwargs)
        self.unseen_categories = self._find_unseen()

    def _find_unseen(self) -> dict[str, Counter[str]]:
        """Count and name the categories that only the validation documents have."""
        unseen: dict[str, Counter[str]] = {column.name: Counter() for column in self.columns}
        sets = self.eval_dataset if isinstance(self.eval_dataset, dict) else {"": self.eval_dataset}
        for column in self.columns:
            for dataset in sets.values():
                documents = getattr(dataset, "documents", None)
                if documents is not None and column.name in documents.column_names:
                    unseen[column.name] += column.unseen(documents)
            if unseen[column.name] and self.is_world_process_zero():
                counts = unseen[column.name]
                logger.warning(
                    "values of %s that no training document has occur in validation documents (%d values, %d times); "
                    "they are left out of its scores",
                    column.name,
                    len(counts),
                    counts.total(),
                )
        return unseen

    # ---- the losses ----

    def category_terms(self, embeddings: torch.Tensor, inputs: Mapping[str, Any]) -> list[LossTerm]:
        """Return the terms of all columns, and keep what evaluation needs.

        With a supervised contrastive loss the head is a probe: it reads the embeddings without moving them, so that
        accuracy can be watched and `NoteCategoryModel.predict` works. Its loss (`COLUMN_probe_loss`) is no part of
        the objective.

        Args:
            embeddings: `(rows, hidden)`.
            inputs: The batch; `categories` and `document_keys` belong to the same rows.
        """
        if not self.columns:
            return []
        targets, training = inputs["categories"], self.model.training
        terms: list[LossTerm] = []
        probabilities: dict[str, torch.Tensor] = {}
        if self.category_heads is not None:
            for index, (column, weight) in enumerate(zip(self.columns, self.args.column_weights(), strict=True)):
                terms += self._column_terms(index, column, weight, embeddings, inputs)
            if not training:
                probabilities = self.category_heads.probabilities(embeddings)
        if not training and self._category_evaluation is not None:
            self._category_evaluation.add(inputs["document_keys"], embeddings, targets, probabilities)
        return terms

    def _column_terms(
        self, index: int, column: CategoryColumn, weight: float, embeddings: torch.Tensor, inputs: Mapping[str, Any]
    ) -> list[LossTerm]:
        targets = inputs["categories"][column.name]
        contrastive = self.args.category_loss == "supcon" and not column.multi_label
        logits = self.category_heads.logits(index, embeddings.detach() if contrastive else embeddings)
        total = category_cross_entropy(logits, targets, self._weights[index])
        known = has_category(targets)
        if self.model.training and not column.multi_label:
            self.record(f"{column.name}_accuracy", (logits.argmax(-1) == targets)[known].sum(), known.sum())
        if not contrastive:
            return [LossTerm(column.name, weight, total, known.sum(), over_step=True)]
        projected = self.category_heads.project(index, embeddings)
        sizes = gather_sizes(len(projected), self.accelerator)
        keys = gather_rows(torch.stack((targets, inputs["document_keys"]), dim=1), self.accelerator, sizes)

        def sums(vectors: torch.Tensor, own: slice) -> torch.Tensor:
            return torch.stack(supervised_contrastive(vectors, keys[:, 0], temperature, keys[:, 1], own))

        temperature = self.args.supcon_temperature
        loss, count = sum_over_rows(projected, sums, self.accelerator, sizes)
        return [
            LossTerm(column.name, weight, loss, count.detach(), over_step=False),
            LossTerm(f"{column.name}_probe", 1.0, total, known.sum(), over_step=True),
        ]

    def category_term_weights(self) -> dict[str, float]:
        """Return the weight of each column's loss, for the validation loss."""
        if self.category_heads is None:
            return {}
        return dict(zip(self.args.category_columns, self.args.column_weights(), strict=True))

    def count_items(self, batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Return the documents of a micro-batch with a known category, for the terms that average over a step."""
        if self.category_heads is None:
            return {}
        counts = {name: has_category(targets).sum() for name, targets in batch["categories"].items()}
        return counts | {f"{name}_probe": count for name, count in counts.items()}

    # ---- evaluation ----

    def evaluation_loop(
        self, dataloader: Any, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> EvalLoopOutput:
        """Evaluate, with accuracy, macro-F1 and silhouette of each metadata column."""
        if self.columns:
            self._category_evaluation = CategoryEvaluation(self.columns, self.num_examples(dataloader))
        output = super().evaluation_loop(dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs)
        if self.columns:
            scores = self._category_evaluation.scores(self.accelerator)
            scores |= {f"{name}_unseen": counts.total() for name, counts in self.unseen_categories.items()}
            output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in scores.items()})
            self._category_evaluation = None
        return output

    # ---- batches ----

    def sampling_batch_size(self) -> int | None:
        """Return how many documents in a row shall be of one category; None when they are mixed."""
        return None

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler | None:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        balanced, batch_size = self.args.category_balance == "sampling", self.sampling_batch_size()
        if not balanced and batch_size is None:
            return super()._get_train_sampler(train_dataset)
        column = self.columns[0]
        if column.multi_label:
            raise InputError(
                "batches cannot be drawn by a column of lists",
                column=column.name,
                remedy="name a column of one category a document first in --category_columns",
            )
        values = dataset.documents.with_format(None)[column.name][:]
        return CategorySampler(
            [column.encode(value) for value in values],
            dataset,
            self.order_seed(),
            self.args.sampling_temperature if balanced else 1.0,
            batch_size,
        )

    # ---- optimizer and files ----

    def _head_parameters(self) -> list[nn.Parameter]:
        own = list(self.category_heads.parameters()) if self.category_heads is not None else []
        inside = {id(parameter) for parameter in own}
        return [parameter for parameter in super()._head_parameters() if id(parameter) not in inside] + own

    def freeze_masked_lm_head(self) -> None:
        """Leave the masked-LM head as it is.

        Without a masked-LM loss it gets no gradient, and left trainable, weight decay would wear it away.
        """
        own = {id(parameter) for parameter in self.category_heads.parameters()} if self.category_heads else set()
        for parameter in self._head_parameters():
            if id(parameter) not in own:
                parameter.requires_grad_(False)

    @contextmanager
    def _heads_aside(self, gathered: Mapping[str, torch.Tensor] | None = None) -> Iterator[None]:
        """Take the heads out of the model, so that what is saved or loaded meanwhile is the model alone.

        Args:
            gathered: Their whole weights, where FSDP has shared them out; a copy with these stands in `category_heads`
                meanwhile.
        """
        heads = self.model._modules.pop("category_heads", None)
        if heads is not None and gathered:
            self.category_heads = heads.copy_with(gathered)
        try:
            yield
        finally:
            if heads is not None:
                self.category_heads = heads
                self.model.add_module("category_heads", heads)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        gathered = None
        if state_dict is not None:  # of FSDP; empty but on the main process
            prefix = "category_heads."
            gathered = {name[len(prefix) :]: one for name, one in state_dict.items() if name.startswith(prefix)}
            state_dict = {name: one for name, one in state_dict.items() if not name.startswith(prefix)}
        with self._heads_aside(gathered):
            super()._save(output_dir, state_dict)

    def export(self, folder: str | Path) -> None:
        """Write the adapted model for use, with its category heads in a folder of their own."""
        sharded = self.is_fsdp_enabled and self.category_heads is not None
        with self._heads_aside(whole(self.category_heads.state_dict()) if sharded else None):
            super().export(folder)

    def _complete_folder(self, folder: Path) -> None:
        super()._complete_folder(folder)
        if self.category_heads is not None:
            self.category_heads.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled:  # in whose own file the heads are
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        with self._heads_aside():
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        if self.category_heads is not None:
            self.category_heads.load_weights(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        if self.is_fsdp_enabled:
            super()._load_best_model()
            return
        with self._heads_aside():
            super()._load_best_model()
        if self.category_heads is not None:
            self.category_heads.load_weights(self.state.best_model_checkpoint)


def _new_heads(columns: Sequence[CategoryColumn], args: MetadataArguments, hidden_size: int) -> CategoryHeads:
    options = CategoryHeadOptions(
        hidden_size, args.category_head, args.category_head_dropout, args.supcon_projection_size
    )
    # Of the seed alone, whatever was drawn before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(args.seed)
        return CategoryHeads(columns, options)

"""DeCLUTR: contrastive learning on spans of documents, with masked language modelling and metadata beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedTokenizerBase
from transformers.trainer_utils import TrainOutput

from collators.declutr import DeclutrCollator
from collators.masking import IGNORE_INDEX
from collators.mini_batches import MiniBatch, split_by_length, split_evenly
from collators.special_tokens import special_token_affixes
from corpora.category_columns import CategoryColumn
from corpora.errors import InputError
from modeling.masked_positions import forward_masked_positions, inner_model
from modeling.pooling import pool
from modeling.unpadded import is_unpadded
from modeling.window import model_window
from trainers.base import LossTerm
from trainers.cached_gradients import cached_loss
from trainers.contrastive_loss import alignment_uniformity_sums, nt_xent, pair_relations
from trainers.cross_batch_memory import CrossBatchMemory, vector_keys
from trainers.declutr_arguments import DeclutrArguments
from trainers.gathering import agreed_count, gather_rows, gather_sizes, sum_over_rows
from trainers.metadata_trainer import MetadataTrainer, metadata_columns

# Tokens of a chunk when gradients are not cached. A GPU, where it was not measured, needs more at once to be busy.
CHUNK_TOKENS = 2048
GPU_CHUNK_TOKENS = 16_384


class DeclutrTrainer(MetadataTrainer):
    """Adapts an encoder by `L = contrastive_weight * L_c + mlm_weight * L_mlm` (Giorgi et al. 2021).

    With `category_columns` the loss of `MetadataTrainer` comes on top: it reads the embeddings of the anchors, or with
    `category_view="clean"` of the (unmasked) positives.

    Anchors and positives pass the encoder together, in a few chunks: without padding, or, where the encoder does not
    know how (`modeling.unpadded`), sorted by length, so that little is padding.
    The positives' embeddings of an anchor are averaged before the cosine. Embeddings of all processes stand in one
    contrastive batch, with the gradient of the whole. With `contrastive_mini_batch_tokens` the batch may hold hundreds
    of documents: gradients are cached (`trainers.cached_gradients`). With `cross_batch_memory` embeddings of earlier
    batches are further negatives (`trainers.cross_batch_memory`); evaluations neither read nor fill it.

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
        self.chunk_tokens = CHUNK_TOKENS if self.args.device.type == "cpu" else GPU_CHUNK_TOKENS
        self.memory = CrossBatchMemory(args.cross_batch_memory) if args.cross_batch_memory else None
        if not args.mlm_weight:
            self.freeze_masked_lm_head()

    # ---- the objective ----

    def loss_terms(self, model: nn.Module, inputs: Mapping[str, torch.Tensor]) -> list[LossTerm]:
        """Return the contrastive term, unless its weight is zero the masked-LM term, and those of the categories."""
        mini_batches = self._mini_batches(inputs)
        encoded = []
        for number, mini_batch in enumerate(mini_batches):
            # DistributedDataParallel prepares for one backward pass, at the last forward pass before it.
            last = number == len(mini_batches) - 1
            with nullcontext() if last else self.unsynchronized(model):
                encoded.append(self._encode(model, mini_batch))
        embeddings = torch.cat([one for one, _ in encoded])[_original_order(mini_batches)]
        contrastive, *categories = self.embedding_terms(embeddings, inputs)
        parts = [term for _, term in encoded if term is not None]
        if not parts:
            return [contrastive, *categories]
        total, count = sum(part.total for part in parts), sum(part.count for part in parts)
        return [contrastive, replace(parts[0], total=total, count=count), *categories]

    def embedding_terms(self, embeddings: torch.Tensor, inputs: Mapping[str, torch.Tensor]) -> list[LossTerm]:
        """Return the terms that depend on the encoder through the embeddings alone: contrastive, then categories.

        Args:
            embeddings: `(rows, hidden)` of all rows of the batch.
            inputs: The batch.
        """
        if self.model.training:
            self._throughput.add("spans", len(embeddings))
        anchors, positives = embeddings[inputs["anchor_rows"]], embeddings[inputs["positive_rows"]].mean(1)
        sizes = gather_sizes(len(anchors), self.accelerator)
        names = ("document_keys", "patient_keys", "content_keys", *(["category_keys"] if self.columns else []))
        own_keys = torch.stack([*(inputs[name] for name in names), *inputs["span_keys"]], dim=1)
        *columns, first, second = gather_rows(own_keys, self.accelerator, sizes).T
        keys = dict(zip(names, columns, strict=True), span_keys=torch.stack((first, second)))
        sums = partial(self._contrastive_sums, keys)
        pairs = torch.stack((anchors, positives), dim=1)
        loss, hits, alignment, exponentials = sum_over_rows(pairs, sums, self.accelerator, sizes)

        count = sum(sizes)
        self.record("contrastive_accuracy", hits, count)
        self.record("alignment", alignment, count)
        if count > 1:
            self.record("uniformity", (exponentials / (count * (count - 1))).log() * count, count)
        contrastive = LossTerm("contrastive", self.args.contrastive_weight, loss, 2 * count, over_step=False)
        clean = self.args.category_view == "clean"
        return [contrastive, *self.category_terms(positives if clean else anchors, inputs)]

    def _contrastive_sums(self, keys: dict[str, torch.Tensor], pairs: torch.Tensor, own: slice) -> torch.Tensor:
        """Return loss, hits and what alignment and uniformity are means of, summed over this process's rows.

        Args:
            keys: Of the anchors of all processes, as `pair_relations` takes them.
            pairs: `(anchors, 2, hidden)`: anchors of all processes and their mean positives.
            own: The place of this process's anchors.
        """
        args, memory = self.args, self.memory_in_use()
        vectors, rows = torch.cat((pairs[:, 0], pairs[:, 1])), None
        if own != slice(0, len(pairs)):
            rows = torch.arange(len(vectors), device=vectors.device).unflatten(0, (2, -1))[:, own].flatten()
        policies = {"same_patient": args.same_patient, "same_category": args.same_category, "rows": rows}
        relations, remembered = pair_relations(**keys, same_document=args.same_document, **policies), None
        if memory is not None:
            known = vector_keys(**keys)
            relations, remembered = memory.widened(relations, known, **policies), memory.vectors
            memory.add(vectors, known)
        temperature = self.temperature()
        losses, hits = nt_xent(vectors, relations, temperature, decoupled=args.decoupled, memory=remembered, rows=rows)
        shape = alignment_uniformity_sums(pairs[:, 0], pairs[:, 1], own)
        return torch.stack((losses.sum(), hits[: own.stop - own.start].sum(), *shape))

    def temperature(self) -> float:
        """Return the temperature of this step; that of the first step in evaluations, whose losses can be compared."""
        first, last = self.args.temperature, self.args.final_temperature
        if last is None or not self.model.training:
            return first
        return first + (last - first) * min(1.0, self.state.global_step / max(1, self.state.max_steps - 1))

    def memory_in_use(self) -> CrossBatchMemory | None:
        """Return the memory that this batch reads and fills; None before its first step, and in evaluations."""
        start = self.args.cross_batch_memory_start
        first = start if start >= 1 else int(start * self.state.max_steps)
        return self.memory if self.model.training and self.state.global_step >= first else None

    def _mini_batches(self, inputs: Mapping[str, torch.Tensor]) -> list[MiniBatch]:
        budget = self.args.contrastive_mini_batch_tokens or self.chunk_tokens
        if is_unpadded(inner_model(self.model)):
            split = partial(split_evenly, inputs, budget)
        else:
            split = partial(split_by_length, inputs, budget, self.args.pad_to_multiple_of)
        mini_batches = split()
        if self.is_fsdp_enabled:
            count = agreed_count(len(mini_batches), len(inputs["input_ids"]), self.accelerator)
            if count != len(mini_batches):
                mini_batches = split(count=count)
        return mini_batches

    def _encode(self, model: nn.Module, mini_batch: MiniBatch) -> tuple[torch.Tensor, LossTerm | None]:
        """Return the embeddings of a mini-batch and its part of the masked-LM term, if there is one."""
        hidden, logits = self.forward(model, mini_batch.batch)
        embeddings = pool(hidden, mini_batch.batch["attention_mask"], self.args.pooling)
        if not self.args.mlm_weight:
            return embeddings, None
        return embeddings, self.masked_lm_term(logits, mini_batch.batch["labels"], self.args.mlm_weight)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss of a micro-batch; with cached gradients all but its last mini-batch is back-propagated."""
        if not (self.args.contrastive_mini_batch_tokens and model.training):
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        mini_batches = self._mini_batches(inputs)
        order, labels = _original_order(mini_batches), int((inputs["labels"] != IGNORE_INDEX).sum())

        def embed(mini_batch: MiniBatch) -> torch.Tensor:
            ids, mask = mini_batch.batch["input_ids"], mini_batch.batch["attention_mask"]
            hidden, _ = forward_masked_positions(model, ids, mask, torch.zeros_like(mask, dtype=torch.bool))
            return pool(hidden, mask, self.args.pooling)

        def objective(embeddings: torch.Tensor) -> torch.Tensor:
            loss = torch.zeros((), device=embeddings.device)
            for term in self.embedding_terms(embeddings[order], inputs):
                self.record(f"{term.name}_loss", term.total, term.count)
                loss = loss + self.share_of_step(term, num_items_in_batch)
            return loss

        def encode(mini_batch: MiniBatch) -> tuple[torch.Tensor, torch.Tensor]:
            embeddings, term = self._encode(model, mini_batch)
            if term is None:
                return embeddings, embeddings.new_zeros(())
            self.record(f"{term.name}_loss", term.total, term.count)
            return embeddings, self.share_of_step(replace(term, count=labels), num_items_in_batch)

        def heads() -> list[nn.Parameter]:
            own = self.category_heads.parameters() if self.category_heads is not None else ()
            return [parameter for parameter in own if parameter.requires_grad]

        loss = cached_loss(
            mini_batches,
            embed,
            objective,
            encode,
            self.accelerator.backward,
            self.args.device,
            heads,
            lambda: self.unsynchronized(model),
        )
        return (loss, {"loss": loss}) if return_outputs else loss

    # ---- the memory in a checkpoint ----

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        """Train, with an empty memory or that of the checkpoint to resume from."""
        if self.memory is not None:
            self.memory.clear()
        return super().train(*args, **kwargs)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        # Before `trainer_state.json`, which tells a complete checkpoint. All processes hold the same vectors.
        if self.memory is not None and self.args.should_save:
            self.memory.save(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.memory is not None and checkpoint is not None:
            self.memory.load(checkpoint, self.args.device)

    def term_weights(self) -> dict[str, float]:
        """Return the weights of all terms."""
        weights = {"contrastive": self.args.contrastive_weight, "mlm": self.args.mlm_weight}
        return weights | self.category_term_weights()

    def sampling_batch_size(self) -> int | None:
        """Return the documents of a batch over all processes when they shall be of one category."""
        size = self.args.train_batch_size * self.accelerator.num_processes
        return size if self.args.one_category_batches else None


def _original_order(mini_batches: Sequence[MiniBatch]) -> torch.Tensor:
    """Return the index that brings rows of mini-batches, one after another, into the order of the batch."""
    return torch.cat([mini_batch.rows for mini_batch in mini_batches]).argsort()


def check_span_fits(model: nn.Module, tokenizer: PreTrainedTokenizerBase, max_span_length: int) -> None:
    """Raise an `InputError` when a span with its special tokens is longer than the model's window."""
    specials = sum(map(len, special_token_affixes(tokenizer)))
    window = model_window(model.config)
    if max_span_length + specials > window:
        raise InputError(
            f"--max_span_length {max_span_length} and {specials} special tokens exceed the model's window of {window}",
            remedy=f"set it to {window - specials} or less",
        )

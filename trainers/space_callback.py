"""Watches the embedding space while a model trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from collators.padding import pad_rows
from collators.special_tokens import special_token_affixes
from corpora.columns import identifier
from metrics.alignment import alignment, uniformity
from metrics.clusters import silhouette
from metrics.cosine_similarity import mean_cosine
from modeling.masked_positions import inner_model
from modeling.pooling import pool
from modeling.window import reading_length
from trainers.fully_sharded import refuse_what_fsdp_cannot

if TYPE_CHECKING:
    from datasets import Dataset

    from trainers.base import AdaptationTrainer

SHORTEST_PART = 8  # tokens
NO_CATEGORY = -1


class SpaceCallback(TrainerCallback):
    """Logs what happens to the embeddings of a fixed sample of documents, after every evaluation.

    `eval_space_alignment` (of two parts of a document, Wang and Isola 2020), `eval_space_uniformity`,
    `eval_space_mean_cosine` and, where the sample has two categories, `eval_space_silhouette`; see `metrics.measures`.
    They go the way of all logs, so that trackers show them, and may choose the best model (`metric_for_best_model`).

    The sample, and the parts of its documents, follow from the seed alone; nothing is drawn from the random state of
    the training, which goes on as without the callback. Documents are read up to the model's window, at most 512
    tokens. The main process does the work.

    Example:
        ```python
        trainer.add_callback(SpaceCallback(trainer, tokenize_documents(corpus["validation"], tokenizer)))
        ```

    Args:
        trainer: Whose model is watched.
        documents: Validation documents from `tokenize_documents`.
        max_documents: How many of them to look at.
        category_column: A column of one category a document; null means none.
        batch_size: Rows of a forward pass; the evaluation's when not given.
        seed: Of the sample; the trainer's when not given.

    Raises:
        InputError: The trainer's model is under FSDP: the main process has only its share of the weights.
    """

    def __init__(
        self,
        trainer: AdaptationTrainer,
        documents: Dataset,
        max_documents: int = 512,
        category_column: str | None = None,
        batch_size: int | None = None,
        seed: int | None = None,
    ) -> None:
        refuse_what_fsdp_cannot(trainer.args, log_space=True)
        self._trainer = trainer
        self._batch_size = batch_size or trainer.args.eval_batch_size
        generator = np.random.default_rng([trainer.args.seed if seed is None else seed, 7])
        count = min(max_documents, len(documents))
        sample = documents.select(np.sort(generator.choice(len(documents), count, replace=False)))
        prefix, suffix = special_token_affixes(trainer.processing_class)
        room = reading_length(inner_model(trainer.model).config, None) - len(prefix) - len(suffix)
        ids = [np.asarray(one) for one in sample.with_format("numpy")["input_ids"][:]]
        parts = [two_parts(one, room, generator) for one in ids if len(one) >= 2 * SHORTEST_PART]
        self._documents = _framed([one[:room] for one in ids], prefix, suffix)
        self._parts = [_framed(part, prefix, suffix) for part in zip(*parts, strict=True)]
        self._categories = None
        if category_column is not None:
            self._categories = category_numbers(sample.with_format(None)[category_column][:])

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Measure the sample, log it, and add it to the evaluation's metrics."""
        found = [self.measure() if self._trainer.is_world_process_zero() else None]
        if args.world_size > 1:
            # So that all processes decide alike which model is the best.
            broadcast_object_list(found)
        values = {f"eval_space_{name}": value for name, value in found[0].items()}
        self._trainer.log(dict(values))
        if metrics is not None:
            metrics.update(values)

    def measure(self) -> dict[str, float]:
        """Return the measures of the sample; not a number where an embedding is not finite or too few are left."""
        model = inner_model(self._trainer.model)
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad(), self._trainer.accelerator.autocast():
                whole, *parts = (self._embed(model, rows) for rows in (self._documents, *self._parts))
        finally:
            model.train(was_training)
        names = ("alignment", "uniformity", "mean_cosine")
        if self._categories is not None:
            names += ("silhouette",)
        if not all(np.isfinite(embeddings).all() for embeddings in (whole, *parts)):
            return dict.fromkeys(names, math.nan)
        found = {
            "alignment": alignment(*parts).value if parts else math.nan,
            "uniformity": uniformity(whole).value,
            "mean_cosine": mean_cosine(whole).value,
        }
        if self._categories is not None:
            known = self._categories != NO_CATEGORY
            found["silhouette"] = silhouette(whole[known], self._categories[known], None)
        return found

    def _embed(self, model: torch.nn.Module, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Return `(rows, hidden)` float32."""
        order = np.argsort([-len(row) for row in rows], kind="stable")
        fill = self._trainer.processing_class.pad_token_id or 0
        found = np.empty((len(rows), model.config.hidden_size), dtype=np.float32)
        for start in range(0, len(rows), self._batch_size):
            places = order[start : start + self._batch_size]
            batch = (tensor.to(model.device) for tensor in pad_rows([rows[place] for place in places], fill))
            input_ids, attention_mask = batch
            hidden = model.base_model(input_ids=input_ids, attention_mask=attention_mask)[0]
            found[places] = pool(hidden, attention_mask, self._trainer.args.pooling).cpu().numpy()
        return found


def two_parts(
    ids: np.ndarray, room: int, generator: np.random.Generator, shortest: int = SHORTEST_PART
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a span from each half of a document, of one length.

    Args:
        ids: `(tokens,)`, at least twice the shortest span.
        room: Most tokens of a span.
        generator: Draws the length, between the shortest and what fits, and both places.
        shortest: Fewest tokens of a span.
    """
    half = len(ids) // 2
    longest = min(half, room)
    length = int(generator.integers(min(shortest, longest), longest + 1))
    first, second = generator.integers(half - length + 1, size=2)
    return ids[first : first + length], ids[half + second : half + second + length]


def category_numbers(values: Sequence[Any]) -> np.ndarray | None:
    """Return `(documents,)` numbers of categories, -1 for null; None when there are fewer than two categories."""
    names = [identifier(value) for value in values]
    known = sorted({name for name in names if name is not None})
    numbers = {name: number for number, name in enumerate(known)}
    return np.array([numbers.get(name, NO_CATEGORY) for name in names]) if len(known) > 1 else None


def _framed(rows: Sequence[np.ndarray], prefix: list[int], suffix: list[int]) -> list[np.ndarray]:
    return [np.concatenate([prefix, row, suffix]).astype(np.int64) for row in rows]

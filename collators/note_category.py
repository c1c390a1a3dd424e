"""Batches for the note-category objective: one window a document, masked, with its metadata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from collators.categories import category_targets
from collators.masking import IGNORE_INDEX, MaskingOptions, TokenMasker
from collators.padding import pad_rows
from collators.randomness import feature_generator
from collators.special_tokens import special_token_affixes
from corpora.category_columns import CategoryColumn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass
class NoteCategoryCollator:
    """Cuts a window from each tokenised document (`tokenize_documents`), masks and pads it.

    The rows are: N masked windows (unless nothing is masked), then, for the clean view, the same N windows unmasked.
    The result holds

    - `input_ids`, `attention_mask`: `(rows, length)` int64;
    - `labels`: `(rows, length)` int64, -100 except at the chosen tokens of masked windows;
    - `category_rows`: `(N,)` rows whose embeddings the category loss reads;
    - `categories`: by column, as `category_targets` gives them;
    - `document_keys`: `(N,)` int64.

    Args:
        tokenizer: The model's tokenizer.
        columns: The metadata columns.
        max_length: Tokens in a window, special tokens included.
        window: `random` takes another part of a long document each epoch, so that all of it is seen; `first` its
            beginning (the study).
        masking: How tokens are chosen and replaced; None masks nothing (category loss alone).
        clean_view: The category loss reads unmasked windows; the study's reads the masked ones.
        seed: Seed of the run.
        pad_to_multiple_of: Round lengths up to a multiple of this.
    """

    tokenizer: PreTrainedTokenizerBase
    columns: Sequence[CategoryColumn] = ()
    max_length: int = 512
    window: Literal["random", "first"] = "random"
    masking: MaskingOptions | None = field(default_factory=MaskingOptions)
    clean_view: bool = False
    seed: int = 0
    pad_to_multiple_of: int | None = None

    def __post_init__(self) -> None:
        self._mask = TokenMasker(self.tokenizer, self.masking) if self.masking is not None else None
        prefix, suffix = special_token_affixes(self.tokenizer)
        self._prefix, self._suffix = np.array(prefix, dtype=np.int64), np.array(suffix, dtype=np.int64)
        self._room = self.max_length - len(prefix) - len(suffix)
        if self._room < 1:
            raise ValueError(
                f"max_length {self.max_length} leaves no room beside {len(prefix) + len(suffix)} special tokens"
            )

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate documents with keys `input_ids`, `document_id`, `document_key`, `epoch` and the metadata columns."""
        masked: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        clean: list[np.ndarray] = []
        for feature in features:
            generator = feature_generator(self.seed, feature)
            window = self._framed(np.asarray(feature["input_ids"], dtype=np.int64), generator)
            if self._mask is not None:
                row, row_labels = self._mask(window, generator)
                masked.append(row)
                labels.append(row_labels)
            if self._mask is None or self.clean_view:
                clean.append(window)
                labels += [np.full(len(window), IGNORE_INDEX)] if self._mask is None else []
        input_ids, attention_mask = pad_rows([*masked, *clean], self.tokenizer.pad_token_id, self.pad_to_multiple_of)
        padded_labels = torch.full_like(input_ids, IGNORE_INDEX)
        window_labels, _ = pad_rows(labels, IGNORE_INDEX)
        padded_labels[: len(labels), : window_labels.shape[1]] = window_labels
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": padded_labels,
            "category_rows": torch.arange(len(input_ids) - len(features), len(input_ids)),
            "categories": category_targets(features, self.columns),
            "document_keys": torch.tensor([feature["document_key"] for feature in features], dtype=torch.int64),
        }

    def _framed(self, ids: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        spare, start = len(ids) - self._room, 0
        if self.window == "random" and spare > 0:
            # Drawn from half a window before the document to half a window behind it: otherwise its first and last
            # words, often the most telling ones, would hardly ever be read.
            half = self._room // 2
            start = min(max(int(generator.integers(-half, spare + half + 1)), 0), spare)
        return np.concatenate((self._prefix, ids[start : start + self._room], self._suffix))

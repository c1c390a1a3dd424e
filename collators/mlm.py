"""Batches for masked language modelling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from collators.masking import IGNORE_INDEX, MaskingOptions, TokenMasker
from collators.padding import pad_rows
from collators.randomness import feature_generator

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass
class MlmCollator:
    """Masks and pads rows that already hold their special tokens (`cut_into_rows`).

    Args:
        tokenizer: The model's tokenizer.
        masking: How tokens are chosen and replaced.
        seed: Seed of the run.
        pad_to_multiple_of: Round lengths up to a multiple of this.

    The result holds `input_ids`, `attention_mask` and `labels`, each `(rows, length)` int64.
    """

    tokenizer: PreTrainedTokenizerBase
    masking: MaskingOptions = field(default_factory=MaskingOptions)
    seed: int = 0
    pad_to_multiple_of: int | None = None

    def __post_init__(self) -> None:
        self._mask = TokenMasker(self.tokenizer, self.masking)

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Collate rows with keys `input_ids`, `document_id`, `epoch`."""
        masked, labels = [], []
        for feature in features:
            generator = feature_generator(self.seed, feature)
            row, row_labels = self._mask(np.asarray(feature["input_ids"]), generator)
            masked.append(row)
            labels.append(row_labels)
        input_ids, attention_mask = pad_rows(masked, self.tokenizer.pad_token_id, self.pad_to_multiple_of)
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": pad_rows(labels, IGNORE_INDEX, self.pad_to_multiple_of)[0],
        }

"""Batches for document classification: the windows of labelled documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from collators.padding import pad_rows
from collators.reading import ReadingPlan, read_document
from collators.special_tokens import special_token_affixes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass
class ClassificationCollator:
    """Cuts tokenised documents (`tokenize_documents`) into windows and pads them.

    The result holds

    - `input_ids`, `attention_mask`: `(windows, length)` int64;
    - `window_documents`, `window_tokens`: `(windows,)` int64, the document of each window, in order, and how many of
      its tokens it holds;
    - `labels`: `(documents,)` int64, or `(documents, classes)` float32 for several labels a document.

    Args:
        tokenizer: The model's tokenizer.
        plan: What of a document is read.
        pad_to_multiple_of: Round lengths up to a multiple of this.
    """

    tokenizer: PreTrainedTokenizerBase
    plan: ReadingPlan = field(default_factory=ReadingPlan)
    pad_to_multiple_of: int | None = None

    def __post_init__(self) -> None:
        prefix, suffix = special_token_affixes(self.tokenizer)
        self._prefix, self._suffix = np.array(prefix, dtype=np.int64), np.array(suffix, dtype=np.int64)

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Collate documents with the keys `input_ids` and, for training, `labels`."""
        rows: list[np.ndarray] = []
        origin: list[int] = []
        tokens: list[int] = []
        for number, feature in enumerate(features):
            ids = np.asarray(feature["input_ids"], dtype=np.int64)
            windows = read_document(ids, self.plan, len(self._prefix) + len(self._suffix))
            rows += [np.concatenate((self._prefix, window, self._suffix)) for window in windows]
            origin += [number] * len(windows)
            tokens += [max(1, len(window)) for window in windows]
        input_ids, attention_mask = pad_rows(rows, self.tokenizer.pad_token_id, self.pad_to_multiple_of)
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "window_documents": torch.tensor(origin, dtype=torch.int64),
            "window_tokens": torch.tensor(tokens, dtype=torch.int64),
        }
        if "labels" in features[0]:
            batch["labels"] = torch.from_numpy(np.asarray([feature["labels"] for feature in features]))
        return batch


class LabelledDocuments(Dataset):
    """Documents with labels, as the trainer wants them.

    Args:
        items: A mapping a document: tokenised (`input_ids`), or what a frozen encoder left of it.
        labels: Numbers of classes, or 0/1 vectors.
    """

    def __init__(self, items: Sequence[Mapping[str, Any]], labels: Sequence[Any]) -> None:
        if len(items) != len(labels):
            raise ValueError(f"{len(items)} documents and {len(labels)} labels")
        self.items, self.labels = items, labels

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.items[index], "labels": self.labels[index]}


@dataclass(frozen=True)
class StoredWindow:
    """Where the hidden states of a window lie among those stored, and how many of its tokens are the document's own."""

    start: int
    length: int
    tokens: int


def collate_frozen(features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Collate what a frozen encoder left of labelled documents.

    The result holds `labels` and either `document_embeddings` `(documents, hidden)`, or `boundary_states`
    `(windows, length, hidden)`, `attention_mask`, `window_documents` and `window_tokens`.
    """
    labels = torch.from_numpy(np.asarray([feature["labels"] for feature in features]))
    if "document_embeddings" in features[0]:
        embeddings = np.stack([feature["document_embeddings"] for feature in features])
        return {"document_embeddings": torch.from_numpy(embeddings), "labels": labels}
    windows = [
        (number, feature["boundary_states"], window)
        for number, feature in enumerate(features)
        for window in feature["windows"]
    ]
    longest = max(window.length for _, _, window in windows)
    states = np.zeros((len(windows), longest, windows[0][1].shape[1]), dtype=np.float32)
    mask = np.zeros((len(windows), longest), dtype=np.int64)
    for row, (_, stored, window) in enumerate(windows):
        states[row, : window.length] = stored[window.start : window.start + window.length]
        mask[row, : window.length] = 1
    return {
        "boundary_states": torch.from_numpy(states),
        "attention_mask": torch.from_numpy(mask),
        "window_documents": torch.tensor([number for number, _, _ in windows]),
        "window_tokens": torch.tensor([window.tokens for _, _, window in windows]),
        "labels": labels,
    }

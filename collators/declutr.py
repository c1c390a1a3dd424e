"""Batches for DeCLUTR: masked anchor spans and unmasked positive spans, in one padded tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import xxhash

from collators.categories import category_keys, category_targets
from collators.masking import IGNORE_INDEX, MaskingOptions, TokenMasker
from collators.padding import pad_rows
from collators.randomness import feature_generator
from collators.spans import SpanOptions, sample_spans
from collators.special_tokens import special_token_affixes
from corpora.category_columns import CategoryColumn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass
class DeclutrCollator:
    """Samples spans from tokenised documents (`tokenize_documents`), masks the anchors and pads all of them.

    With N anchors in the batch and P positives an anchor, the rows are: N masked anchors, N clean anchors (only with
    `clean_anchors`), then the `N * P` positives, anchor by anchor. The result holds

    - `input_ids`, `attention_mask`: `(rows, length)` int64;
    - `labels`: `(rows, length)` int64, -100 except at the chosen tokens of masked anchors;
    - `anchor_rows`: `(N,)` rows whose embeddings enter the contrastive loss as anchors;
    - `positive_rows`: `(N, P)` rows of the positives of each anchor;
    - `document_keys`, `patient_keys`, `content_keys`: `(N,)` int64, equal where the anchors come from one document,
      one patient, or documents of equal text;
    - `span_keys`: `(2, N)` int64, equal where two anchors (row 0) or two sets of positives (row 1) are the same tokens;
    - with metadata columns, `categories` of the anchors' documents by column, as `category_targets` gives them, and
      `category_keys`: `(N,)` int64, equal where two documents have the same category of the first column.

    Args:
        tokenizer: The model's tokenizer.
        spans: What to sample from each document.
        masking: How anchor tokens are chosen and replaced; None masks nothing (contrastive loss alone).
        clean_anchors: Contrast unmasked copies of the anchors; the original contrasts the masked ones.
        seed: Seed of the run.
        pad_to_multiple_of: Round lengths up to a multiple of this.
        columns: Metadata columns.
    """

    tokenizer: PreTrainedTokenizerBase
    spans: SpanOptions = field(default_factory=SpanOptions)
    masking: MaskingOptions | None = field(default_factory=MaskingOptions)
    clean_anchors: bool = False
    seed: int = 0
    pad_to_multiple_of: int | None = None
    columns: Sequence[CategoryColumn] = ()

    def __post_init__(self) -> None:
        self._mask = TokenMasker(self.tokenizer, self.masking) if self.masking is not None else None
        prefix, suffix = special_token_affixes(self.tokenizer)
        self._prefix, self._suffix = np.array(prefix, dtype=np.int64), np.array(suffix, dtype=np.int64)

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Collate documents with keys `input_ids`, `document_id`, `epoch`, the three int64 keys and the metadata."""
        masked: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        clean: list[np.ndarray] = []
        positives: list[np.ndarray] = []
        origin: list[int] = []
        span_keys: list[tuple[int, int]] = []
        for number, feature in enumerate(features):
            ids = np.asarray(feature["input_ids"], dtype=np.int64)
            generator = feature_generator(self.seed, feature)
            spans = sample_spans(len(ids), self.spans, generator)
            anchors = [self._framed(ids[start:end]) for start, end in spans.anchors.tolist()]
            positives += [self._framed(ids[start:end]) for start, end in spans.positives.reshape(-1, 2).tolist()]
            origin += [number] * len(anchors)
            span_keys += [
                (_tokens_key(ids[slice(*anchor)]), _tokens_key(*(ids[slice(*span)] for span in around)))
                for anchor, around in zip(spans.anchors, spans.positives, strict=True)
            ]
            if self._mask is None:
                masked += anchors
                labels += [np.full(len(anchor), IGNORE_INDEX) for anchor in anchors]
            else:
                ends = np.cumsum([len(anchor) for anchor in anchors])
                starts = np.concatenate(([0], ends[:-1]))
                flat, flat_labels = self._mask(np.concatenate(anchors), generator, starts)
                masked += np.split(flat, ends[:-1])
                labels += np.split(flat_labels, ends[:-1])
            # Where nothing is masked the anchors are clean already, and nobody would read them twice.
            clean += anchors if self.clean_anchors and self._mask is not None else []
        input_ids, attention_mask = pad_rows(
            [*masked, *clean, *positives], self.tokenizer.pad_token_id, self.pad_to_multiple_of
        )
        padded_labels = torch.full_like(input_ids, IGNORE_INDEX)
        anchor_labels, _ = pad_rows(labels, IGNORE_INDEX)
        padded_labels[: len(masked), : anchor_labels.shape[1]] = anchor_labels
        first_positive = len(masked) + len(clean)
        sources = [features[number] for number in origin]
        metadata: dict[str, Any] = {}
        if self.columns:
            metadata["categories"] = category_targets(sources, self.columns)
            metadata["category_keys"] = category_keys(sources, self.columns[0])
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "labels": padded_labels,
            "anchor_rows": torch.arange(len(masked)) + len(clean),
            "positive_rows": torch.arange(first_positive, len(input_ids)).view(-1, self.spans.num_positives),
            "span_keys": torch.tensor(span_keys, dtype=torch.int64).T.contiguous(),
            **{
                name: torch.tensor([source[name[:-1]] for source in sources], dtype=torch.int64)
                for name in ("document_keys", "patient_keys", "content_keys")
            },
            **metadata,
        }

    def _framed(self, span: np.ndarray) -> np.ndarray:
        return np.concatenate((self._prefix, span, self._suffix))


def _tokens_key(*spans: np.ndarray) -> int:
    """Return a 63-bit key of spans of token ids."""
    return xxhash.xxh3_64_intdigest(b"|".join(span.tobytes() for span in spans)) >> 1

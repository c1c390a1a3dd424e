"""Collators: tokenised documents in, batches out.

Pure, seeded functions (`spans`, `masking`, `randomness`) stand in front; thin dataclass collators (`MlmCollator`,
`DeclutrCollator`, `NoteCategoryCollator`) behind. This room knows nothing of models and trainers.
"""

from collators.categories import category_keys, category_targets
from collators.category_sampler import CategorySampler
from collators.declutr import DeclutrCollator
from collators.epochs import EpochDataset
from collators.masking import MaskingOptions, TokenMasker
from collators.mlm import MlmCollator
from collators.note_category import NoteCategoryCollator
from collators.random_order import RandomOrder
from collators.randomness import document_generator
from collators.spans import DocumentSpans, SpanOptions, effective_options, sample_spans
from collators.streaming import DocumentStream, StreamOptions, stream_documents, stream_rows
from collators.tokenized import LengthReport, cut_into_rows, keep_long_enough, stable_key, tokenize_documents

__all__ = [
    "CategorySampler",
    "DeclutrCollator",
    "DocumentSpans",
    "DocumentStream",
    "EpochDataset",
    "LengthReport",
    "MaskingOptions",
    "MlmCollator",
    "NoteCategoryCollator",
    "RandomOrder",
    "SpanOptions",
    "StreamOptions",
    "TokenMasker",
    "category_keys",
    "category_targets",
    "cut_into_rows",
    "document_generator",
    "effective_options",
    "keep_long_enough",
    "sample_spans",
    "stable_key",
    "stream_documents",
    "stream_rows",
    "tokenize_documents",
]

"""Collators: tokenised documents in, batches out.

Pure, seeded functions (`spans`, `masking`, `randomness`) stand in front; thin dataclass collators (`MlmCollator`,
`DeclutrCollator`) behind. This room knows nothing of models and trainers.
"""

from collators.declutr import DeclutrCollator
from collators.epochs import EpochDataset
from collators.masking import MaskingOptions, TokenMasker
from collators.mlm import MlmCollator
from collators.randomness import document_generator
from collators.spans import DocumentSpans, SpanOptions, effective_options, sample_spans
from collators.tokenized import LengthReport, cut_into_rows, keep_long_enough, stable_key, tokenize_documents

__all__ = [
    "DeclutrCollator",
    "DocumentSpans",
    "EpochDataset",
    "LengthReport",
    "MaskingOptions",
    "MlmCollator",
    "SpanOptions",
    "TokenMasker",
    "cut_into_rows",
    "document_generator",
    "effective_options",
    "keep_long_enough",
    "sample_spans",
    "stable_key",
    "tokenize_documents",
]

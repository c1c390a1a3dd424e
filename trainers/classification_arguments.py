"""Arguments of document classification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from transformers import TrainingArguments


@dataclass
class ClassificationArguments(TrainingArguments):
    """`transformers.TrainingArguments` plus what training a `NoteClassifier` needs.

    Raises:
        ValueError: A value is out of range.
    """

    _argument_group_name = "Classification"

    freeze: str = field(
        default="none",
        metadata={"help": "What of the encoder stays as it is: none, embeddings, a number of layers, or all."},
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of what is not the encoder; the encoder's when not given."}
    )
    class_weights: Literal["none", "balanced"] = field(
        default="none", metadata={"help": "balanced: weight classes by 1/documents, with a mean of 1."}
    )
    pad_to_multiple_of: int | None = field(
        default=None, metadata={"help": "Round batch lengths up to a multiple of this (8 suits tensor cores)."}
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "Always false: the collator needs them."})

    def __post_init__(self) -> None:
        super().__post_init__()
        self.remove_unused_columns = False
        if self.freeze not in ("none", "embeddings", "all") and not self.freeze.isdecimal():
            raise ValueError(f"freeze must be none, embeddings, all or a number of layers, got {self.freeze!r}")
        if not 0 <= self.label_smoothing_factor < 1:
            raise ValueError(f"label_smoothing_factor must lie in [0, 1), got {self.label_smoothing_factor}")

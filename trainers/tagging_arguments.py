"""Arguments of tagging."""

from __future__ import annotations

from dataclasses import dataclass, field

from transformers import TrainingArguments


@dataclass
class TaggingArguments(TrainingArguments):
    """`transformers.TrainingArguments` plus what training a `TokenTagger` needs.

    Raises:
        ValueError: A value is out of range.
    """

    _argument_group_name = "Tagging"

    freeze: str = field(
        default="none",
        metadata={"help": "What of the encoder stays as it is: none, embeddings, a number of layers, or all."},
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the linear layer; the encoder's when not given."}
    )
    crf_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the CRF's scores; that of the linear layer when not given."}
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
        if self.label_smoothing_factor:
            raise ValueError("label smoothing is not defined for sequences of tags")

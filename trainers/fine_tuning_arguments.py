"""Arguments that training a classifier and training a tagger share."""

from __future__ import annotations

from dataclasses import dataclass, field

from transformers import TrainingArguments

from trainers.argument_ranges import check_ranges


@dataclass
class FineTuningArguments(TrainingArguments):
    """`transformers.TrainingArguments` plus what training an encoder with a head on it needs.

    Raises:
        ValueError: A value is out of range.
    """

    freeze: str = field(
        default="none",
        metadata={"help": "What of the encoder stays as it is: none, embeddings, a number of layers, or all."},
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of what is not the encoder; the encoder's when not given."}
    )
    pad_to_multiple_of: int | None = field(
        default=None, metadata={"help": "Round batch lengths up to a multiple of this (8 suits tensor cores)."}
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "Always false: the collator needs them."})

    def __post_init__(self) -> None:
        check_ranges(self)
        super().__post_init__()
        self.remove_unused_columns = False
        if self.freeze not in ("none", "embeddings", "all") and not self.freeze.isdecimal():
            raise ValueError(f"freeze must be none, embeddings, all or a number of layers, got {self.freeze!r}")

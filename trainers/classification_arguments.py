"""Arguments of document classification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from trainers.fine_tuning_arguments import FineTuningArguments


@dataclass
class ClassificationArguments(FineTuningArguments):
    """`transformers.TrainingArguments` plus what training a `NoteClassifier` needs.

    Raises:
        ValueError: A value is out of range.
    """

    _argument_group_name = "Classification"

    class_weights: Literal["none", "balanced"] = field(
        default="none", metadata={"help": "balanced: weight classes by 1/documents, with a mean of 1."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.label_smoothing_factor < 1:
            raise ValueError(f"label_smoothing_factor must lie in [0, 1), got {self.label_smoothing_factor}")

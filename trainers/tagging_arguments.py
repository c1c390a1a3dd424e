"""Arguments of tagging."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainers.fine_tuning_arguments import FineTuningArguments


@dataclass
class TaggingArguments(FineTuningArguments):
    """`transformers.TrainingArguments` plus what training a `TokenTagger` needs.

    Raises:
        ValueError: A value is out of range.
    """

    _argument_group_name = "Tagging"

    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the linear layer; the encoder's when not given."}
    )
    crf_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the CRF's scores; that of the linear layer when not given."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.label_smoothing_factor:
            raise ValueError("label smoothing is not defined for sequences of tags")

"""Arguments that all objectives share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from transformers import TrainingArguments

from collators.masking import MaskingOptions
from modeling.pooling import POOLING_MODES
from trainers.argument_ranges import check_ranges

# Fewer different lengths, all of which suit the kernels of a compiler.
COMPILED_MULTIPLE = 32


@dataclass
class AdaptationArguments(TrainingArguments):
    """`transformers.TrainingArguments` plus what every way of adapting an encoder needs.

    Raises:
        ValueError: A value is out of range.
    """

    _argument_group_name = "Masking, head and schedule"

    mlm_probability: float = field(default=0.15, metadata={"help": "Share of the tokens to predict."})
    mask_share: float = field(default=0.8, metadata={"help": "Share of those replaced by the mask token."})
    random_share: float = field(default=0.1, metadata={"help": "Share of those replaced by a random token."})
    whole_word_mask: bool = field(default=False, metadata={"help": "Choose whole words instead of tokens."})
    pooling: Literal["mean", "cls", "max"] = field(
        default="mean", metadata={"help": "How a document embedding is made of the last hidden states."}
    )
    pad_to_multiple_of: int | None = field(
        default=None,
        metadata={
            "help": "Round batch lengths up to a multiple of this where padding is read (8 suits tensor cores); 32 "
            "under torch_compile when not given."
        },
    )
    unpadded: bool = field(
        default=True,
        metadata={
            "help": "Read real tokens only, laid end to end, where the encoder's family is known (BERT, RoBERTa, "
            "DistilBERT, ELECTRA, ...); others are read padded, as is everything under torch_compile. Exact; "
            "--no_unpadded for comparison."
        },
    )
    head_warmup_steps: float | None = field(
        default=None,
        metadata={
            "help": "Train only the heads for so many steps first (below 1: a share of the run), so that an untrained "
            "one settles. pretrain.py takes 0.1 when the checkpoint has no masked-LM head."
        },
    )
    head_learning_rate: float | None = field(
        default=None, metadata={"help": "Learning rate of the heads; the encoder's when not given."}
    )
    slanted_triangular: bool = field(
        default=False,
        metadata={"help": "Slanted triangular learning rate (Howard and Ruder 2018) in place of lr_scheduler_type."},
    )
    slanted_cut: float = field(default=0.1, metadata={"help": "Share of the steps in which the rate rises."})
    slanted_ratio: float = field(default=32.0, metadata={"help": "Highest rate over lowest."})
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "False saves a pass over the graph: every trained parameter gets a gradient."}
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "Always false: the collators need them."})
    prediction_loss_only: bool = field(default=True, metadata={"help": "Always true: logits are never gathered."})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Always false: NaN is to be seen."})

    def __post_init__(self) -> None:
        check_ranges(self)
        super().__post_init__()
        self.remove_unused_columns = False
        self.prediction_loss_only = True
        self.logging_nan_inf_filter = False  # a diverged run would log the losses of before
        if self.torch_compile and self.pad_to_multiple_of is None:
            self.pad_to_multiple_of = COMPILED_MULTIPLE
        self.masking_options()  # checks the shares
        if self.pooling not in POOLING_MODES:
            raise ValueError(f"pooling must be one of {', '.join(POOLING_MODES)}, got {self.pooling!r}")
        if self.label_smoothing_factor:
            raise ValueError("label_smoothing_factor has no effect on these objectives; leave it at 0")
        if self.slanted_triangular and not (0 < self.slanted_cut < 1 and self.slanted_ratio >= 1):
            raise ValueError("slanted_cut must lie between 0 and 1, and slanted_ratio be at least 1")
        if self.head_warmup_steps is not None and self.head_warmup_steps < 0:
            raise ValueError("head_warmup_steps must not be negative")

    def masking_options(self) -> MaskingOptions:
        """Return the options of the masker."""
        return MaskingOptions(self.mlm_probability, self.mask_share, self.random_share, self.whole_word_mask)

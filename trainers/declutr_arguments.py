"""Arguments of DeCLUTR."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from collators.spans import SpanOptions
from trainers.metadata_arguments import MetadataArguments


@dataclass
class DeclutrArguments(MetadataArguments):
    """Arguments of `DeclutrTrainer`.

    `L = contrastive_weight * L_c + mlm_weight * L_mlm`, and `+ category_weight * L_category` with `category_columns`.

    Raises:
        ValueError: A value is out of range.
    """

    _argument_group_name = "DeCLUTR: spans and contrastive loss"

    num_anchors: int = field(default=2, metadata={"help": "Anchor spans a document."})
    num_positives: int = field(default=2, metadata={"help": "Positive spans an anchor."})
    min_span_length: int = field(default=16, metadata={"help": "Shortest span in tokens."})
    max_span_length: int = field(default=256, metadata={"help": "Longest span in tokens, special tokens not counted."})
    positive_strategy: list[str] = field(
        default_factory=lambda: ["overlapping"],
        metadata={"help": "overlapping, subsuming, adjacent, disjoint; with several each positive takes one."},
    )
    compatible_sampling: bool = field(
        default=False,
        metadata={"help": "The original's distribution: leaves out documents under 2 x anchors x longest span."},
    )
    clean_anchors: bool = field(default=False, metadata={"help": "Contrast unmasked anchors (the original: masked)."})
    temperature: float = field(default=0.05, metadata={"help": "Divides the cosine similarities."})
    final_temperature: float | None = field(
        default=None,
        metadata={"help": "The temperature goes to this in a straight line over the run; constant when not given."},
    )
    decoupled: bool = field(
        default=False,
        metadata={"help": "Leave positives out of the denominators (decoupled contrastive loss); for small batches."},
    )
    contrastive_weight: float = field(default=1.0, metadata={"help": "Weight of the contrastive loss."})
    mlm_weight: float = field(default=1.0, metadata={"help": "Weight of the masked-LM loss; 0 switches it off."})
    same_document: Literal["hard_negative", "ignore", "positive"] = field(
        default="hard_negative", metadata={"help": "What other spans of the same document are."}
    )
    same_patient: Literal["hard_negative", "ignore", "positive"] = field(
        default="hard_negative", metadata={"help": "What spans of other documents of the same patient are."}
    )
    same_category: Literal["negative", "ignore", "positive"] = field(
        default="negative",
        metadata={"help": "What spans of other patients are whose document has the same (first) category."},
    )
    contrastive_mini_batch_tokens: int | None = field(
        default=None,
        metadata={
            "help": "Cached gradients: the encoder takes the spans of a batch in mini-batches of at most so many "
            "tokens, twice, so that activations do not grow with the batch. Not given: once, all with their graph."
        },
    )
    cross_batch_memory: int = field(
        default=0,
        metadata={
            "help": "Keep so many embeddings (anchors, mean positives) of earlier batches as negatives; 0: none."
        },
    )
    cross_batch_memory_start: float = field(
        default=0.1,
        metadata={
            "help": "Step from which the memory is filled and read, for embeddings drift most at first; below 1 a "
            "share of the run."
        },
    )
    one_category_batches: bool = field(
        default=False,
        metadata={"help": "Harder negatives: the documents of a batch are of one category, of the first column."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.same_category != "negative" or self.one_category_batches) and not self.category_columns:
            raise ValueError("same_category and one_category_batches need category_columns")
        if isinstance(self.positive_strategy, str):
            self.positive_strategy = [self.positive_strategy]
        self.span_options()  # checks lengths and strategies
        if self.temperature <= 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")
        if self.final_temperature is not None and self.final_temperature <= 0:
            raise ValueError(f"final_temperature must be positive, got {self.final_temperature}")
        if self.contrastive_mini_batch_tokens is not None and self.contrastive_mini_batch_tokens < 1:
            raise ValueError(
                f"contrastive_mini_batch_tokens must be positive, got {self.contrastive_mini_batch_tokens}"
            )
        if self.contrastive_mini_batch_tokens and self.torch_compile:
            raise ValueError(
                "contrastive_mini_batch_tokens and torch_compile exclude each other: a compiler may let dropout fall "
                "differently in the pass without a graph and in the one with it, and gradients would be wrong"
            )
        if self.contrastive_mini_batch_tokens and self.deepspeed:
            raise ValueError(
                "contrastive_mini_batch_tokens takes several backward passes a step, each of which DeepSpeed would end "
                "with an optimizer step; use FSDP or DistributedDataParallel"
            )
        if min(self.cross_batch_memory, self.cross_batch_memory_start) < 0:
            raise ValueError("cross_batch_memory and cross_batch_memory_start must not be negative")
        if self.cross_batch_memory and not self.contrastive_weight:
            raise ValueError("cross_batch_memory is for a contrastive loss, which contrastive_weight 0 leaves out")
        if min(self.contrastive_weight, self.mlm_weight) < 0 or not (self.contrastive_weight or self.mlm_weight):
            raise ValueError("contrastive_weight and mlm_weight must not be negative, nor both zero")

    def span_options(self) -> SpanOptions:
        """Return the options of the span sampler."""
        return SpanOptions(
            num_anchors=self.num_anchors,
            num_positives=self.num_positives,
            min_length=self.min_span_length,
            max_length=self.max_span_length,
            strategies=tuple(self.positive_strategy),
            compatible=self.compatible_sampling,
        )

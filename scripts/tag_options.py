"""Options of tag.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass
class AnnotatedFiles:
    """What is trained and scored on."""

    _argument_group_name = "Data"

    train_file: list[str] = field(
        metadata={"help": "Annotated text: CoNLL or TSV files, folders of BRAT stand-off, JSON lines with spans."}
    )
    validation_file: list[str] | None = field(
        default=None,
        metadata={"help": "The same to choose the best epoch by; by default a share of the training documents."},
    )
    test_file: list[str] | None = field(
        default=None, metadata={"help": "The same to score on, once; by default the validation documents are scored."}
    )
    output_dir: str = field(metadata={"help": "Folder for results and models."}, kw_only=True)
    restart: bool = field(default=False, metadata={"help": "Delete the results of an earlier run there first."})
    quiet: bool = field(default=False, metadata={"help": "Print the table alone."})


@dataclass
class TaggerOptions:
    """What stands on the encoder, and what of it is trained.

    Raises:
        ValueError: A value is out of range.
    """

    _argument_group_name = "Tagger"

    system: str | None = field(
        default=None, metadata={"help": "Name in the tables; by default that of the output folder."}
    )
    crf: bool = field(default=True, metadata={"help": "A CRF on the scores of the tags; --no_crf tags word by word."})
    scheme: Literal["IOB2", "BIOES"] = field(default="IOB2", metadata={"help": "Tags that the model learns."})
    tagger_dropout: float = field(default=0.2, metadata={"help": "Dropout before the linear layer."})
    freeze: str = field(
        default="none",
        metadata={"help": "What of the encoder stays as it is: none, embeddings, a number of layers, or all."},
    )
    window_length: int | None = field(
        default=None, metadata={"help": "Tokens that the encoder reads at once; its window, at most 512, by default."}
    )
    window_overlap: int = field(default=64, metadata={"help": "Tokens that two windows of a long sentence share."})
    sambd_share: float | None = field(
        default=None,
        metadata={
            "help": "SamBD: leave out training sentences without an entity until they are this share; the study takes "
            "that of CoNLL-2003, 0.2072."
        },
    )
    sambd_draw: Literal["fixed", "fresh"] = field(
        default="fixed", metadata={"help": "Draw these sentences once, or anew for each epoch."}
    )

    def __post_init__(self) -> None:
        if self.sambd_share is not None and not 0 <= self.sambd_share < 1:
            raise ValueError(f"--sambd_share must be a share from 0 to below 1, got {self.sambd_share}")
        if not 0 <= self.tagger_dropout < 1:
            raise ValueError(f"--tagger_dropout must lie in [0, 1), got {self.tagger_dropout}")


@dataclass
class TaggerTraining:
    """How taggers are trained.

    Raises:
        ValueError: A value is out of range.
    """

    _argument_group_name = "Training"

    seeds: int = field(default=3, metadata={"help": "How many seeds, from --seed on."})
    seed: int = field(default=0, metadata={"help": "The first seed."})
    train_shares: list[float] = field(
        default_factory=lambda: [100.0],
        metadata={"help": "Per cent of the training sentences, nested: 1 5 10 25 50 100 gives a learning curve."},
    )
    epochs: float = field(default=4, metadata={"help": "Passes over the training sentences."})
    min_steps: int = field(
        default=100, metadata={"help": "With few sentences: pass over them more often, until so many steps are taken."}
    )
    evaluations: int = field(
        default=4, metadata={"help": "Scorings of the validation documents in a run; the best weights are kept."}
    )
    learning_rate: float = field(default=5e-5, metadata={"help": "Of the encoder."})
    head_learning_rate: float = field(default=1e-3, metadata={"help": "Of the linear layer."})
    crf_learning_rate: float = field(default=1e-2, metadata={"help": "Of the CRF's scores."})
    train_batch_size: int = field(default=16, metadata={"help": "Sentences a batch."})
    gradient_accumulation_steps: int = field(default=1, metadata={"help": "Batches a step."})
    eval_batch_size: int = field(default=32, metadata={"help": "Sentences a batch when tagging."})
    weight_decay: float = field(default=0.01, metadata={"help": "Of AdamW."})
    warmup: float = field(default=0.1, metadata={"help": "Share of the steps in which the rate rises."})
    max_grad_norm: float = field(default=1.0, metadata={"help": "Longest gradient."})
    keep_models: Literal["best", "all", "none"] = field(
        default="best",
        metadata={
            "help": "Models of the largest share to keep: that of the best validation F1 in model/, or all in models/."
        },
    )
    bf16: bool = field(default=False, metadata={"help": "bfloat16 autocast; for GPUs, and CPUs that have it."})
    use_cpu: bool = field(default=False, metadata={"help": "Leave a GPU alone."})

    def __post_init__(self) -> None:
        for name in ("seeds", "evaluations", "train_batch_size", "gradient_accumulation_steps", "eval_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is below 1")
        if self.epochs <= 0 or self.min_steps < 0:
            raise ValueError("--epochs must be above 0 and --min_steps not below")
        if not self.train_shares or not all(0 < share <= 100 for share in self.train_shares):
            raise ValueError("--train_shares are per cent, above 0 and at most 100")


@dataclass
class ScoredFiles:
    """What a trained tagger is scored on."""

    _argument_group_name = "Data"

    model: str = field(metadata={"positional": True, "help": "Folder of a trained tagger."})
    test_file: list[str] = field(metadata={"help": "Annotated text, as for training."})
    output: str | None = field(default=None, metadata={"help": "FILE.json for all scores."})
    batch_size: int = field(default=32, metadata={"help": "Sentences a batch."})


@dataclass
class PredictedFiles:
    """What a trained tagger reads, and where its entities go."""

    _argument_group_name = "Data"

    model: str = field(metadata={"positional": True, "help": "Folder of a trained tagger."})
    data: list[str] = field(
        metadata={"help": "Texts: a folder of .txt files, JSON lines, or CoNLL files (their words are kept)."}
    )
    output: str = field(
        metadata={"help": "A folder (BRAT stand-off), FILE.jsonl (spans with probabilities) or FILE.conll (tags)."}
    )
    overwrite: bool = field(default=False, metadata={"help": "Replace an existing output."})
    batch_size: int = field(default=32, metadata={"help": "Sentences a batch."})

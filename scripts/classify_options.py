"""Options of classify.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from column_options import DocumentColumns

ADAPTERS = ("lora", "dora", "ia3", "ln_tuning")
HYBRIDS = ("hybrid", "bagged_hybrid")
# Trained together with the encoder, and all that is trained by gradient descent, with chance of its own.
WITH_ENCODER = ("fine_tuned", *ADAPTERS)
TRAINED = ("mlp", *WITH_ENCODER)
DEFAULT_METHODS = ("logistic_regression", "hybrid")


def reads_embeddings(options: Mapping[str, Any]) -> bool:
    """Tell whether some of the options' methods read embeddings of the frozen encoder, which a cache can keep."""
    return bool(set(options.get("methods", DEFAULT_METHODS)) - set(WITH_ENCODER))


@dataclass(kw_only=True)
class ProtocolOptions(DocumentColumns):
    """What is compared, on which documents."""

    _argument_group_name = "Protocol"

    data: list[str] = field(metadata={"help": "Folder of prepare_notes.py, or files of notes with --split_column."})
    # Other scripts take several, and their option is what a message on a missing column names.
    label_column: str = field(metadata={"help": "Label to predict.", "aliases": ["--label_columns"]})
    output_dir: str = field(metadata={"help": "Folder of results; the same command goes on where it stopped."})
    models: list[str] = field(
        default_factory=list, metadata={"help": "NAME=CHECKPOINT, folder or Hub id; the first is the reference."}
    )
    methods: list[
        Literal[
            "logistic_regression",
            "knn",
            "hybrid",
            "bagged_regression",
            "bagged_hybrid",
            "mlp",
            "fine_tuned",
            "lora",
            "dora",
            "ia3",
            "ln_tuning",
        ]
    ] = field(
        default_factory=lambda: list(DEFAULT_METHODS),
        metadata={
            "help": "On frozen embeddings: logistic_regression, knn, hybrid (embedding beside TF-IDF), "
            "bagged_regression and bagged_hybrid (averaged over samples with as many documents of every class), mlp "
            "(the study's head). Trained with the encoder: fine_tuned (to the depths of --freeze), or few weights by "
            "peft: lora, dora, ia3 (factors of activations), ln_tuning (the layer norms)."
        },
    )
    freeze: list[str] = field(
        default_factory=lambda: ["none"],
        metadata={"help": "fine_tuned: frozen depths: none, embeddings, or a number of layers; each is a system."},
    )
    readings: list[Literal["windows", "attention", "head", "head_tail"]] = field(
        default_factory=lambda: ["windows"],
        metadata={
            "help": "How long documents are read: windows (mean), attention (learned weights of windows; trained "
            "methods), head, head_tail."
        },
    )
    shots: list[int] = field(
        default_factory=lambda: [0, 8, 16, 32, 64, 128, 200],
        metadata={"help": "Labelled training documents a class; 0 stands for all."},
    )
    seeds: int = field(default=5, metadata={"help": "Training samples drawn, and seeds of trained heads."})
    seed: int = field(default=0, metadata={"help": "First seed."})
    validation_share: float = field(
        default=0.1,
        metadata={"help": "Share of the training documents kept for validation where there is no such split."},
    )
    split_column: str | None = field(
        default=None, metadata={"help": "Column of train, validation or test, in files of notes."}
    )
    baselines: bool = field(
        default=True,
        metadata={
            "help": "In the table: majority class, TF-IDF, and the model that pretrain.py adapted, where it is found."
        },
    )
    window_length: int | None = field(
        default=None, metadata={"help": "Tokens in a window; the checkpoint's own length when not given."}
    )
    window_overlap: int = field(default=0, metadata={"help": "Tokens that a window shares with the one before."})
    max_windows: int | None = field(
        default=None, metadata={"help": "Most windows of a document when the encoder is trained; all when not given."}
    )
    batch_size: int = field(default=16, metadata={"help": "Documents encoded at a time."})
    embedding_cache: str | None = field(
        default=None,
        metadata={"help": "Folder where embeddings of frozen encoders are kept for other labels and studies."},
    )
    restart: bool = field(default=False, metadata={"help": "Delete earlier results in output_dir."})
    quiet: bool = field(default=False, metadata={"help": "No line for each cell."})

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError("--seeds is below 1; give at least 1")
        if min(self.shots) < 0:
            raise ValueError("--shots is below 0; give documents a class, or 0 for all")
        if not 0 < self.validation_share < 1:
            raise ValueError("--validation_share must lie between 0 and 1")
        if not self.models and not self.baselines:
            raise ValueError("nothing to compare: give --models, or leave the baselines in")
        if self.models and set(self.readings) == {"attention"} and not set(self.methods) & set(TRAINED):
            raise ValueError(f"--readings attention is learnt: add one of --methods {', '.join(TRAINED)}")
        for depth in self.freeze:
            if depth not in ("none", "embeddings") and not depth.isdecimal():
                raise ValueError(f"--freeze {depth} is no depth: give none, embeddings or a number of layers")
        self.shots = sorted(set(self.shots), key=lambda count: (count > 0, count))

    def sizes(self) -> list[int | None]:
        """Return the numbers of shots, None for all."""
        return [count or None for count in self.shots]


@dataclass
class TrainingOptions:
    """How heads and encoders are trained."""

    _argument_group_name = "Training of heads and encoders"

    epochs: int = field(default=10, metadata={"help": "fine_tuned and peft: passes over the training documents."})
    learning_rate: float = field(default=3e-5, metadata={"help": "fine_tuned: of the encoder."})
    lora_learning_rate: float = field(default=5e-4, metadata={"help": "lora, dora: of the matrices."})
    ia3_learning_rate: float = field(default=5e-3, metadata={"help": "ia3: of the factors."})
    ln_tuning_learning_rate: float = field(default=1e-3, metadata={"help": "ln_tuning: of the layer norms."})
    head_learning_rate: float = field(default=1e-3, metadata={"help": "Of the head, in all trained methods."})
    head_epochs: int = field(default=50, metadata={"help": "mlp: passes over the training documents."})
    head_batch_size: int = field(default=32, metadata={"help": "mlp: documents a step."})
    train_batch_size: int = field(default=16, metadata={"help": "fine_tuned and peft: documents a batch."})
    gradient_accumulation_steps: int = field(default=1, metadata={"help": "Batches a step."})
    weight_decay: float = field(default=0.01, metadata={"help": "Of AdamW."})
    warmup: float = field(default=0.1, metadata={"help": "Share of the steps in which the rate rises."})
    patience: int = field(default=5, metadata={"help": "Epochs without a better validation macro-F1 before it stops."})
    label_smoothing: float = field(default=0.0, metadata={"help": "Share of the target spread over all classes."})
    class_weights: Literal["none", "balanced"] = field(
        default="balanced", metadata={"help": "balanced: classes weighted by 1/documents."}
    )
    head: Literal["tanh", "linear"] = field(
        default="tanh", metadata={"help": "tanh: the study's (dropout, linear, tanh, dropout, linear); linear."}
    )
    head_dropout: float = field(default=0.1, metadata={"help": "Dropout of the head."})
    lora_rank: int = field(default=8, metadata={"help": "lora, dora: rank of the matrices."})
    bf16: bool = field(default=False, metadata={"help": "bfloat16 autocast; for GPUs, and CPUs that have it."})
    use_cpu: bool = field(default=False, metadata={"help": "Leave a GPU alone."})

    def __post_init__(self) -> None:
        for name in (
            "head_batch_size",
            "epochs",
            "head_epochs",
            "train_batch_size",
            "patience",
            "lora_rank",
            "gradient_accumulation_steps",
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is below 1")

"""Options of concept_transfer.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

CONTROLS = ("one_hot", "random")
LOGISTIC = ("logistic_max", "logistic_mean")


@dataclass(kw_only=True)
class TransferOptions:
    """Which sites, which protocols, how many encounters."""

    _argument_group_name = "Study"

    sources: list[str] = field(
        metadata={"help": "NAME=FILE[,FILE ...] or NAME=FOLDER of each site to learn from; see --encounter_format."}
    )
    target: str = field(metadata={"help": "The same of the site to move to."})
    target_test: str | None = field(
        default=None,
        metadata={
            "help": "FILE[,FILE ...] of the target's test encounters; --test_share of the target when not given."
        },
    )
    output_dir: str = field(metadata={"help": "Folder of results; the same command goes on where it stopped."})
    protocols: list[Literal["local", "direct", "tuned_head", "tuned_all", "pooled"]] = field(
        default_factory=lambda: ["local", "direct", "tuned_head", "tuned_all"],
        metadata={
            "help": "local: learn at the target; direct: learn at the source and change nothing; tuned_head, "
            "tuned_all: go on at the target with the last layer, or all weights; pooled: learn from both at once."
        },
    )
    target_sizes: list[int] = field(
        default_factory=lambda: [50, 200, 1000],
        metadata={"help": "Encounters of the target to learn from; 0 for all. Direct transfer takes none."},
    )
    seeds: int = field(default=5, metadata={"help": "Samples of the target, splits of the source and starts."})
    seed: int = field(default=0, metadata={"help": "First seed."})
    test_share: float = field(
        default=0.5, metadata={"help": "Share of the target for the test; 1 leaves direct transfer alone."}
    )
    validation_share: float = field(
        default=0.2, metadata={"help": "Share of what a classifier learns from that is kept for choices."}
    )
    vocabularies: list[Literal["full", "shared", "disjoint", "dealt", "renamed"]] = field(
        default_factory=lambda: ["full"],
        metadata={
            "help": "full; shared: codes that both sites use; disjoint: codes that the other site does not use; dealt: "
            "those, with the shared codes dealt out to the sites; renamed: --renamed_shares of the shared codes are "
            "local codes at the target."
        },
    )
    renamed_shares: list[float] = field(
        default_factory=lambda: [0.5], metadata={"help": "renamed: shares of the shared codes, each a vocabulary."}
    )
    renamed_names: Literal["stay", "synonyms", "codes"] = field(
        default="stay",
        metadata={"help": "renamed: the name stays, becomes that of --synonyms, or says no more than the new code."},
    )
    synonyms: str | None = field(default=None, metadata={"help": "renamed: file of names by old code."})
    bayes_network: str | None = field(
        default=None,
        metadata={"help": "XMLBIF network that the target was drawn from: the best possible score goes in the table."},
    )
    unsaid: Literal["missing", "absent"] = field(
        default="missing", metadata={"help": "bayes_network: what a finding is of which nothing is said."}
    )
    shared_patients: Literal["error", "distinct", "drop"] = field(
        default="error",
        metadata={
            "help": "Patient ids at both sites: stop; distinct: they coincide by accident; drop: the same people, who "
            "leave the source."
        },
    )
    restart: bool = field(default=False, metadata={"help": "Delete earlier results in output_dir."})
    quiet: bool = field(default=False, metadata={"help": "No line for each cell."})

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ValueError("--seeds is below 1; give at least 1")
        if self.seed < 0:
            raise ValueError("--seed is below 0; give 0 or more")
        if min(self.target_sizes) < 0:
            raise ValueError("--target_sizes is below 0; give encounters, or 0 for all")
        if not 0 < self.validation_share < 1:
            raise ValueError("--validation_share must lie between 0 and 1")
        if not 0 < self.test_share <= 1:
            raise ValueError("--test_share must lie above 0 and at most be 1")
        if self.target_test is None and self.test_share == 1 and set(self.protocols) - {"direct"}:
            raise ValueError("--test_share 1 leaves no target encounters to learn from; give --protocols direct")
        if not all(0 <= share <= 1 for share in self.renamed_shares):
            raise ValueError("--renamed_shares must lie between 0 and 1")
        if self.renamed_names == "synonyms" and self.synonyms is None:
            raise ValueError("--renamed_names synonyms needs a file of --synonyms")
        self.protocols = list(dict.fromkeys(self.protocols))
        self.target_sizes = sorted(set(self.target_sizes), key=lambda size: (size == 0, size))

    def sizes(self) -> list[int | None]:
        """Return the numbers of target encounters, None for all."""
        return [size or None for size in self.target_sizes]

    def overlaps(self) -> list[str]:
        """Return the vocabularies, each share of renamed codes one of its own."""
        found = []
        for name in dict.fromkeys(self.vocabularies):
            shares = sorted(set(self.renamed_shares)) if name == "renamed" else []
            found += [f"renamed_{share:g}" for share in shares] or [name]
        return found


@dataclass(kw_only=True)
class ConceptOptions:
    """How concepts become vectors."""

    _argument_group_name = "Concept vectors"

    embeddings: list[str] = field(
        default_factory=list,
        metadata={"help": "NAME=CHECKPOINT of text encoders; one_hot and random are there as controls in any case."},
    )
    settings: list[Literal["scaled", "raw", "published"]] = field(
        default_factory=lambda: ["scaled"],
        metadata={
            "help": "scaled: vectors as --centre and --norm say; raw: as the encoder gives them; published: raw, and "
            "trained as in the study (SGD at 0.001, tuned at 0.01, batches of 32, 50 epochs of 100 steps)."
        },
    )
    centre: bool = field(default=True, metadata={"help": "scaled: take the mean over the source's concepts away."})
    norm: float | None = field(default=10.0, metadata={"help": "scaled: length of every vector; none keeps their own."})
    template: str = field(default="{name}", metadata={"help": "Text of a concept that is present."})
    negation: str = field(default="Not {name}", metadata={"help": "Text of a concept that is absent."})
    level: str = field(default="{state} {name}", metadata={"help": "Text of a concept at a level, such as high."})
    random_size: int = field(default=384, metadata={"help": "Length of random vectors."})
    embedding_cache: str | None = field(
        default=None, metadata={"help": "Folder where embeddings of concepts are kept for other studies."}
    )

    def __post_init__(self) -> None:
        if self.norm is not None and not self.norm > 0:
            raise ValueError("--norm must be above 0")
        if self.random_size < 1:
            raise ValueError("--random_size is below 1")
        self.embeddings = [name for name in dict.fromkeys(self.embeddings) if name not in CONTROLS]
        for name in CONTROLS:
            if any(entry.startswith(f"{name}=") for entry in self.embeddings):
                raise ValueError(f"--embeddings {name} is the name of a control; give the encoder another")


@dataclass
class FitOptions:
    """How classifiers are trained."""

    _argument_group_name = "Classifiers"

    classifiers: list[Literal["set_max", "set_mean", "set_attention", "logistic_max", "logistic_mean"]] = field(
        default_factory=lambda: ["set_max", "logistic_max"],
        metadata={
            "help": "set_max: the study's (linear map, ReLU, maximum over concepts, dropout, linear); set_mean, "
            "set_attention: other poolings; logistic_max, logistic_mean: logistic regression on the pooled vectors "
            "(local, direct and pooled only)."
        },
    )
    learning_rates: list[float] = field(
        default_factory=lambda: [1e-3, 3e-3, 1e-2], metadata={"help": "The best on validation encounters is taken."}
    )
    tuning_learning_rates: list[float] = field(
        default_factory=lambda: [1e-4, 1e-3, 1e-2], metadata={"help": "The same of tuning."}
    )
    choose_rate: Literal["per_seed", "once"] = field(
        default="per_seed",
        metadata={"help": "The rate is chosen anew for each seed, or with the first seed for all of them."},
    )
    penalties: list[float] = field(
        default_factory=lambda: [1.0, 10.0, 100.0, 1000.0],
        metadata={"help": "Inverse penalties of logistic regression."},
    )
    epochs: int = field(default=30, metadata={"help": "Most passes over the encounters."})
    tuning_epochs: int = field(default=20, metadata={"help": "Of tuning; all are run, and the best is taken."})
    batch_size: int = field(default=512, metadata={"help": "Encounters in a step."})
    least_steps: int = field(default=10, metadata={"help": "Steps in an epoch at least, however few encounters."})
    patience: int = field(default=5, metadata={"help": "Epochs without a better validation AUROC before it stops."})
    weight_decay: float = field(default=1e-3, metadata={"help": "Of AdamW."})
    filters: int = field(default=100, metadata={"help": "Outputs of the shared map."})
    dropout: float = field(default=0.5, metadata={"help": "Before the last layer."})

    def __post_init__(self) -> None:
        for name in ("epochs", "tuning_epochs", "batch_size", "least_steps", "patience", "filters"):
            if getattr(self, name) < 1:
                raise ValueError(f"--{name} is below 1")
        for name in ("learning_rates", "tuning_learning_rates", "penalties"):
            values = getattr(self, name)
            if not values or min(values) <= 0:
                raise ValueError(f"--{name} must be above 0")
            setattr(self, name, sorted(set(values)))
        if not 0 <= self.dropout < 1:
            raise ValueError("--dropout must be at least 0 and below 1")
        self.classifiers = list(dict.fromkeys(self.classifiers))

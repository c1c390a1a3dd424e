"""Options of audit_privacy.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from column_options import DocumentColumns

ATTACKS = ("membership", "canaries", "identifiers", "embeddings")


@dataclass(kw_only=True)
class AuditOptions(DocumentColumns):
    """What to audit, and against what."""

    _argument_group_name = "Audit"

    model: str = field(metadata={"help": "Checkpoint folder or Hub id.", "positional": True})
    members: list[str] = field(metadata={"help": "Notes that the model was trained on: prepared folder or files."})
    nonmembers: list[str] = field(
        metadata={"help": "Notes of the same kind, of other patients, that it was not trained on."}
    )
    reference: str | None = field(
        default=None,
        metadata={"help": "The checkpoint that the model was adapted from: makes attacks stronger and fairer."},
    )
    members_split: list[str] | None = field(
        default=None, metadata={"help": "Splits of the members; train by default where there are several."}
    )
    nonmembers_split: list[str] | None = field(
        default=None, metadata={"help": "Splits of the others; all but train by default where there are several."}
    )
    patient_column: str | None = field(
        default=None, metadata={"help": "Column of the patient's id; patient_id where there is one."}
    )
    canaries: str | None = field(
        default=None,
        metadata={"help": "canaries.json of prepare_notes.py --canaries; that in the members' folder by default."},
    )
    attacks: list[Literal["membership", "canaries", "identifiers", "embeddings"]] | None = field(
        default=None, metadata={"help": "Which parts to run; by default all that the checkpoint allows."}
    )
    output: str | None = field(
        default=None, metadata={"help": "Folder for privacy_audit.json and the figure; the model's by default."}
    )
    figure: bool = field(default=True, metadata={"help": "Draw privacy_audit.png and .svg."})
    quiet: bool = field(default=False, metadata={"help": "Print the verdict only."})


@dataclass
class AttackOptions:
    """How attacks are made."""

    _argument_group_name = "Attacks"

    folds: int = field(default=7, metadata={"help": "Each token is hidden once, with one in so many of the others."})
    max_windows: int = field(default=4, metadata={"help": "Windows of a document to score; 0 for all."})
    max_documents: int = field(default=5_000, metadata={"help": "Documents drawn of each side; 0 for all."})
    canary_candidates: int = field(
        default=1_000,
        metadata={"help": "Other numbers scored for each canary; all where there are no more, for an exact rank."},
    )
    max_identifiers: int = field(default=2_000, metadata={"help": "Identifiers drawn of each side."})
    identifier_context: int = field(default=128, metadata={"help": "Tokens around an identifier that the model sees."})
    resamples: int = field(default=1_000, metadata={"help": "Bootstrap resamples of an interval."})
    seed: int = field(default=0, metadata={"help": "Of masks, draws and resamples."})
    max_length: int | None = field(
        default=None, metadata={"help": "Tokens in a window; what the models can read by default, at most 512."}
    )
    batch_size: int = field(default=32, metadata={"help": "Windows of full length in a batch."})
    dtype: Literal["float32", "bfloat16", "float16"] | None = field(
        default=None, metadata={"help": "bfloat16 and float16 compute under autocast."}
    )
    device: str | None = field(default=None, metadata={"help": "cpu, cuda, ...; a GPU if there is one by default."})

    def __post_init__(self) -> None:
        for name, least in (
            ("folds", 2), ("max_windows", 0), ("max_documents", 0), ("canary_candidates", 20), ("max_identifiers", 1),
            ("identifier_context", 8), ("resamples", 100), ("batch_size", 1), ("seed", 0),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise ValueError(f"--{name} is below {least}; give {least} or more")

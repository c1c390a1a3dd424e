"""Which files of a checkpoint folder may be published: those of a list, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from corpora.errors import InputError
from model_cards.findings import Finding

ALLOWED = (
    # The card and its company
    "README.md",
    "LICENSE*",
    "NOTICE*",
    "CITATION.cff",
    # Weights (safetensors only) and configuration
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "model-?????-of-?????.safetensors",
    "model.safetensors.index.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    # Tokenizer
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    # sentence-transformers
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "[0-9]_*/config.json",
    "[0-9]_*/model.safetensors",
    "[0-9]_*/model.safetensors.index.json",
    # Exports for other run times
    "onnx/*.onnx",
    "onnx/*.onnx.data",
    "onnx/*.onnx_data",
    "onnx/*.json",
    "openvino/openvino_model.xml",
    "openvino/openvino_model.bin",
    # What was measured
    "privacy_audit.json",
    "privacy_audit.png",
    "privacy_audit.svg",
    "results/*.json",
    "figures/*.png",
    "figures/*.svg",
    "figures/*.jpg",
    "figures/*.jpeg",
)
"""Patterns relative to the folder; `*` stays within one folder."""

STAYS_BEHIND = (
    "checkpoint-*/**",
    "runs/**",
    "tokenizer/**",
    "run_settings.json",
    # Exact counts of small categories; the card tells the rest.
    "training_summary.json",
    "category_heads/**",
    "emissions.csv",
    "card_facts.json",
    ".cache/**",
    ".git/**",
    ".gitattributes",
)
"""What training leaves in its own places. It is never published, and does not stop a publication."""

_FORBIDDEN = (
    (("optimizer*", "scheduler*", "scaler*", "rng_state*", "trainer_state.json"), "state of the optimizer"),
    (("events.out.tfevents*", "*.log", "*.out", "*.wandb"), "a log"),
    (("training_args.bin", "*.pkl", "*.pickle", "*.pt", "*.pth", "*.bin", "*.ckpt", "*.joblib", "*.npy", "*.npz"),
     "a pickle or raw tensors, which can hold anything"),
    (("*.csv", "*.tsv", "*.jsonl", "*.ndjson", "*.parquet", "*.arrow", "*.feather", "*.xls*", "*.gz", "*.zip", "*.tar",
      "*.db", "*.sqlite", "*.ids.txt"), "a dataset"),
    (("*.py", "*.ipynb"), "code, which no loader of ours needs"),
)  # fmt: skip


@dataclass
class FolderFiles:
    """The files of a folder, sorted by what may happen to them.

    Args:
        allowed: Files that may be published, relative to the folder, sorted.
        left_behind: Files that training left in its own places, or that the user leaves out.
        findings: Files that should not be in a folder to publish.
    """

    allowed: list[Path] = field(default_factory=list)
    left_behind: list[Path] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def allowed_files(folder: Path, leave_out: Sequence[str] = ()) -> list[Path]:
    """Return the files of a folder that may be published, relative to it and sorted.

    Args:
        folder: A checkpoint folder.
        leave_out: Patterns of files that stay behind too.
    """
    return sort_files(folder, leave_out).allowed


def sort_files(folder: Path, leave_out: Sequence[str] = ()) -> FolderFiles:
    """Sort all files of a folder into those to publish, those to leave behind and those that are a fault.

    Args:
        folder: A checkpoint folder.
        leave_out: Patterns of files that stay behind too, for example `notes/*`; `NAME/**` is a whole subfolder.

    Raises:
        InputError: It is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("is not a folder", file=folder, remedy="give the checkpoint folder to publish")
    root, found = folder.resolve(), FolderFiles()
    for place, subfolders, names in os.walk(folder):
        # A link to a folder is listed with the folders and not entered.
        links = [name for name in subfolders if (Path(place) / name).is_symlink()]
        for name in sorted([*names, *links]):
            path = Path(place) / name
            relative = path.relative_to(folder)
            if _matches(relative, (*STAYS_BEHIND, *leave_out)):
                found.left_behind.append(relative)
            elif path.is_symlink() and (not path.is_file() or not path.resolve().is_relative_to(root)):
                remedy = "replace links by copies (`cp -rL`)"
                found.findings.append(Finding(relative.as_posix(), "a link out of the folder", remedy=remedy))
            elif not path.is_file():
                found.findings.append(Finding(relative.as_posix(), "not a plain file", remedy="take it out"))
            elif _matches(relative, ALLOWED):
                found.allowed.append(relative)
            else:
                remedy = "move it out of the folder, or name it in --leave_out"
                found.findings.append(Finding(relative.as_posix(), _kind(relative), remedy=remedy))
    found.allowed.sort()
    found.left_behind.sort()
    found.findings.sort(key=lambda finding: finding.file)
    return found


def is_publishable_name(name: str) -> bool:
    """Tell whether a path within a repository is one that a publication of ours may have put there."""
    return _matches(PurePosixPath(name), ALLOWED)


def _kind(relative: Path) -> str:
    name = relative.name.lower()
    for patterns, kind in _FORBIDDEN:
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            return kind
    return "not on the list of files to publish"


def _matches(relative: PurePosixPath, patterns: Sequence[str]) -> bool:
    return any(_match(relative, pattern) for pattern in patterns)


def _match(relative: PurePosixPath, pattern: str) -> bool:
    parts, wanted = relative.parts, PurePosixPath(pattern).parts
    if wanted[-1] == "**":
        wanted = wanted[:-1]
        parts = parts[: len(wanted)] if len(parts) > len(wanted) else ()
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))

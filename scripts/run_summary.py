"""What a model card and a report need to know of a training run, `training_summary.json`."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.json_files import read_json
from modeling.checkpoint_folder import HUB_ID
from pretrain_options import ModelOptions
from run_folder import SUMMARY

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from trainers.base import AdaptationTrainer

SCHEMA_VERSION = 1
PREPARATION = "preparation.json"
LOGGED = ("loss", "eval_loss")


def run_summary(
    objective: str,
    model: ModelOptions,
    trainer: AdaptationTrainer,
    counts: Mapping[str, Any],
    corpus: Mapping[str, Any],
    metrics: Mapping[str, float],
    seconds: float,
) -> dict[str, Any]:
    """Return the summary of a run, or of a checkpoint of it.

    Args:
        objective: Its name.
        model: Which model it started from.
        trainer: The trainer.
        counts: Of documents, by split.
        corpus: From `corpus_facts`.
        metrics: Of the training and the evaluation.
        seconds: Time it took, earlier parts of an interrupted run included.
    """
    training = trainer.args
    return {
        "schema_version": SCHEMA_VERSION,
        "objective": objective,
        **base_facts(model.model_name_or_path),
        "model_type": trainer.model.config.model_type,
        "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
        "documents": dict(counts),
        "corpus": dict(corpus),
        "steps": trainer.state.global_step,
        # A stream counts no epochs: the Trainer calls all steps together one.
        "epochs": None if any("streamed" in one for one in counts.values()) else trainer.state.epoch,
        # Counted by the Trainer with --include_num_input_tokens_seen, which costs a message between processes a step.
        "tokens_read": trainer.state.num_input_tokens_seen or None,
        "metrics": dict(metrics),
        "losses": losses(trainer.state.log_history),
        "settings": {
            name: value
            for name, value in {**asdict(model), **training.to_dict()}.items()
            if name in ModelOptions.__dataclass_fields__ or name in type(training).__dataclass_fields__
            if not name.endswith(("_dir", "_path", "_token", "tokenizer_name"))
        },
        "processes": training.world_size,
        "device": device_name(training.use_cpu),
        "versions": library_versions(),
        "seconds": round(seconds, 1),
    }


def base_facts(base: str | None) -> dict[str, Any]:
    """Return name and Hub id of the model that a run started from, and its own trainings; never a path."""
    return {
        "base_model": Path(base).name if base else None,
        "base_model_id": base if base and not Path(base).is_dir() and HUB_ID.fullmatch(base) else None,
        "earlier_trainings": earlier_trainings(base),
    }


def library_versions() -> dict[str, str]:
    """Return the versions of Python, of this library and of those that it stands on."""
    names = ("notespace", "torch", "transformers", "sentence-transformers", "accelerate", "datasets")
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}


def device_name(use_cpu: bool) -> str:
    """Return the name of the GPU, or `cpu`."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() and not use_cpu else "cpu"


def losses(history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return the losses and accuracies of the log, one entry a step; without times, and without what is no number.

    Where there were evaluations, their steps alone, each with the training loss logged last before it.
    """
    evaluated = {entry["step"] for entry in history if "eval_loss" in entry}
    found: dict[int, dict[str, float]] = {}
    logged: dict[str, float] = {}
    for entry in history:
        if not any(name in entry for name in LOGGED):
            continue
        values = {
            name: round(value, 6)
            for name, value in entry.items()
            if name == "loss" or name.endswith(("_loss", "_accuracy"))
            if isinstance(value, (int, float)) and math.isfinite(value)
        }
        if "loss" in entry:
            logged = values
        if "loss" not in entry or not evaluated or entry["step"] in evaluated:
            # The evaluation of the finished model is one more at the last step; the first counts.
            found[entry["step"]] = {"step": entry["step"], **logged, **values, **found.get(entry["step"], {})}
    return [found[step] for step in sorted(found)]


def with_tokens(counts: Mapping[str, Mapping[str, Any]], tokenized: Mapping[str, Dataset]) -> dict[str, Any]:
    """Add the number of tokens of what is trained on, special tokens of rows included, to the counts of a split.

    A stream is not read for it.
    """
    from corpora.loading import sum_column

    return {
        name: numbers if "streamed" in numbers else {**numbers, "tokens": sum_column(tokenized[name], "length")}
        for name, numbers in counts.items()
    }


def corpus_facts(corpus: DatasetDict, files: list[str]) -> dict[str, Any]:
    """Return documents, patients and categories of each split, and what preparation did; no ids, no text.

    Args:
        corpus: Columns `patient_id` and `note_category` are counted where there are such.
        files: Where it was read from.
    """
    from corpora.category_columns import shown_counts, shown_names
    from corpora.loading import count_values, distinct_values, release_columns

    categories = {name: count_values(split, "note_category") for name, split in corpus.items()}
    # The summary is published with the model: values of a column that holds text do not go into it.
    shown = shown_names(sum(map(Counter, categories.values()), Counter()))
    facts: dict[str, Any] = {"splits": {}, "preparation": None}
    for name, split in corpus.items():
        patients = distinct_values(split, "patient_id")
        facts["splits"][name] = {
            "documents": len(split),
            "patients": None if patients is None else len(patients),
            "categories": shown_counts(categories[name], shown),
        }
        del patients
    release_columns()
    report = Path(files[0]) / PREPARATION
    if len(files) == 1 and report.is_file():
        content = json.loads(report.read_text(encoding="utf-8"))
        facts["preparation"] = {
            **{name: content[name] for name in ("documents_read", "documents_kept", "dropped")},
            "deid_placeholders": content["cleaned"].get("deid_placeholders", 0),
            "near_duplicates": content["near_duplicates"]["documents"],
        }
    return facts


def earlier_trainings(base: str | None) -> list[dict[str, Any]]:
    """Return what a base model of ours was trained for, the latest first; empty for others."""
    summary = _read_summary(Path(base)) if base else {}
    if not summary:
        return []
    this = {name: summary.get(name) for name in ("objective", "base_model", "steps")}
    if (summary.get("settings") or {}).get("train_tokenizer"):
        this["train_tokenizer"] = True  # its vocabulary goes on into every later stage
    return [this, *(summary.get("earlier_trainings") or [])]


def seconds_before(checkpoint: Path | None) -> float:
    """Return how long the run took up to a checkpoint; 0 without one."""
    return float(_read_summary(checkpoint).get("seconds", 0)) if checkpoint is not None else 0.0


def _read_summary(folder: Path) -> dict[str, Any]:
    return read_json(folder / SUMMARY) or {}

"""What a card shows of a training: fields of `training_summary.json`, of `emissions.csv` and of the configuration.

Nothing is passed on as it is: each fact is named here, so that no path or secret in a file of settings reaches a card.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.json_files import read_fields
from model_cards.card_files import EMISSIONS
from model_cards.markdown import one_line, short_name

CLASSIFIER, TAGGER = "note_classifier", "token_tagger"
SMALL_GROUP = 5  # documents; smaller categories are not named, for they could point at a person
MOST_CATEGORIES = 30
MOST_LOSS_ROWS = 10
ROOM_NAMES = {"declutr": "DeCLUTR", "mlm": "masked language modelling", "note_category": "note category"}


def read_model(folder: Path) -> dict[str, Any]:
    """Return what the configuration says of the model in a folder.

    Returns:
        `model_type`, `architecture`, `hidden` and `window` (None where unknown), `pooling`, the number of `classes`
        (None unless it is a `NoteClassifier`), of a `TokenTagger` its `tagger` (`types`, `scheme`, `crf`, `window`;
        None of others), and whether it has `sentence_transformers` files and `category_heads`.

    Raises:
        InputError: A file is no JSON.
    """
    remedy = "copy the checkpoint again"
    files = {
        name: read_fields(folder / name, remedy) if (folder / name).is_file() else {}
        for name in ("config.json", "sentence_bert_config.json", "1_Pooling/config.json")
    }
    config, sentence, pooling = files.values()
    # A `NoteClassifier` and a `TokenTagger` have the configuration of their encoder within their own.
    kind = config.get("model_type")
    encoder = config.get("encoder") if kind in (CLASSIFIER, TAGGER) else None
    modes = [name for name in ("mean_tokens", "cls_token", "max_tokens") if pooling.get(f"pooling_mode_{name}")]
    return {
        "model_type": (encoder or config).get("model_type"),
        "classes": len(config.get("id2label") or ()) or 2 if kind == CLASSIFIER else None,
        "tagger": _tagger(config) if kind == TAGGER else None,
        "architecture": next(iter(config.get("architectures") or ()), None),
        "hidden": config.get("hidden_size") or config.get("dim"),
        "window": sentence.get("max_seq_length"),
        "pooling": modes[0].split("_")[0] if len(modes) == 1 else "mean",
        "sentence_transformers": (folder / "modules.json").is_file(),
        "category_heads": (folder / "category_heads").is_dir(),
    }


def _tagger(config: Mapping[str, Any]) -> dict[str, Any]:
    tags = (config.get("id2label") or {}).values()
    return {
        "types": sorted({tag.partition("-")[2] for tag in tags if tag != "O"}),
        "scheme": config.get("scheme"),
        "crf": bool(config.get("use_crf")),
        "window": config.get("window_length"),
    }


def read_energy(folder: Path) -> dict[str, float] | None:
    """Return `kilowatt_hours` and `kilograms` of CO2 equivalents that codecarbon recorded; None without its file.

    Its other columns (place, machine) are left where they are.

    Raises:
        InputError: The file is not one of codecarbon.
    """
    file = folder / EMISSIONS
    if not file.is_file():
        return None
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        energy = {
            "kilowatt_hours": math.fsum(float(row["energy_consumed"]) for row in rows),
            "kilograms": math.fsum(float(row["emissions"]) for row in rows),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("is not a file of codecarbon", file=file, remedy="remove it") from error
    return energy if rows and all(map(math.isfinite, energy.values())) else None


def objective_words(training: Mapping[str, Any]) -> str:
    """Return the objective of a training in words."""
    settings = training.get("settings") or {}
    name = training.get("objective")
    parts = {
        "mlm": ["masked language modelling"],
        "declutr": ["DeCLUTR (contrastive learning on spans of the same document)"],
        "note_category": ["prediction of document metadata"],
        "tagging": ["tagging of entities"],
    }.get(name, [short_name(name) if name else "an objective that is not recorded"])
    if name != "mlm" and settings.get("mlm_weight"):
        parts.append("masked language modelling")
    if name == "declutr" and training.get("categories"):
        parts.append("prediction of document metadata")
    return " with ".join([parts[0], " and ".join(parts[1:])]) if parts[1:] else parts[0]


def category_rows(counts: Mapping[str, int], smallest: int = SMALL_GROUP) -> list[tuple[str, int]]:
    """Return categories with their numbers of documents, the largest first; small ones stand together without names.

    Args:
        counts: Documents of each category.
        smallest: Fewest documents of a category that is named.
    """
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    named = [(short_name(name, 40) or "(blank)", count) for name, count in ranked if count >= smallest]
    rest = [count for _, count in ranked if count < smallest] + [count for _, count in named[MOST_CATEGORIES:]]
    return [*named[:MOST_CATEGORIES], *([(f"{len(rest)} other categories", sum(rest))] if rest else [])]


def loss_rows(history: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return at most ten entries of the history, evenly spaced, the first and the last among them."""
    if len(history) <= MOST_LOSS_ROWS:
        return history
    step = (len(history) - 1) / (MOST_LOSS_ROWS - 1)
    return [history[round(place * step)] for place in range(MOST_LOSS_ROWS)]


def duration(seconds: float) -> str:
    """Return a duration in words."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def base_words(training: Mapping[str, Any]) -> str:
    """Return what the training started from, with the trainings before it."""
    settings = training.get("settings") or {}
    base = training.get("base_model")
    if base is None:
        tokenizer = ", with a tokenizer trained on the same notes" if settings.get("train_tokenizer") else ""
        return f"nothing: a {one_line(training.get('model_type') or 'new')} encoder from scratch{tokenizer}"
    before = [
        f"{ROOM_NAMES.get(step.get('objective'), 'training')}, {step.get('steps') or 0:,} steps"
        + (f", from {short_name(step['base_model'])}" if step.get("base_model") else ", from scratch")
        for step in training.get("earlier_trainings") or ()
    ]
    return short_name(base) + (f" (itself made by {'; before that by '.join(before)})" if before else "")

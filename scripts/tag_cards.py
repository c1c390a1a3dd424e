"""What stands beside a kept tagger: `training_summary.json`, and its card with the results of its study."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from run_summary import SCHEMA_VERSION, base_facts, device_name, library_versions

if TYPE_CHECKING:
    from modeling.tagger import TokenTagger
    from tag_training import TaggingSystem

# What people said of a model, which holds for the next one that takes its place.
KEPT = ("README.md", "card_facts.json", "figures")


def tagger_summary(
    system: TaggingSystem, model: TokenTagger, cell: Mapping[str, Any], scored: str, epochs: float
) -> dict[str, Any]:
    """Return what a card needs to know of a tagger's training; no text, no path.

    Args:
        system: What was trained.
        model: The tagger.
        cell: Its entry of `results.json`.
        scored: The split that it was scored on.
        epochs: Passes over the training sentences.
    """
    training, splits = system.training, system.corpus.report["splits"]
    options = {**asdict(system.model), **asdict(system.tagger), **asdict(training)}
    left_out = ("system", "seeds", "train_shares", "keep_models", "eval_batch_size", "use_cpu", "warmup", "epochs")
    return {
        "schema_version": SCHEMA_VERSION,
        "objective": "tagging",
        **base_facts(system.model.model_name_or_path),
        "model_type": model.encoder.config.model_type,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "documents": {
            split: {
                "documents": counts["documents"],
                "sentences": counts["sentences"],
                "words": counts["tokens"],
                "entities": sum(counts["entities"].values()),
            }
            for split, counts in splits.items()
        },
        "steps": cell["steps"],
        "epochs": epochs,
        "run": {
            **{name: cell[name] for name in ("share", "training_sentences", "trained_parameters", "collapse")},
            **{name: cell[name] for name in ("validation_f1_micro", "best_epoch", "down_sampling") if name in cell},
            "split": scored,
            "f1_micro": cell["metrics"]["f1_micro"],
        },
        "settings": {
            **{
                name: value
                for name, value in options.items()
                if name not in left_out and not name.endswith(("_dir", "_path", "_token", "tokenizer_name"))
            },
            "sambd_draw": None if system.tagger.sambd_share is None else system.tagger.sambd_draw,
            "crf_learning_rate": training.crf_learning_rate if system.tagger.crf else None,
            "per_device_train_batch_size": training.train_batch_size,
            "lr_scheduler_type": "linear",
            "seed": cell["seed"],
        },
        "processes": 1,
        "device": device_name(training.use_cpu),
        "versions": library_versions(),
        "seconds": cell["seconds"],
    }


def kept_models(study: Path) -> list[Path]:
    """Return the folders of the taggers that a study kept."""
    return [folder for folder in (study / "model", *sorted((study / "models").glob("seed-*"))) if folder.is_dir()]


def keep_words(earlier: Path, later: Path) -> None:
    """Copy what people wrote into the card of a tagger to the one that takes its place."""
    for name in KEPT:
        if (earlier / name).is_dir():
            shutil.copytree(earlier / name, later / name, dirs_exist_ok=True)
        elif (earlier / name).is_file():
            shutil.copyfile(earlier / name, later / name)


def write_cards(study: Path, system: str) -> list[Path]:
    """Write the cards of the taggers that a study kept, with its results.

    Args:
        study: Its folder, with `results.json`.
        system: What the taggers are called there.

    Returns:
        The cards.

    Raises:
        InputError: A card of another hand lies there.
    """
    from model_cards.card_facts import CardFacts
    from model_cards.render import write_card

    return [write_card(folder, CardFacts(result_name=system), [study]) for folder in kept_models(study)]

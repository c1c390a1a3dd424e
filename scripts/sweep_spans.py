"""Which spans should DeCLUTR learn from? Every combination of anchors, positives, lengths and strategies, one figure.

    python scripts/sweep_spans.py --notes notes.jsonl --label_columns specialty --base BASE --output_dir SWEEP

Each combination trains for the same number of tokens and seeds, and a frozen probe classifies with few labels and with
all. It is a study of run_study.py, whose recipe is written to SWEEP/sweep.yaml: restartable, with a report in
SWEEP/report.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

import run_study
from column_options import DocumentColumns
from command_line import RecipeParser, run
from corpora.errors import InputError
from study_recipe import PREPARED
from study_runner import refuse_foreign_folder

RECIPE = "sweep.yaml"


@dataclass(kw_only=True)
class SweepOptions(DocumentColumns):
    """What is swept, on which notes."""

    _argument_group_name = "Sweep"

    notes: list[str] = field(
        metadata={"help": "Files of notes, or one folder of prepare_notes.py, which has all its options."}
    )
    label_columns: list[str] = field(metadata={"help": "Labels that the frozen probe predicts."})
    patient_column: str | None = field(
        default=None, metadata={"help": "Column of the patient's id; patient_id by default, where there is one."}
    )
    base: str = field(metadata={"help": "Checkpoint folder or Hub id that every run starts from."})
    output_dir: str = field(metadata={"help": "Folder for runs and report; the same command goes on where it stopped."})
    num_anchors: list[int] = field(default_factory=lambda: [1, 2], metadata={"help": "Anchor spans a document."})
    num_positives: list[int] = field(default_factory=lambda: [1, 2], metadata={"help": "Positive spans an anchor."})
    min_span_length: list[int] = field(default_factory=lambda: [16], metadata={"help": "Shortest span in tokens."})
    max_span_length: list[int] = field(default_factory=lambda: [32, 96], metadata={"help": "Longest span in tokens."})
    positive_strategy: list[Literal["overlapping", "disjoint", "both"]] = field(
        default_factory=lambda: ["overlapping", "disjoint", "both"],
        metadata={"help": "Where positives lie to their anchor; both: half and half."},
    )
    temperature: list[float] = field(default_factory=lambda: [0.05], metadata={"help": "Of the contrastive loss."})
    mlm_weight: list[float] = field(default_factory=lambda: [0.0], metadata={"help": "Of masked LM beside it."})
    training_seeds: int = field(default=3, metadata={"help": "Runs of each combination."})
    train_tokens: int = field(default=300_000, metadata={"help": "Tokens that every run reads."})
    learning_rate: float = field(default=2e-5, metadata={"help": "Of every run."})
    batch_size: int = field(default=32, metadata={"help": "Documents a step."})
    shots: list[int] = field(
        default_factory=lambda: [8, 0], metadata={"help": "Labelled documents a class of the probe; 0 for all."}
    )
    samples: int = field(default=3, metadata={"help": "Samples of labelled documents a size."})
    reading: Literal["windows", "head"] = field(
        default="windows",
        metadata={"help": "What the probe reads: windows of the whole document, or its head: the first window."},
    )
    window_length: int | None = field(default=None, metadata={"help": "Tokens in a window of the probe's reading."})
    min_class_documents: int = field(default=2, metadata={"help": "Rarer classes are left out."})
    sample_share: float = field(
        default=1.0,
        metadata={"help": "Share of the patients to take, where the notes are files; see prepare_notes.py."},
    )
    jobs: int = field(default=1, metadata={"help": "Steps at work at the same time; see run_study.py."})
    dry_run: bool = field(default=False, metadata={"help": "Print the steps with their estimated times and stop."})

    def __post_init__(self) -> None:
        if min(self.training_seeds, self.samples) < 1:
            raise ValueError("--training_seeds and --samples are at least 1")


def recipe(options: SweepOptions) -> dict[str, Any]:
    """Return the study that a sweep is."""
    grid = {
        "num_anchors": options.num_anchors,
        "num_positives": options.num_positives,
        "min_span_length": options.min_span_length,
        "max_span_length": options.max_span_length,
        "positive_strategy": [
            ["overlapping", "disjoint"] if name == "both" else [name] for name in options.positive_strategy
        ],
        "temperature": options.temperature,
        "mlm_weight": options.mlm_weight,
        "seed": list(range(options.training_seeds)),
    }
    training = {
        "objective": "declutr",
        "learning_rate": options.learning_rate,
        "weight_decay": 0.01,
        "warmup_steps": 0.1,
        "per_device_train_batch_size": options.batch_size,
        "save_strategy": "no",
        "model_card": False,
    }
    probe = {
        "methods": ["logistic_regression"],
        "shots": options.shots,
        "seeds": options.samples,
        "min_class_documents": options.min_class_documents,
    }
    if options.reading != "windows":
        probe["readings"] = [options.reading]
    if options.window_length is not None:
        probe["window_length"] = options.window_length
    prepare = {"input_files": options.notes}
    for column in fields(SweepOptions):
        if column.name.endswith("_column") and getattr(options, column.name) != column.default:
            prepare[column.name] = getattr(options, column.name)
    if options.sample_share != 1:
        prepare["sample_share"] = options.sample_share
    return {
        "token_budget": options.train_tokens,
        "corpora": {"notes": {"labels": options.label_columns, "prepare": prepare}},
        "base": {"checkpoint": options.base},
        "sweep": {"spans": {"options": training, "grid": grid}},
        "classify": {"frozen": probe},
    }


def main(argv: list[str] | None = None) -> int:
    """Write the recipe and run it."""
    (options,) = RecipeParser([SweepOptions], description=" ".join(__doc__.split("\n\n")[0].split())).parse(argv)
    output = Path(options.output_dir)
    refuse_foreign_folder(output, output / RECIPE)
    prepared = [folder for folder in options.notes if (Path(folder) / PREPARED).is_file()]
    if prepared and options.sample_share != 1:
        raise InputError(
            "a sample is drawn when notes are prepared, and these are",
            file=prepared[0],
            remedy="give the files of notes, or leave out --sample_share",
        )
    output.mkdir(parents=True, exist_ok=True)
    (output / RECIPE).write_text(yaml.safe_dump(recipe(options), sort_keys=False), encoding="utf-8")
    words = [str(output / RECIPE), "--output_dir", str(output), "--jobs", str(options.jobs)]
    return run_study.main([*words, "--dry_run"] if options.dry_run else words)


if __name__ == "__main__":
    run(main)

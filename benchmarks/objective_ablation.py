"""Which options of DeCLUTR earn their place? One changed at a time, at the same token budget, and frozen probes.

python benchmarks/objective_ablation.py --corpus PREPARED --model CHECKPOINT --label_columns specialty --output_dir RUNS
python benchmarks/objective_ablation.py ... --table        # the table of what is finished, computing nothing

Every arm trains from the same checkpoint until it has read as many tokens as the others, once a seed. Then the encoder
is frozen, and a logistic regression classifies the test documents, with few labels and with all. Training seed and
samples of labelled documents belong together: arms are compared seed by seed on the same test documents, and intervals
are over seeds and test documents. Given again, the command goes on where it stopped, with further --seeds, --arms and
--label_columns too; of an interrupted training nothing is kept. Weights are deleted once their scores are there.

Peak memory is the largest resident size of the training's process: on a machine with a GPU, not that of the GPU.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from project_scripts import script

from corpora.complete_files import complete_file
from corpora.json_files import write_json

if TYPE_CHECKING:
    from reporting.printed_table import PrintedTable
    from reporting.result_rows import Row

DEFAULT, UNTOUCHED = "default", "untouched"
COMMON = {"objective": "declutr", "warmup_steps": 0.1, "weight_decay": 0.01, "save_strategy": "no"}
QUIET = {"model_card": "false", "disable_tqdm": "true", "logging_steps": 20}
METADATA = {"category_weight": 0}
ARMS: dict[str, dict[str, Any]] = {
    DEFAULT: {},
    "temperature_up": {"final_temperature": 0.1},
    "temperature_down": {"final_temperature": 0.025},
    "same_document_ignore": {"same_document": "ignore"},
    "same_document_positive": {"same_document": "positive"},
    "one_category_batches": {**METADATA, "one_category_batches": "true"},
    "balanced_categories": {**METADATA, "category_balance": "sampling"},
    "double_batch": {"contrastive_mini_batch_tokens": 4096},
    "decoupled": {"decoupled": "true"},
    "cross_batch_memory": {},
    "no_mlm": {"mlm_weight": 0},
}
# What decides the scores; the rest may change between calls.
DECISIVE = ("train_tokens", "batch_size", "learning_rate", "max_span_length", "memory", "category_column", "shots")
DECISIVE += ("reading", "window_length", "samples", "min_class_documents", "max_documents", "model", "corpus")


def arm_options(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of pretrain.py in which an arm differs from the others."""
    found = {"per_device_train_batch_size": options.batch_size, **ARMS[name]}
    if "category_weight" in found:
        found["category_columns"] = options.category_column
    if name == "double_batch":
        found["per_device_train_batch_size"] = 2 * options.batch_size
    if name == "cross_batch_memory":
        found["cross_batch_memory"] = options.memory
    return found


def sampled_corpus(corpus: Path, count: int, folder: Path) -> Path:
    """Save about so many documents of a prepared corpus, the same share of each split; return where."""
    from datasets import load_from_disk

    target, report = folder / "corpus", "preparation.json"
    if not (target / report).is_file():
        splits = load_from_disk(str(corpus))
        share = min(1.0, count / sum(map(len, splits.values())))
        for name, split in splits.items():
            drawn = np.random.default_rng(0).permutation(len(split))[: round(share * len(split))]
            splits[name] = split.select(np.sort(drawn))
        splits.save_to_disk(str(target))
        (target / report).write_text((corpus / report).read_text())
    return target


def train(name: str, seed: int, corpus: Path, folder: Path, options: argparse.Namespace) -> Path:
    """Train an arm with a seed, unless its weights are there; return them."""
    facts, model = folder / "training.json", folder / "model"
    if not (facts.is_file() and model.is_dir()):
        sizes = {"max_span_length": options.max_span_length, "train_tokens": options.train_tokens}
        budget = {**sizes, "learning_rate": options.learning_rate, "seed": seed, "restart": "true"}
        started = {"model_name_or_path": options.model, "train_file": corpus, "output_dir": model}
        log, arm = folder / "log.txt", arm_options(name, options)
        memory = script("pretrain", log=log, **started, **COMMON, **QUIET, **budget, **arm)
        summary = json.loads((model / "training_summary.json").read_text())
        found = {"steps": summary["steps"], "seconds": summary["seconds"], "peak_mebibytes": round(memory)}
        write_json(facts, found)
    return model


def score(name: str, seed: int, corpus: Path, folder: Path, options: argparse.Namespace) -> None:
    """Train and classify an arm with a seed, as far as it is not done."""
    missing = [label for label in options.label_columns if not (folder / label / "results.json").is_file()]
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    model = options.model if name == UNTOUCHED else train(name, seed, corpus, folder, options)
    read = {"readings": options.reading, "window_length": options.window_length}
    for label in missing:
        script(
            "classify",
            log=folder / "log.txt",
            data=corpus,
            label_column=label,
            models=f"{name}={model}",
            output_dir=folder / label,
            methods="logistic_regression",
            shots=options.shots,
            seed=seed * options.samples,
            seeds=options.samples,
            min_class_documents=options.min_class_documents,
            baselines="true" if name == UNTOUCHED else "false",
            embedding_cache=(options.output_dir if name == UNTOUCHED else folder) / "embeddings",
            quiet="true",
            **{name: value for name, value in read.items() if value is not None},
        )
    if name != UNTOUCHED:
        shutil.rmtree(model)
    for stored in [*folder.glob("*/features"), *folder.glob("embeddings")]:
        shutil.rmtree(stored)


def ablation_table(folder: Path, label: str, samples: int) -> PrintedTable | None:
    """Compare the finished arms with the default one.

    Args:
        folder: Of the ablation.
        label: What is predicted.
        samples: Samples of labelled documents a training seed, which are averaged: they share one training.

    Returns:
        Arms by lines; None where nothing is finished.
    """
    from reporting.adjusted_differences import ScoredPair, adjusted_differences, resamples_for
    from reporting.classification_results import join_results, load_results
    from reporting.printed_table import PrintedTable
    from reporting.result_rows import aggregate_rows, shots_of, systems_of
    from reporting.system_names import method_name
    from reporting.tables import ABOVE, BELOW, MISSING, difference_cell, shots_name

    finished = sorted(folder.glob(f"runs/*/*/{label}/results.json"), key=lambda file: int(file.parts[-3]))
    if not finished:
        return None
    results = join_results([load_results(file.parent) for file in finished])
    systems = systems_of(results.cells)
    order = {name: place for place, name in enumerate([None, UNTOUCHED, *ARMS])}
    systems.sort(key=lambda system: order.get(system.model, len(order)))
    resamples = resamples_for(2 * len(systems), 1_000)
    rows = {(row.system, row.shots): row for row in aggregate_rows(results, "f1_macro", resamples)}
    sizes = shots_of(rows.values())
    reference = next((system for system in systems if system.model == DEFAULT), None)
    scored = {
        key: ScoredPair(*_paired(row, rows[reference, key[1]], samples), True)
        for key, row in rows.items()
        if key[0] != reference and (reference, key[1]) in rows
    }
    differences = dict(zip(scored, adjusted_differences(list(scored.values())), strict=True))
    lines = [["Arm", *(word for size in sizes for word in (shots_name(size), "less default")), *_FACTS]]
    for system in systems:
        name = system.model or method_name(system.method)
        line = [name.replace("_", " ")]
        for size in sizes:
            row = rows.get((system, size))
            line += [MISSING if row is None else f"{row.mean:.3f}", difference_cell(differences.get((system, size)))]
        lines.append([*line, *_facts(folder / "runs" / name)])
    note = (
        f"Macro-F1 of logistic regression on the frozen encoder: {len(results.labels)} classes, "
        f"{results.documents['train']:,} training and {results.documents['test']:,} test documents. Differences on the "
        "same seeds and documents, with 95 % intervals over both; "
        f"{ABOVE} {BELOW}: p at most 0.05 after Holm's correction for {len(scored)} comparisons."
    )
    return PrintedTable(f"ablation-{label}", f"Objective ablation: {label}", lines, note)


_FACTS = ("Seeds", "Steps", "Seconds", "Peak MiB")


def _facts(arm: Path) -> list[str]:
    found = [json.loads(file.read_text()) for file in sorted(arm.glob("*/training.json"))]
    if not found:
        return ["-"] * len(_FACTS)
    means = (np.mean([one[name] for one in found]) for name in ("steps", "seconds", "peak_mebibytes"))
    return [str(len(found)), *(f"{mean:,.0f}" for mean in means)]


def _paired(row: Row, reference: Row, samples: int) -> tuple[Any, Any]:
    """Return the scores of two rows by the training seeds that both have, averaged over the samples of each."""
    from metrics.intervals import ResampledScores

    seeds = [np.asarray(one.seeds) // samples for one in (row, reference)]
    shared = np.intersect1d(*seeds)
    return tuple(
        ResampledScores(
            np.stack([one.scores.observed[own == seed].mean(0) for seed in shared]),
            np.stack([one.scores.resampled[own == seed].mean(0) for seed in shared]),
        )
        for one, own in zip((row, reference), seeds, strict=True)
    )


def check_settings(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    """Refuse to mix the scores of different settings in one folder."""
    settings: Mapping[str, Any] = json.loads(
        json.dumps({name: getattr(options, name) for name in DECISIVE}, default=str)
    )
    file = options.output_dir / "settings.json"
    if file.is_file():
        earlier = json.loads(file.read_text())
        changed = [name for name in settings if settings[name] != earlier.get(name)]
        if changed:
            parser.error(f"{options.output_dir} holds an ablation with other settings ({', '.join(changed)})")
    elif options.table:
        parser.error(f"{options.output_dir} holds no ablation")
    else:
        options.output_dir.mkdir(parents=True, exist_ok=True)
        write_json(file, settings)


def parse(arguments: Sequence[str] | None) -> tuple[argparse.Namespace, argparse.ArgumentParser]:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of prepare_notes.py with a test split")
    parser.add_argument("--model", required=True, help="checkpoint to start from")
    parser.add_argument("--label_columns", nargs="+", required=True, help="labels of the frozen probes")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--category_column", help="metadata of the arms with batches by category; without it not run")
    parser.add_argument("--arms", nargs="+", choices=[UNTOUCHED, *ARMS], help="run these only; all by default")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each arm")
    parser.add_argument("--train_tokens", type=int, default=300_000, help="tokens that each training reads")
    parser.add_argument("--batch_size", type=int, default=16, help="documents a step")
    parser.add_argument("--learning_rate", type=float, default=5e-5)
    parser.add_argument("--max_span_length", type=int, default=128)
    parser.add_argument("--memory", type=int, default=512, help="vectors of the cross-batch memory")
    parser.add_argument("--shots", type=int, nargs="+", default=[8, 0], help="labels a class of the probes; 0 for all")
    parser.add_argument(
        "--reading", choices=["windows", "head"], help="of the probes, see classify.py; windows if not given"
    )
    parser.add_argument("--window_length", type=int, help="tokens in a window of the probes' reading")
    parser.add_argument("--samples", type=int, default=5, help="samples of few labels for each training seed")
    parser.add_argument("--min_class_documents", type=int, default=15, help="rarer classes are left out")
    parser.add_argument(
        "--max_documents", type=int, help="take about so many documents of the corpus, for small machines"
    )
    parser.add_argument("--table", action="store_true", help="only print the table of what is finished")
    options = parser.parse_args(arguments)
    if options.category_column is None:
        needing = [name for name, settings in ARMS.items() if "category_weight" in settings]
        if options.arms and set(needing) & set(options.arms):
            parser.error(f"{', '.join(sorted(set(needing) & set(options.arms)))}: name --category_column")
        options.arms = options.arms or [name for name in (UNTOUCHED, *ARMS) if name not in needing]
    options.arms = options.arms or [UNTOUCHED, *ARMS]
    if min(options.seeds, options.samples) < 1:
        parser.error("--seeds and --samples are at least 1")
    if not (options.corpus / "preparation.json").is_file():
        parser.error(f"{options.corpus} is no folder of prepare_notes.py")
    return options, parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and score every arm with every seed; print the table of each label and write it to table.md."""
    options, parser = parse(arguments)
    check_settings(options, parser)
    if not options.table:
        corpus = options.corpus
        if options.max_documents is not None:
            corpus = sampled_corpus(corpus, options.max_documents, options.output_dir)
        # Seed by seed, so that an early table compares all arms.
        for seed in range(options.seeds):
            for name in options.arms:
                score(name, seed, corpus, options.output_dir / "runs" / name / str(seed), options)
    found = [ablation_table(options.output_dir, label, options.samples) for label in options.label_columns]
    text = "\n".join(table.markdown() for table in found if table is not None)
    print(text or "no arm is finished yet")
    if text:
        with complete_file(options.output_dir / "table.md") as file:
            file.write(text)


if __name__ == "__main__":
    main()

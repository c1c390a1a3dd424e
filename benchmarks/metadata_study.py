"""Does metadata help when it is related to the task? Category and DeCLUTR objectives, alone and combined, then probed.

python benchmarks/metadata_study.py --corpus PREPARED --model CHECKPOINT --columns note_type specialty --output_dir RUNS

Each arm starts from the same checkpoint and is trained for one epoch: the category objective on each column, on the
first column with its values shuffled among the documents (a control: the same work, no information), DeCLUTR, and
DeCLUTR with each column. Every arm is then frozen, encoded, and probed on every column: on the column it was trained
with (related metadata) and on the others (unrelated). The test documents are seen by the probe alone. Runs are resumed
when the command is given again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from project_scripts import script

SHUFFLED = "shuffled"
CATEGORY = {"objective": "note_category", "category_view": "clean", "category_weight": 1.0, "learning_rate": 5e-5}
DECLUTR = {"objective": "declutr", "learning_rate": 2e-5, "num_anchors": 1, "num_positives": 1, "min_span_length": 16}
BOTH = {**DECLUTR, "category_view": "clean", "category_weight": 0.5, "head_learning_rate": 1e-2}
COMMON = {"mlm_weight": 0, "num_train_epochs": 1, "warmup_steps": 0.1, "weight_decay": 0.01, "save_strategy": "no"}


def arms(columns: list[str], max_length: int) -> dict[str, dict[str, Any]]:
    """Return the options of pretrain.py for each arm, by its name."""
    category = {**CATEGORY, "head_learning_rate": 1e-2, "per_device_train_batch_size": 16, "max_length": max_length}
    spans = {"per_device_train_batch_size": 32, "max_span_length": 96}
    found = {f"category-{name}": {**category, "category_columns": name} for name in [*columns, SHUFFLED]}
    found[f"supcon-{columns[0]}"] = {**category, "category_columns": columns[0], "category_loss": "supcon"}
    found[f"supcon-{columns[0]}"] |= {"per_device_train_batch_size": 32, "category_balance": "sampling"}
    found["declutr"] = {**DECLUTR, **spans}
    for name in columns:
        found[f"declutr-{name}"] = {**BOTH, **spans, "category_columns": name}
    return found


def shuffled_corpus(corpus: Path, column: str, folder: Path, seed: int = 0) -> Path:
    """Save the corpus with a column more: the first column's values, shuffled among the training documents."""
    from datasets import load_from_disk

    target = folder / "corpus"
    if not (target / "preparation.json").is_file():
        splits = load_from_disk(str(corpus))
        generator = np.random.default_rng(seed)
        for name, split in splits.items():
            values = split[column][:]
            order = generator.permutation(len(values))
            splits[name] = split.add_column(SHUFFLED, [values[place] for place in order])
        splits.save_to_disk(str(target))
        (target / "preparation.json").write_text((corpus / "preparation.json").read_text())
    return target


def silhouettes(corpus: Path, columns: list[str], embeddings: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Return the silhouette of the test documents by each column, for each arm."""
    from datasets import load_from_disk

    from metrics.clusters import silhouette

    test = load_from_disk(str(corpus))["test"]
    place = {name: number for number, name in enumerate(test["document_id"][:])}
    found: dict[str, dict[str, float]] = {}
    for arm, file in embeddings.items():
        ids = file.with_suffix(".ids.txt").read_text(encoding="utf-8").split("\n")
        rows = [(row, place[name]) for row, name in enumerate(ids) if name in place]
        vectors = np.load(file, mmap_mode="r")
        found[arm] = {}
        for column in columns:
            values = test[column][:]
            known = [(row, values[number]) for row, number in rows if values[number] is not None]
            chosen = np.stack([vectors[row] for row, _ in known])
            found[arm][column] = silhouette(chosen, np.array([value for _, value in known]))
    return found


def main() -> None:
    """Train, encode and probe every arm; print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder of prepare_notes.py with a test split")
    parser.add_argument("--model", required=True, help="checkpoint to start from")
    parser.add_argument("--columns", nargs="+", required=True, help="metadata columns, each also a task")
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--max_length", type=int, default=128, help="tokens of a training window")
    parser.add_argument("--window", type=int, default=256, help="tokens of a window when encoding")
    parser.add_argument("--min_class_documents", type=int, default=15)
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arms", nargs="+", help="run these only; all by default")
    options = parser.parse_args()
    folder = options.output_dir
    folder.mkdir(parents=True, exist_ok=True)
    corpus = shuffled_corpus(options.corpus, options.columns[0], folder, options.seed)
    encoding = {"data": corpus, "quiet": "true", "max_length": options.window, "overwrite": "true"}
    models = {"untouched": options.model}
    embeddings: dict[str, Path] = {}
    chosen = arms(options.columns, options.max_length)
    if options.arms:
        chosen = {name: chosen[name] for name in options.arms}
    for name, settings in {"untouched": None, **chosen}.items():
        embeddings[name] = folder / f"{name}.npy"
        if embeddings[name].is_file():
            continue
        if settings is not None:
            models[name] = folder / name
            started = {"model_name_or_path": options.model, "train_file": corpus, "output_dir": folder / name}
            quiet = {"disable_tqdm": "true", "logging_steps": 20, "seed": options.seed}
            script("pretrain", **started, **COMMON, **settings, **quiet)
        script("encode", models[name], output=embeddings[name], **encoding)
    found = silhouettes(corpus, options.columns, embeddings)
    (folder / "silhouettes.json").write_text(json.dumps(found, indent=2))
    script(
        "probe",
        data=corpus,
        label_columns=options.columns,
        embeddings=[f"{name}={file}" for name, file in embeddings.items()],
        min_class_documents=options.min_class_documents,
        shots=options.shots,
        quiet="true",
        markdown="true",
        output=folder / "probe.json",
        overwrite="true",
    )
    print("\nSilhouette of the test documents")
    for name, scores in found.items():
        print(f"    {name:<24}", *(f"{column} {value:+.3f}" for column, value in scores.items()))


if __name__ == "__main__":
    main()

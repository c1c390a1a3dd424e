"""A study killed with SIGKILL again and again ends as one that was left alone, and no finished cell is made twice."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

# One interpreter imports the libraries once; each run is a forked process of its own, killed from inside at an exact
# place. After each run the program notes which cells are finished, and when their files were written.
PROGRAM = """
import json, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1] + "/scripts")
import torch
torch.set_num_threads(1)
import classification_cells, classification_probes, classification_training, classify, study_folder
# What a run imports on its way.
import corpora.loading, datasets, matplotlib.pyplot, modeling.frozen_features, sklearn.feature_extraction.text
import collators, sklearn.model_selection, modeling.adapters, reporting.figures, trainers.best_weights
from trainers.classification_trainer import ClassificationTrainer


def die():
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_step(count):
    original, steps = ClassificationTrainer.compute_loss, []

    def compute_loss(self, *arguments, **options):
        steps.append(0)
        return original(self, *arguments, **options) if len(steps) < count else die()

    ClassificationTrainer.compute_loss = compute_loss


def kill_while_writing(pattern):
    # Of arrays, half the file is there; of JSON, the arrays that belong to it are.
    arrays, record = classification_cells.np.savez_compressed, study_folder.write_json

    def savez_compressed(stream, **values):
        if Path(stream.name).match(pattern + ".npz.partial"):
            stream.write(b"PK half")
            stream.flush()
            die()
        arrays(stream, **values)

    def write_json(path, value):
        if path.match(pattern + ".json"):
            path.with_name(path.name + ".partial").write_text("{")
            die()
        record(path, value)

    classification_cells.np.savez_compressed, study_folder.write_json = savez_compressed, write_json


def run(arguments, log, kill=None, place=None):
    child = os.fork()
    if child == 0:
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        if kill is not None:
            globals()[kill](place)
        try:
            status = classify.main(arguments) or 0
        except BaseException:
            import traceback
            traceback.print_exc()
            status = 1
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(status)
    return os.waitpid(child, 0)[1]


def finished(folder):
    cells = {file.stem for file in (folder / "cells").glob("*.json")}
    return {
        file.name: file.stat().st_mtime_ns for file in (folder / "cells").iterdir()
        if file.suffix in (".json", ".npz") and file.stem in cells
    }


for scenario in json.loads(sys.argv[2]):
    folder, seen = Path(scenario["folder"]), []
    arguments = scenario["arguments"] + ["--output_dir", str(folder)]
    for number, (kill, place) in enumerate(scenario["kills"]):
        assert run(arguments, f"{folder}-{number}.log", kill, place) == signal.SIGKILL, "was not killed"
        assert not (folder / "results.json").exists(), "half-written"
        seen.append(finished(folder))
    assert run(arguments, f"{folder}-{len(scenario['kills'])}.log") == 0, "failed"
    seen.append(finished(folder))
    Path(f"{folder}-seen.json").write_text(json.dumps(seen))
"""

KILLS = [
    ("kill_while_writing", "features/tiny-head_tail"),
    ("kill_in_step", 5),
    ("kill_while_writing", "cells/tiny-mlp-head_tail-all-s4-1"),
    ("kill_while_writing", "results"),
]


def test_no_cell_is_computed_twice_and_the_table_is_the_same(make_model, tmp_path):
    model, tokenizer = make_model("bert", dropout=0.1)
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    random, words = np.random.default_rng(0), {"renal": "rash cough fever", "skin": "chest pain echo"}
    with (tmp_path / "notes.jsonl").open("w") as stream:
        for number in range(60):
            label, split = list(words)[number % 2], ["train", "train", "train", "validation", "test"][number // 2 % 5]
            text = [*random.choice(words[label].split(), 2), *random.choice(["the", "patient", "was", "well"], 80)]
            line = {"text": " ".join(random.permutation(text)), "document_id": f"d{number}", "ward": label}
            stream.write(json.dumps({**line, "split": split}) + "\n")
    arguments = ["--data", tmp_path / "notes.jsonl", "--split_column", "split", "--label_column", "ward", "--use_cpu"]
    arguments += ["--models", f"tiny={tmp_path / 'base'}", "--methods", "logistic_regression", "mlp"]
    arguments += ["--readings", "head_tail", "--shots", 4, "--seeds", 2, "--head_epochs", 2]
    scenarios = [
        {"folder": str(tmp_path / name), "arguments": list(map(str, arguments)), "kills": kills}
        for name, kills in (("whole", []), ("killed", KILLS))
    ]
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(tmp_path / "cache"),
        "TOKENIZERS_PARALLELISM": "false",
        "OMP_NUM_THREADS": "1",
    }
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(ROOT), json.dumps(scenarios)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]

    seen = json.loads((tmp_path / "killed-seen.json").read_text())
    cells = {name for name in seen[-1] if name.endswith(".json")}
    assert len(cells) == 4 * 2  # systems and samples
    assert [sum(name.endswith(".json") for name in times) for times in seen] == [4, 6, 7, 8, 8]
    for earlier in seen[:-1]:
        assert {name: seen[-1][name] for name in earlier} == earlier  # not written again
    computed = [
        re.findall(r"^\[\d+/8\] (\S+):", (tmp_path / f"killed-{number}.log").read_text(), re.MULTILINE)
        for number in range(len(seen))
    ]
    # The fourth run computed the last cell and was killed while it wrote results.json; the fifth had none to compute.
    assert [len(names) for names in computed] == [4, 2, 1, 1, 0]
    assert sorted(f"{name}.json" for names in computed for name in names) == sorted(cells)

    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "killed"))
    assert all(cell.pop("seconds") >= 0 for cell in [*one["cells"], *other["cells"]])
    assert one == other and len(one["cells"]) == 8
    for cell in one["cells"]:
        first, second = (np.load(tmp_path / name / cell["predictions"]) for name in ("whole", "killed"))
        np.testing.assert_array_equal(first["probabilities"], second["probabilities"])
    for table in ("table.md", "test_targets.npz"):
        first, second = ((tmp_path / name / table).read_bytes() for name in ("whole", "killed"))
        assert first == second, table
    assert not list((tmp_path / "killed").rglob("*.partial"))

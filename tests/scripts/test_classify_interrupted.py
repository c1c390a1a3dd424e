"""A study killed with SIGKILL again and again ends as one that was left alone, and no finished cell is made twice."""

import json
import re

import numpy as np

PROGRAM = """
# What a run imports on its way.
import classify, classification_cells, classification_probes, classification_training
import corpora.loading, matplotlib.pyplot, modeling.adapters, modeling.frozen_features, reporting.figures
import sklearn.feature_extraction.text, sklearn.model_selection, trainers.best_weights
from trainers.classification_trainer import ClassificationTrainer


def kill_in_step(count):
    original, steps = ClassificationTrainer.compute_loss, []

    def compute_loss(self, *arguments, **options):
        steps.append(0)
        return original(self, *arguments, **options) if len(steps) < count else die()

    ClassificationTrainer.compute_loss = compute_loss


play(classify.main)
"""

KILLS = [
    ("kill_while_writing", "features/tiny-head_tail.npz"),
    ("kill_in_step", 5),
    ("kill_while_writing", "cells/tiny-mlp-head_tail-all-s4-1.npz"),
    ("kill_while_writing", "results.json"),
]


def test_no_cell_is_computed_twice_and_the_table_is_the_same(make_model, play_killed, tmp_path):
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
    play_killed(PROGRAM, arguments, {"whole": [], "killed": KILLS})

    after = json.loads((tmp_path / "killed-seen.json").read_text())
    assert [run["results"] for run in after] == [False] * 4 + [True]  # never half-written
    seen = [run["cells"] for run in after]
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

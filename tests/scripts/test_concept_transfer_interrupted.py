"""A transfer study killed with SIGKILL again and again ends as one that was left alone; nothing is computed twice."""

import json
import re

import numpy as np

PROGRAM = """
import concept_transfer
# What a run imports on its way.
import concept_transfer_fits, concept_transfer_vectors, matplotlib.pyplot, reporting.transfer_comparison_figures
import sklearn.metrics, trainers.concept_set_training
from modeling.concept_set_classifier import ConceptSetClassifier


def kill_while_saving_model(number):
    original, saved = ConceptSetClassifier.save_pretrained, []

    def save(self, folder):
        original(self, folder)
        saved.append(folder)
        if len(saved) == number:
            die()

    ConceptSetClassifier.save_pretrained = save


play(concept_transfer.main)
"""

KILLS = [
    ("kill_while_saving_model", 2),
    ("kill_while_writing", "cells/full-north-one_hot-scaled-set_mean-tuned_head-n30-1.npz"),
    ("kill_while_writing", "cells/full-north-random-scaled-set_mean-direct-n0-0.json"),
    ("kill_while_writing", "results.json"),
    ("kill_while_writing", "transfer_ranking.svg"),
]


def write_site(file, seed):
    generator = np.random.default_rng(seed)
    lines = ["patient_id,F1,F2,F3,outcome"]
    for number in range(80):
        said = generator.random(3) < 0.5
        sick = generator.random() < (0.75 if said[0] else 0.25)
        lines.append(f"{file.stem}{number},{','.join('AP'[int(one)] for one in said)},{int(sick)}")
    file.write_text("\n".join(lines) + "\n")
    return file


def test_no_cell_is_computed_twice_and_the_table_is_the_same(play_killed, tmp_path):
    (tmp_path / "names.txt").write_text("F1: fever\nF2: cough\nF3: chest pain\n")
    sites = {name: write_site(tmp_path / f"{name}.csv", seed) for seed, name in enumerate(("north", "south"))}
    arguments = ["--sources", f"north={sites['north']}", "--target", f"south={sites['south']}"]
    arguments += ["--encounter_format", "wide", "--outcome_column", "outcome", "--positive_values", 1]
    arguments += ["--concept_names", tmp_path / "names.txt", "--patient_column", "patient_id", "--random_size", 4]
    arguments += ["--classifiers", "set_mean", "--protocols", "direct", "pooled", "tuned_head", "--target_sizes", 30]
    arguments += ["--seeds", 2, "--epochs", 2, "--tuning_epochs", 2, "--least_steps", 2, "--choose_rate", "once"]
    play_killed(PROGRAM, arguments, {"whole": [], "killed": KILLS})

    after = json.loads((tmp_path / "killed-seen.json").read_text())
    assert [run["results"] for run in after] == [False] * 4 + [True] * 2  # never half-written
    seen = [run["cells"] for run in after]
    # The majority; one-hot and random vectors, two seeds of each: direct, pooled, tuned.
    assert [sum(name.endswith(".json") for name in times) for times in seen] == [4, 6, 7, 13, 13, 13]
    for earlier in seen[:-1]:
        assert {name: seen[-1][name] for name in earlier} == earlier  # not written again
    logs = [(tmp_path / f"killed-{number}.log").read_text() for number in range(len(seen))]
    computed = [re.findall(r"^\[\d+/13\] (\S+):", log, re.MULTILINE) for log in logs]
    assert [len(names) for names in computed] == [4, 2, 1, 6, 0, 0]
    cells = [name for name in seen[-1] if name.endswith(".json")]
    assert sorted(f"{name}.json" for names in computed for name in names) == sorted(cells)

    one, other = (json.loads((tmp_path / name / "results.json").read_text()) for name in ("whole", "killed"))
    assert all(cell.pop("seconds") >= 0 for cell in [*one["cells"], *other["cells"]])
    assert one == other and len(one["cells"]) == 13
    files, others = (
        {file.relative_to(tmp_path / name) for file in (tmp_path / name).rglob("*") if file.is_file()}
        for name in ("whole", "killed")
    )
    assert files == others  # nothing half-written is left
    for name in files:
        first, second = ((tmp_path / folder / name).read_bytes() for folder in ("whole", "killed"))
        assert first == second or (name.suffix == ".json" and b"seconds" in first), name

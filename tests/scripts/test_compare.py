"""compare.py from the command line to the files."""

import json

import numpy as np
import pytest

import compare
from corpora.errors import InputError


def write(folder, models, label="specialty", prefix="note", tfidf_seed=0):
    """Results of logistic regression by model and its share of right predictions, and of TF-IDF, always the same."""
    rng = np.random.default_rng(0)
    targets = np.arange(90) % 3
    (folder / "cells").mkdir(parents=True)
    ids = np.array([f"{prefix}-{number}" for number in range(90)])
    np.savez(folder / "test_targets.npz", targets=targets, document_ids=ids)
    cells = []
    systems = [("tfidf", "tfidf", None, None, 0.6)]
    systems += [(name, "logistic_regression", "windows", "all", right) for name, right in models.items()]
    for model, method, reading, frozen, right in systems:
        for shots in (16, None):
            for seed in (0, 1):
                rng = np.random.default_rng([tfidf_seed if method == "tfidf" else 1, seed, shots or 0])
                said = np.where(rng.random(90) < right, targets, (targets + 1) % 3)
                name = f"{model}-{shots}-{seed}"
                np.savez(folder / "cells" / f"{name}.npz", probabilities=np.eye(3, dtype=np.float32)[said])
                cell = {"id": name, "model": model, "method": method, "reading": reading, "frozen": frozen}
                cell |= {"shots": shots, "seed": seed, "trained_parameters": None, "seconds": 1.0}
                cells.append({**cell, "metrics": {"f1_macro": 0.5}, "predictions": f"cells/{name}.npz"})
    documents = {"train": 300, "validation": 30, "test": 90}
    results = {"schema_version": 1, "kind": "classification", "label_column": label, "task": "single_label"}
    results |= {"labels": ["a", "b", "c"], "documents": documents, "corpus_digest": "x", "cells": cells}
    (folder / "results.json").write_text(json.dumps(results))
    return str(folder)


@pytest.fixture
def folders(tmp_path):
    return write(tmp_path / "one", {"base": 0.6}), write(tmp_path / "two", {"declutr": 0.95})


def test_folders_are_joined_compared_and_written(folders, tmp_path, capsys):
    output = tmp_path / "out" / "comparison"
    compare.main([*folders, "--reference", "base", "--output", str(output), "--resamples", "200"])
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == "| Macro-F1, specialty | 16 a class | all |"
    assert [line.split(" | ")[0] for line in lines[2:5]] == [
        "| TF-IDF",
        "| base, logistic regression",
        "| declutr, logistic regression",
    ]
    assert lines[4].count("▲") == 2 and lines[4].count("**") == 4 and "▲" not in lines[2] + lines[3]
    assert "above or below base, logistic regression" in printed and lines[-1] == f"Report: {output}"
    assert "\n".join(lines[:7]) in (output / "table.md").read_text()
    found = json.loads((output / "comparisons.json").read_text())
    assert found["resamples"] == 200 and len(found["rows"]) == 6 and len(found["comparisons"]) == 4
    assert {file.suffix for file in output.iterdir()} == {".md", ".json", ".png", ".svg"}

    before = {file.name: file.read_bytes() for file in output.iterdir()}
    with pytest.raises(InputError, match="comparison: the output holds a comparison; choose another folder, or pass"):
        compare.main([*folders, "--output", str(output)])
    arguments = ["--reference", "base", "--output", str(output), "--resamples", "200", "--overwrite"]
    compare.main(["--results", *folders, *arguments])
    assert {file.name: file.read_bytes() for file in output.iterdir()} == before


def test_recipe_and_other_metric(folders, tmp_path, capsys):
    recipe = tmp_path / "compare.yaml"
    recipe.write_text(f"metric: accuracy\nresults: ['{folders[0]}']\nresamples: 100\n")
    compare.main([str(recipe)])
    assert capsys.readouterr().out.startswith("| Accuracy, specialty |")
    compare.main([str(recipe), folders[1], "--metric", "recall_macro"])
    printed = capsys.readouterr().out
    assert printed.startswith("| Macro recall, specialty |") and "declutr" in printed and "base" not in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "missing RESULTS"),
        (["{tmp}/none"], "none: no such folder"),
        (["{tmp}"], "holds no results.json"),
        (["{one}", "{ward}"], "ward: the label column differs from .*one; compare results of one label"),
        (["{one}", "{others}"], r"others: the test documents differ \(90 are missing, 90 are new\)"),
        (["{one}", "{retrained}"], "retrained: cell 'tfidf-16-0' predicts otherwise"),
        (
            ["{one}", "--reference", "logistic"],
            "no system is called 'logistic'; name one of: tfidf tfidf; base logistic",
        ),
        (["{one}", "--metric", "ece"], "there is no interval for 'ece'"),
        (["{one}", "--resamples", "10"], "--resamples is below 100"),
        (["{one}", "--seed", "-1"], "--seed is below 0"),
        (["{one}", "--output", "{one}/results.json"], "the output is a file"),
        (["{one}", "--references", "base"], "unknown option --references; the nearest is '--reference'"),
    ],
)
def test_input_errors_leave_nothing(arguments, words, folders, tmp_path):
    places = {"tmp": tmp_path, "one": folders[0]}
    places["ward"] = write(tmp_path / "ward", {"base": 0.6}, label="ward")
    places["others"] = write(tmp_path / "others", {"new": 0.6}, prefix="other")
    places["retrained"] = write(tmp_path / "retrained", {"new": 0.6}, tfidf_seed=5)
    output = [] if "--output" in arguments else ["--output", str(tmp_path / "out")]
    with pytest.raises(InputError, match=words):
        compare.main([*(word.format(**places) for word in arguments), *output])
    assert not (tmp_path / "out").exists()


def test_faults_are_one_line_and_status_2(run_script, tmp_path):
    result = run_script("compare", tmp_path / "none")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        f"compare.py: error: {tmp_path / 'none'}: no such folder; give the output folder of classify.py"
    ]

"""Folders of results: read whole, refused when damaged, joined."""

import json

import numpy as np
import pytest

from corpora.errors import InputError
from reporting.classification_results import System, join_results, load_results

SYSTEMS = {("base", "logistic_regression", "windows", "all"): 1.0, ("base", "lora", "head", None): 1.3}


def test_a_folder_is_read_whole(write_results):
    folder = write_results(SYSTEMS)
    results = load_results(str(folder))
    assert (results.label_column, results.task, results.documents["train"]) == ("specialty", "single_label", 1200)
    assert results.labels == ("cardiology", "general", "neurology", "surgery")
    assert len(results.cells) == 3 * 3 * 3 + 1
    stored = json.loads((folder / "results.json").read_text())["cells"]
    for cell, values in zip(results.cells, stored, strict=True):
        assert cell.system == System(values["model"], values["method"], values["reading"], values["frozen"])
        assert (cell.shots, cell.seed, cell.metrics) == (values["shots"], values["seed"], values["metrics"])
        with np.load(folder / values["predictions"]) as arrays:
            np.testing.assert_array_equal(cell.predictions, arrays["probabilities"].argmax(1))
    with np.load(folder / "test_targets.npz") as arrays:
        np.testing.assert_array_equal(results.targets, arrays["targets"])
        np.testing.assert_array_equal(results.document_ids, arrays["document_ids"])


def test_several_categories_a_document(write_results):
    folder = write_results(SYSTEMS, task="multi_label")
    results = load_results(folder)
    assert results.targets.shape == (120, 4)
    cell = results.cells[0]
    with np.load(folder / "cells" / f"{cell.id}.npz") as arrays:
        np.testing.assert_array_equal(cell.predictions, arrays["probabilities"] >= 0.5)


def test_scores_that_are_not_defined_are_passed_over(write_results):
    folder = write_results(SYSTEMS)
    edit(folder, lambda values: values["cells"][0]["metrics"].update(roc_auc_macro=None, brier=float("nan")))
    assert load_results(folder).cells[0].metrics.keys() == {"f1_macro", "accuracy", "ece"}


def edit(folder, change):
    file = folder / "results.json"
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def replace_arrays(file, **arrays):
    with np.load(file) as old:
        np.savez(file, **({name: old[name] for name in old.files} | arrays))


def first_cell(folder):
    return folder / json.loads((folder / "results.json").read_text())["cells"][0]["predictions"]


def set_cell(**values):
    return lambda folder: edit(folder, lambda results: results["cells"][0].update(values))


def set_value(**values):
    return lambda folder: edit(folder, lambda results: results.update(values))


DAMAGES = {
    "no results": (lambda f: (f / "results.json").unlink(), "results: holds no results.json; give the output folder"),
    "cut off": (
        lambda f: (f / "results.json").write_text((f / "results.json").read_text()[:-40]),
        "results.json: is not whole JSON; run classify.py again",
    ),
    "a list": (lambda f: (f / "results.json").write_text("[]"), "results.json: does not hold fields with values"),
    "foreign": (set_value(kind="retrieval"), "is not of a classification; give the output folder of classify.py"),
    "other version": (set_value(schema_version=2), "has schema version 2, not 1"),
    "task": (set_value(task="regression"), "'task' is not one of single_label, multi_label, ordinal"),
    "labels twice": (set_value(labels=["a", "a", "b", "c"]), "'labels' is not a list of different names"),
    "no cells": (set_value(cells=[]), "'cells' is empty"),
    "cells": (set_value(cells=[3]), "cell 1: is not a mapping"),
    "documents": (set_value(documents={"train": 3}), "'documents': 'validation' is missing"),
    "missing field": (lambda f: edit(f, lambda r: r["cells"][1].pop("seed")), "'seed' is missing"),
    "text for a number": (
        set_cell(seed="0"),
        "cell 'base-logistic_regression-windows-all-s8-0': 'seed' is not a whole",
    ),
    "no shots": (set_cell(shots=0), "'shots' is below 1"),
    "switch for a number": (set_cell(seed=True), "'seed' is not a whole number"),
    "metrics": (set_cell(metrics={"f1_macro": "0.7"}), "'metrics': 'f1_macro' is not a number"),
    "same cell twice": (
        lambda f: edit(f, lambda r: r["cells"].append({**r["cells"][0], "id": "again"})),
        "two cells have the same system, shots and seed",
    ),
    "same id twice": (lambda f: edit(f, lambda r: r["cells"].append(r["cells"][0])), "two cells have the same id"),
    "outside": (set_cell(predictions="../elsewhere.npz"), "the predictions lie outside the folder"),
    "absolute": (set_cell(predictions="/elsewhere.npz"), "the predictions lie outside the folder"),
    "no predictions": (lambda f: first_cell(f).unlink(), "s8-0.npz: no such file; run classify.py again"),
    "predictions cut off": (
        lambda f: first_cell(f).write_bytes(first_cell(f).read_bytes()[:-300]),
        "s8-0.npz: cannot be read as NumPy arrays",
    ),
    "predictions empty": (lambda f: first_cell(f).write_bytes(b""), "cannot be read as NumPy arrays"),
    "other arrays": (lambda f: np.savez(first_cell(f), logits=np.ones(3)), "holds no array 'probabilities'"),
    "objects": (
        lambda f: np.savez(first_cell(f), probabilities=np.array([None], dtype=object)),
        "cannot be read as NumPy arrays",
    ),
    "other test documents": (
        lambda f: np.savez(first_cell(f), probabilities=np.ones((7, 4))),
        r"holds probabilities of shape \(7, 4\), not \(120, 4\)",
    ),
    "logits": (lambda f: np.savez(first_cell(f), probabilities=np.full((120, 4), 3.0)), "that are not probabilities"),
    "not a number": (
        lambda f: np.savez(first_cell(f), probabilities=np.full((120, 4), np.nan)),
        "that are not probabilities",
    ),
    "whole numbers": (
        lambda f: np.savez(first_cell(f), probabilities=np.ones((120, 4), dtype=int)),
        "that are not probabilities",
    ),
    "no targets": (lambda f: (f / "test_targets.npz").unlink(), "test_targets.npz: no such file"),
    "targets of another shape": (
        lambda f: replace_arrays(f / "test_targets.npz", targets=np.zeros(119, dtype=int)),
        r"targets of shape \(119,\) and 120 document ids, not \(120,\)",
    ),
    "targets beyond the classes": (
        lambda f: replace_arrays(f / "test_targets.npz", targets=np.full(120, 4)),
        "holds targets that are no classes",
    ),
    "targets of floats": (
        lambda f: replace_arrays(f / "test_targets.npz", targets=np.zeros(120)),
        "holds targets that are not whole numbers",
    ),
    "document twice": (
        lambda f: replace_arrays(f / "test_targets.npz", document_ids=np.array(["a"] * 120)),
        "holds a document id twice",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_folders_are_refused(name, write_results):
    damage, words = DAMAGES[name]
    folder = write_results(SYSTEMS, shots=(8,), seeds=2)
    damage(folder)
    with pytest.raises(InputError, match=words) as caught:
        load_results(folder)
    assert str(folder) in str(caught.value) and caught.value.remedy


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder; give the output folder of"):
        load_results(tmp_path / "none")


def test_folders_are_joined_and_shared_baselines_taken_once(write_results):
    first = load_results(write_results({("base", "knn", "windows", "all"): 1.0}, "one"))
    second = load_results(write_results({("base", "knn", "windows", "all"): 1.0, ("new", "knn", "windows", "all"): 2}))
    # The baselines of the second folder come out otherwise, as its systems are others; take those of the first.
    cells = [cell for cell in second.cells if cell.system.method == "knn"]
    joined = join_results([first, type(second)(**{**vars(second), "cells": tuple(cells)})])
    assert len(first.cells) == 19 and len(joined.cells) == 19 + 9
    assert [cell.system.model for cell in joined.cells[19:]] == ["new"] * 9
    assert join_results([first]).cells == first.cells


@pytest.mark.parametrize(
    ("digest", "remedy"), [("d1", "give different models different names"), ("d2", "run both on the same corpus")]
)
def test_a_name_that_stands_for_two_models_is_refused(digest, remedy, write_results):
    one = load_results(write_results({("base", "knn", None, "all"): 1.0}, "one", baselines=False))
    two = load_results(write_results({("base", "knn", None, "all"): 2.0}, "two", baselines=False, digest=digest))
    with pytest.raises(InputError, match=f"two: cell 'base-knn-None-all-s8-0' predicts otherwise .*one; {remedy}"):
        join_results([one, two])


def change_targets(folder):
    with np.load(folder / "test_targets.npz") as old:
        targets = old["targets"].copy()
    targets[[0, 5, 7]] = (targets[[0, 5, 7]] + 1) % 4
    replace_arrays(folder / "test_targets.npz", targets=targets)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_value(label_column="ward"), "the label column differs from .*one"),
        (set_value(task="ordinal"), "the task differs"),
        (set_value(labels=["general", "cardiology", "neurology", "surgery"]), "the classes differ from"),
        (
            lambda f: replace_arrays(
                f / "test_targets.npz", document_ids=np.array([f"note-{n}" for n in range(2, 122)])
            ),
            r"the test documents differ \(2 are missing, 2 are new\)",
        ),
        (
            lambda f: replace_arrays(
                f / "test_targets.npz", document_ids=np.array([f"note-{n}" for n in range(120)][::-1])
            ),
            "the order of the test documents differs",
        ),
        (change_targets, "the labels of 3 test documents differ"),
    ],
)
def test_results_that_do_not_belong_together_are_refused(change, words, write_results):
    one, two = (write_results({(name, "knn", None, "all"): 1.0}, name, baselines=False) for name in ("one", "two"))
    change(two)
    with pytest.raises(InputError, match=words) as caught:
        join_results([load_results(one), load_results(two)])
    assert str(caught.value).startswith(str(two)) and "same test documents" in str(caught.value)
    assert "note-1" not in str(caught.value)

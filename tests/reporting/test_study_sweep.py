"""Sweeps: settings over training seeds, their table and their figure."""

import pytest

from reporting.classification_results import load_results
from reporting.study_gains import make_evaluation
from reporting.study_results import StudyModel, StudyResults
from reporting.study_sweep import find_sweeps, sweep_figure, sweep_table

LENGTHS, SEEDS = (32, 96), (0, 1)


@pytest.fixture
def sweep(write_results):
    systems = {("base", "logistic_regression", "windows", "all"): 1.0}
    models = [StudyModel("base", None, {}, None, "base", None)]
    for length in LENGTHS:
        for seed in SEEDS:
            name, values = f"spans.{length}.{seed}", {"min": 8, "length": length, "kind": ["a", "b"], "seed": seed}
            systems[(name, "logistic_regression", "windows", "all")] = 1.0 + length / 96 + seed
            models.append(StudyModel(name, "wards", {}, None, "other", 9, "spans", values))
    results = load_results(write_results(systems, shots=(8, None)))
    study = StudyResults("folder", [], {}, models)
    (found,) = find_sweeps(study, [make_evaluation("wards", "specialty", "frozen", results)])
    return found


def test_settings_are_over_seeds(sweep):
    expected = [{"min": 8, "length": length, "kind": ["a", "b"]} for length in LENGTHS]
    assert [one.values for one in sweep.settings] == expected
    assert sweep.options == ["length"] and sweep.shots == [8, None] and sweep.base.scores[8].observed.shape == (1,)
    for one, length in zip(sweep.settings, LENGTHS, strict=True):
        rows = [
            row.mean
            for row in sweep.evaluation.rows
            if row.shots == 8 and (row.system.model or "").startswith(f"spans.{length}.")
        ]
        assert len(rows) == 2 and one.scores[8].mean == pytest.approx(sum(rows) / 2)
        assert one.scores[8].observed.shape == (2,)  # training seeds, each over its three samples of labels


def test_table_and_figure(sweep):
    table = sweep_table(sweep)
    assert [line[0] for line in table.lines] == [
        "Setting",
        "base",
        *(f"min 8, length {n}, kind a + b" for n in LENGTHS),
    ]
    assert table.lines[3][1].startswith("**") and "**" not in table.lines[1][1]
    figure = sweep_figure(sweep)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["32", "96"] and axes.get_xlabel() == "length"
    means = next(line for line in axes.lines if line.get_label() == "8 a class").get_ydata()
    assert list(means) == pytest.approx([one.scores[8].mean for one in sweep.settings])

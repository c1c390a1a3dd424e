"""Sweeps: settings over training seeds, their table, the effects of their options, and their figure."""

import itertools

import pytest

from metrics.intervals import ResampledScores, paired_difference
from reporting.classification_results import load_results
from reporting.study_gains import make_evaluation
from reporting.study_parts import without_sweeps
from reporting.study_results import StudyModel, StudyResults
from reporting.study_sweep import find_sweeps, sweep_figure, sweep_table
from reporting.sweep_effects import effects_table

LENGTHS, SEEDS = (32, 96), (0, 1)
KINDS = ("near", "far", "both")


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
        *(f"length {n}" for n in LENGTHS),
    ]
    assert table.note.endswith("Alike in all: min 8, kind a + b.")
    assert table.lines[3][1].startswith("**") and "**" not in table.lines[1][1]
    figure = sweep_figure(sweep)
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["32", "96"] and axes.get_xlabel() == "length"
    means = next(line for line in axes.lines if line.get_label() == "8 a class").get_ydata()
    assert list(means) == pytest.approx([one.scores[8].mean for one in sweep.settings])


@pytest.fixture
def grid(write_results):
    """Every length with every kind, but that one has a training seed less; the kind "far" is far better."""
    systems = {("base", "logistic_regression", "windows", "all"): 1.0}
    models = [StudyModel("base", None, {}, None, "base", None)]
    for length, kind, seed in itertools.product(LENGTHS, KINDS, SEEDS):
        if (length, kind, seed) == (96, "both", 1):
            continue
        name, values = f"spans.{length}.{kind}.{seed}", {"length": length, "kind": kind, "seed": seed}
        systems[(name, "logistic_regression", "windows", "all")] = 0.5 + 3.0 * (kind == "far")
        models.append(StudyModel(name, "wards", {}, None, "other", 9, "spans", values))
    study = StudyResults("folder", [], {}, models)
    evaluation = make_evaluation(
        "wards", "specialty", "frozen", load_results(write_results(systems, shots=(8, None))), seed=0
    )
    return study, evaluation, find_sweeps(study, [evaluation])[0]


def test_effects_compare_settings_that_are_alike_otherwise(grid):
    _, _, sweep = grid
    table = effects_table(sweep)
    assert [line[:3] for line in table.lines] == [
        ["Option", "Value", "Against"],
        ["length", "96", "32"],
        ["kind", "far", "near"],
        ["kind", "both", "near"],
    ]
    settings = {(one.values["length"], one.values["kind"]): one.scores[8] for one in sweep.settings}

    def difference(pairs):
        sides = []
        for place in (0, 1):
            members = [settings[pair[place]] for pair in pairs]
            observed = sum(one.observed for one in members) / len(members)
            sides.append(ResampledScores(observed, sum(one.resampled for one in members) / len(members)))
        return paired_difference(*sides, same_seeds=True)

    # The setting with a seed less, and with it its twins, are left out.
    length = difference([((96, kind), (32, kind)) for kind in ("near", "far")])
    far = difference([((n, "far"), (n, "near")) for n in LENGTHS])
    both = difference([((32, "both"), (32, "near"))])
    for line, one in zip(table.lines[1:], (length, far, both), strict=True):
        assert line[3].startswith(f"{one.difference:+.3f} [{one.interval[0]:+.3f}, {one.interval[1]:+.3f}]")
    assert table.lines[2][3].endswith("▲") and table.lines[2][4].endswith("▲")
    assert "correction for 6 comparisons" in table.note


def test_no_effects_without_a_choice(sweep):
    alone = type(sweep)(sweep.name, sweep.evaluation, sweep.method, sweep.settings[:1], sweep.base)
    assert effects_table(alone) is None
    assert [line[0] for line in sweep_table(alone).lines] == ["Setting", "base", "min 8, length 32, kind a + b"]


def test_other_tables_leave_the_models_of_sweeps_out(grid):
    study, evaluation, _ = grid
    (plain,) = without_sweeps(study, [evaluation])
    assert {row.system.model for row in plain.rows} == {row.system.model for row in evaluation.rows} - {
        model.name for model in study.models if model.sweep
    }
    assert {cell.system.model for cell in plain.results.cells} == {row.system.model for row in plain.rows}

"""Measures of the space against scores: what is paired, the table, the figure, and one clear line for each fault."""

import json

import numpy as np
import pytest
from scipy.stats import spearmanr

import correlate_metrics
from corpora.errors import InputError
from reporting.result_rows import aggregate_rows

SPREADS = {"base": (0.55, 1.6), "mlm": (0.75, 0.9), "declutr": (1.25, 0.35), "both": (1.0, 0.5), "category": (1.4, 0.3)}
QUALITIES = {"base": 0.4, "mlm": 0.9, "declutr": 1.8, "both": 1.3, "category": 2.4}
FEW = {"documents": 120, "categories": ("a", "b", "c")}


@pytest.fixture
def folders(write_space, write_results):
    """A space and a classification of five models, better ones with more spread."""
    systems = {
        (name, "logistic_regression", "windows", "all"): quality for name, quality in (*QUALITIES.items(), ("alone", 1))
    }
    return write_space("space", models=SPREADS, **FEW), write_results(systems, "scores", seeds=2)


def correlations(tmp_path):
    return json.loads((tmp_path / "out" / "correlations.json").read_text())


def test_measures_are_ranked_against_the_scores_of_the_same_models(folders, tmp_path, capsys):
    correlate_metrics.main([*map(str, folders), "--output", str(tmp_path / "out"), "--resamples", "200"])
    found = correlations(tmp_path)
    task = found["tasks"][0]
    assert task["name"] == "specialty" and task["models"] == list(SPREADS)
    from reporting.classification_results import load_results

    rows = aggregate_rows(load_results(folders[1]), resamples=1)
    expected = {row.system.model: row.mean for row in rows if row.shots is None}
    assert task["scores"] == pytest.approx([expected[name] for name in SPREADS])
    assert spearmanr(task["scores"], list(QUALITIES.values())).statistic > 0.85
    by_name = {measure["name"]: measure for measure in found["measures"]}
    for name in ("uniformity", "silhouette", "mean_cosine"):
        assert by_name[name]["correlation"] == pytest.approx(
            spearmanr(task["measures"][name], task["scores"]).statistic
        )
    assert by_name["mean_cosine"]["correlation"] < -0.85
    strengths = [abs(measure["correlation"]) for measure in found["measures"]]
    assert strengths == sorted(strengths, reverse=True)
    assert all(measure["p_holm"] >= measure["p_value"] > 0 for measure in found["measures"])
    printed = capsys.readouterr().out
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.rstrip() in printed and "Mean cosine ↓ | -" in table and "5 models" in table
    assert (tmp_path / "out" / "correlations.png").stat().st_size > 10_000
    assert "Uniformity ↓" in (tmp_path / "out" / "correlations.svg").read_text()


def test_two_tasks_are_averaged_and_a_few_shot_score_can_be_asked_for(folders, write_space, write_results, tmp_path):
    space, _ = folders
    other = write_space("other_space", models=dict(reversed(SPREADS.items())), **FEW)
    systems = {(name, "knn", "head", "all"): quality for name, quality in QUALITIES.items()}
    systems |= {(name, "knn", "windows", "all"): 3 - quality for name, quality in QUALITIES.items()}
    words = [f"one={space}", f"two={other}", "--method", "knn", "--shots", "8", "--reading", "head"]
    first = write_results(systems, "first", seeds=2)
    second = write_results(systems, "second", seeds=2, labels=("x", "y"))
    words = [words[0], f"one={first}", words[1], f"two={second}", *words[2:]]
    correlate_metrics.main([*words, "--output", str(tmp_path / "out"), "--resamples", "100"])
    found = correlations(tmp_path)
    assert [task["name"] for task in found["tasks"]] == ["one", "two"] and found["shots"] == 8
    measure = next(measure for measure in found["measures"] if measure["name"] == "uniformity")
    assert measure["correlation"] == pytest.approx(np.mean(measure["by_task"])) and measure["models"] == 10
    assert "| one | two |" in (tmp_path / "out" / "table.md").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{space}"], "the task 'specialty' has no result of classify.py; give both"),
        (["{scores}"], "has no result of analyse_embeddings.py"),
        (["{space}", "{space}", "{scores}"], "two results of one kind are of the task 'specialty'"),
        (["{space}", "{scores}", "--method", "fine_tuned"], "no model of .*space has a score of fine_tuned"),
        (["{space}", "{scores}", "--shots", "9"], "with 9 documents a class"),
        (["{space}", "{twice}"], "model 'base' has several scores .*--reading"),
        (["{three}", "{scores}"], r"no task has 4 models or more \(the most is 3\)"),
        (["{space}", "{scores}", "--metric", "ece"], "no score is called 'ece'; choose from f1_macro"),
        (["{nothing}"], "no such folder"),
        (["{broken}"], "results.json"),
        (["{space}", "{scores}", "--resamples", "5"], "--resamples is below 100"),
        (["{space}", "{scores}", "--output", "{file}"], "the output is a file"),
        ([], "missing RESULTS"),
    ],
)
def test_input_errors_leave_nothing(words, told, folders, write_space, write_results, tmp_path):
    twice = {("base", "logistic_regression", reading, "all"): 1 for reading in ("windows", "head")}
    (tmp_path / "file").write_text("")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "results.json").write_text("{")
    places = {
        "space": folders[0],
        "scores": folders[1],
        "three": write_space("three", models=dict(list(SPREADS.items())[:3]), **FEW) if "{three}" in words else "",
        "twice": write_results(twice, "twice", seeds=1) if "{twice}" in words else "",
        "nothing": tmp_path / "nothing",
        "broken": tmp_path / "broken",
        "file": tmp_path / "file",
    }
    words = [word.format(**places) for word in words]
    if "--output" not in words:
        words += ["--output", str(tmp_path / "out")]
    with pytest.raises(InputError, match=told):
        correlate_metrics.main(words)
    assert not (tmp_path / "out").exists()


def test_earlier_correlations_are_kept(folders, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "correlations.json").write_text("{}")
    with pytest.raises(InputError, match="pass --overwrite"):
        correlate_metrics.main([*map(str, folders), "--output", str(tmp_path / "out")])


def test_one_task_has_no_columns_of_tasks(folders, tmp_path):
    correlate_metrics.main([*map(str, folders), "--output", str(tmp_path / "out"), "--resamples", "100"])
    head = (tmp_path / "out" / "table.md").read_text().splitlines()[0]
    assert head == "| Measure | Rank correlation [95 %] | p | p, Holm |"

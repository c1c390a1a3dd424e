"""Markdown tables, character by character where it matters."""

import numpy as np
import pytest

from metrics.intervals import ResampledScores
from reporting.classification_results import System, load_results
from reporting.comparisons import Comparison
from reporting.result_rows import Row, aggregate_rows
from reporting.tables import classes_table, columns_of_words, markdown_table, metrics_table, plain_text, systems_table

A, B, C = System("a", "knn"), System("b", "knn"), System(None, "majority")
NAMES = {A: "a, k-nearest | neighbours", B: "b", C: "majority class"}


def row(system, shots, mean, **fields):
    scores = ResampledScores(np.array([mean]), np.full((1, 5), mean))
    plain = {"metrics": {"f1_macro": mean}, "trained_parameters": None, "seconds": 0.26} | fields
    interval = (mean - 0.1, mean + 0.0504)
    return Row(system, shots, (0,), "d", "f1_macro", scores, interval, predictions=np.zeros((1, 3)), **plain)


def comparison(system, shots, difference, adjusted):
    numbers = {"difference": difference, "interval": (0, 0), "p_value": 0.01, "adjusted_p_value": adjusted}
    return Comparison(system, B, shots, **numbers)


def test_systems_against_shots():
    rows = [row(A, 8, 0.5), row(A, None, 0.71249), row(B, 8, 0.5), row(B, None, 0.61), row(C, None, 0.1)]
    comparisons = [comparison(A, 8, 0.0, 0.9), comparison(A, None, 0.1, 0.05), comparison(C, None, -0.5, 0.001)]
    assert systems_table(rows, NAMES, comparisons, "team <b>").splitlines() == [
        "| Macro-F1, team \\<b> | 8 a class | all |",
        "| --- | ---: | ---: |",
        "| a, k-nearest \\| neighbours | **0.500** [0.400, 0.550] | **0.712** [0.612, 0.763] ▲ |",
        "| b | **0.500** [0.400, 0.550] | 0.610 [0.510, 0.660] |",
        "| majority class | - | 0.100 [0.000, 0.150] ▼ |",
    ]


def test_all_scores():
    scores = {"brier": 0.25, "f1_macro": 0.5, "own_score": 2.0}
    rows = [row(A, None, 0.5, metrics=scores, trained_parameters=12_345), row(B, None, 0.6, seconds=1234.56)]
    assert metrics_table(rows, NAMES).splitlines() == [
        "| System | Macro-F1 | Brier | own score | Trained parameters |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| a, k-nearest \\| neighbours | 0.500 | 0.250 | 2.000 | 12,345 |",
        "| b | 0.600 | - | - | - |",
    ]


@pytest.mark.parametrize("task", ["single_label", "multi_label"])
def test_classes_are_averaged_over_the_seeds(task, write_results):
    results = load_results(write_results({("a", "knn", None, "all"): 1.2}, task=task, labels=("x*y", "b", "c")))
    found = aggregate_rows(results, resamples=100)[0]
    lines = classes_table(found, results).splitlines()
    assert lines[0] == "| Class | Documents | Precision | Recall | F1 |" and len(lines) == 2 + 3
    f1 = []
    for said in found.predictions:
        true, marked = (
            (results.targets == 1, said == 1) if task == "single_label" else (results.targets[:, 1], said[:, 1])
        )
        hits = (true.astype(bool) & marked).sum()
        f1.append(2 * hits / (true.sum() + marked.sum()))
    assert len(f1) == 3
    assert lines[2].startswith("| x\\*y | ")
    _, name, documents, _, _, mean, _ = map(str.strip, lines[3].split("|"))
    assert (name, int(documents), float(mean)) == ("b", true.sum(), pytest.approx(np.mean(f1), abs=0.0006))


def test_plain_text_and_alignment():
    assert plain_text("a|b\n `c` *d* \\") == "a\\|b \\`c\\` \\*d\\* \\\\"
    lines = [["a", "b", "c", "d"], ["3", "**+.4** [.1, .6] ▲", "-", "5"], ["4", "~ 7", "0 / 1", "for"]]
    assert markdown_table(lines).splitlines()[1] == "| --- | ---: | ---: | --- |"
    assert columns_of_words([["a", "b"], ["1", ""], ["1", "MLM"]]) == [True, True]
    assert columns_of_words([["a", "b"]]) == [True, False]

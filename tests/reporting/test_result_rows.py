"""Rows: cells brought together over their seeds."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from metrics.intervals import bootstrap_interval
from reporting.classification_results import System, load_results
from reporting.result_rows import aggregate_rows, best_row, shots_of, systems_of

GOOD, POOR = ("new", "knn", "windows", "all"), ("base", "knn", "windows", "all")


@pytest.fixture
def results(write_results):
    return load_results(write_results({POOR: 0.8, GOOD: 1.8}, shots=(64, None, 8)))


@pytest.mark.parametrize(("metric", "score"), [("f1_macro", f1_score), ("accuracy", accuracy_score)])
def test_means_and_intervals(results, metric, score):
    rows = aggregate_rows(results, metric, resamples=200, seed=3)
    majority = System("majority", "majority")
    systems = [System(*POOR), System(*GOOD), System("tfidf", "tfidf")]
    expected = [(system, shots) for system in systems for shots in (8, 64, None)] + [(majority, None)]
    assert [(row.system, row.shots) for row in rows] == expected
    options = {"average": "macro"} if metric == "f1_macro" else {}
    for row in rows:
        cells = [cell for cell in results.cells if (cell.system, cell.shots) == (row.system, row.shots)]
        predictions = [cell.predictions for cell in sorted(cells, key=lambda cell: cell.seed)]
        by_seed = [score(results.targets, said, **options) for said in predictions]
        np.testing.assert_allclose(row.scores.observed, by_seed)
        assert row.mean == pytest.approx(np.mean(by_seed))
        assert row.interval == bootstrap_interval(predictions, results.targets, 200, 3, metric)
        assert row.seeds == tuple(range(len(by_seed))) and row.metric == metric
    assert rows[0].metrics == pytest.approx({"f1_macro": 0.5, "accuracy": 0.5, "ece": 0.1})
    assert (rows[0].trained_parameters, rows[-1].trained_parameters, rows[0].seconds) == (6_160, None, 1.5)


def test_scores_that_some_seeds_lack_are_left_out(results):
    del results.cells[1].metrics["ece"]
    rows = aggregate_rows(results, resamples=100)
    assert [row.metrics.keys() >= {"ece"} for row in rows].count(False) == 1


def test_order_and_the_best(results):
    rows = aggregate_rows(results, resamples=100)
    assert shots_of(rows) == [8, 64, None] and [system.model for system in systems_of(rows)][:2] == ["base", "new"]
    assert best_row(rows).system == System(*GOOD) and best_row(rows).shots is None
    few = [row for row in rows if row.shots is not None]
    assert best_row(few).shots == 64


def test_rows_do_not_depend_on_one_another(results):
    rows = aggregate_rows(results, resamples=150)
    cells = [cell for cell in results.cells if cell.system == System(*GOOD)]
    alone = aggregate_rows(type(results)(**{**vars(results), "cells": tuple(cells)}), resamples=150)
    together = [row for row in rows if row.system == System(*GOOD)]
    assert [row.interval for row in alone] == [row.interval for row in together]

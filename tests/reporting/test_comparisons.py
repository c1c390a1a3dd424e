"""Comparisons with a reference."""

import numpy as np
import pytest

from metrics.intervals import holm, paired_bootstrap
from reporting.classification_results import System, load_results
from reporting.comparisons import compare_with_reference, default_reference, enough_resamples
from reporting.result_rows import aggregate_rows, systems_of

GOOD, POOR = ("new", "knn", "windows", "all"), ("base", "knn", "windows", "all")


@pytest.fixture
def results(write_results):
    return load_results(write_results({POOR: 0.95, GOOD: 2.2}, shots=(8, None)))


def cell_predictions(results, system, shots):
    return [cell.predictions for cell in results.cells if (cell.system, cell.shots) == (system, shots)]


def test_comparisons_are_paired_bootstraps_with_holm(results):
    rows = aggregate_rows(results, resamples=400, seed=2)
    reference = System("tfidf", "tfidf")
    comparisons = compare_with_reference(rows, reference, seed=2)
    expected = [(System(*POOR), 8), (System(*POOR), None), (System(*GOOD), 8), (System(*GOOD), None)]
    expected.append((System("majority", "majority"), None))
    assert [(found.system, found.shots) for found in comparisons] == expected
    for found in comparisons[:4]:
        first, second = (cell_predictions(results, system, found.shots) for system in (found.system, reference))
        plain = paired_bootstrap(first, second, results.targets, 400, 2)
        assert (found.difference, *found.interval, found.p_value) == pytest.approx(
            (plain.difference, *plain.interval, plain.p_value)
        )
    np.testing.assert_allclose(
        [found.adjusted_p_value for found in comparisons], holm([found.p_value for found in comparisons])
    )
    assert [found.significant for found in comparisons] == [False, False, True, True, True]
    assert comparisons[2].difference > 0.1 > 0 > comparisons[4].difference


def test_only_rows_with_a_reference_are_compared(results):
    rows = aggregate_rows(results, resamples=100)
    found = compare_with_reference(rows, System("majority", "majority"))
    assert [comparison.shots for comparison in found] == [None] * 3
    assert compare_with_reference(rows[:2], rows[0].system) == []


def test_seeds_of_another_corpus_are_not_drawn_together(write_results):
    one, other = (
        aggregate_rows(load_results(write_results({POOR: 0.95, GOOD: 2.2}, digest, digest=digest)), resamples=300)
        for digest in ("d1", "d2")
    )
    first = [row for row in one if row.system == System(*GOOD)]
    pairs = [compare_with_reference([first[0], rows[0]], rows[0].system)[0] for rows in (one, other)]
    assert pairs[0].difference == pairs[1].difference and pairs[0].interval != pairs[1].interval


def test_resamples_suffice_for_the_number_of_comparisons(results):
    cells, reference = results.cells, System("tfidf", "tfidf")
    assert enough_resamples(cells, reference, 1_000) == 1_000
    assert enough_resamples(cells, reference, 100) == 5 * 40
    assert enough_resamples(cells, System("majority", "majority"), 100) == 3 * 40
    # With so many, the smallest p-value stands after the correction, even were all others 1.
    p_values = [1 / (5 * 40 + 1)] + [1.0] * 4
    assert holm(p_values)[0] <= 0.05 / 2


def test_the_default_reference_is_tfidf(results):
    systems = systems_of(results.cells)
    assert default_reference(systems) == System("tfidf", "tfidf")
    assert default_reference(systems[:2]) == System(*POOR)

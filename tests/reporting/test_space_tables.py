"""Which models differ from the reference, and the Markdown table."""

import math

import pytest

from metrics.measured import Measured
from metrics.measures import MEASURES
from reporting.space_results import load_space_results
from reporting.space_tables import measure_rows, number_text, space_table, verdict


@pytest.fixture
def three_models(write_space):
    """Return a function that gives results with these values, intervals and measure."""

    def make(name, *entries):
        def change(content):
            for model, (value, low, high) in zip(content["models"], entries, strict=True):
                model["measures"] = {name: {"value": value, "low": low, "high": high}}

        return load_space_results(write_space(documents=20, categories=("a", "b"), change=change))

    return make


@pytest.mark.parametrize(
    "name, other, expected",
    [
        ("silhouette", (0.3, 0.25, 0.35), "better"),  # higher is better
        ("silhouette", (0.3, 0.2, 0.35), None),  # they touch
        ("silhouette", (0.0, -0.1, 0.05), "worse"),
        ("uniformity", (0.3, 0.25, 0.35), "worse"),  # lower is better
        ("uniformity", (0.0, -0.1, 0.05), "better"),
        ("cosine_within", (0.9, 0.85, 0.95), None),  # neither is
        ("silhouette", (0.9, None, None), None),
        ("silhouette", (None, None, None), None),
    ],
)
def test_a_model_differs_where_intervals_do_not_overlap(three_models, name, other, expected):
    results = three_models(name, (0.15, 0.1, 0.2), other, (0.15, 0.1, 0.2))
    assert MEASURES[name].better in ("higher", "lower", None)
    assert verdict(results, name, results.models[1]) == expected
    assert verdict(results, name, results.models[0]) is None
    row = measure_rows(results)[0]
    assert row.verdicts == (None, expected, None)


def test_a_table_of_chosen_measures(three_models):
    results = three_models("silhouette", (0.05, 0.04, 0.06), (0.2, 0.18, 0.22), (None, None, None))
    assert "| Silhouette" in space_table(results, ("silhouette",)) and "## Geometry" not in space_table(results, ())
    assert "Silhouette" not in space_table(results, ("uniformity",))


def test_the_markdown_table_line_by_line(three_models):
    results = three_models("silhouette", (0.05, 0.04, 0.06), (0.2, 0.18, 0.22), (None, None, None))
    table = space_table(results)
    lines = table.splitlines()
    assert lines[0] == "# Embedding spaces" and lines[2].startswith("20 documents in 2 categories of specialty")
    start = lines.index("## Clusters")
    assert lines[start + 2] == "| Measure | base (reference) | mlm | declutr |"
    assert lines[start + 4] == "| Silhouette ↑ | 0.050 [0.040, 0.060] | 0.200 [0.180, 0.220] ▲ | - |"
    assert "## Geometry" not in table
    assert lines[-1].startswith("Value [95 % interval") and "the two intervals do not overlap" in lines[-1]


def test_one_model_has_no_marks_and_no_rule_about_them(write_space):
    results = load_space_results(write_space(documents=20, categories=("a", "b"), models={"on|ly": (0.5, 1.0)}))
    table = space_table(results)
    assert "| Measure | on\\|ly |" in table and "▲" not in table and "reference" not in table


def test_measures_stand_in_the_order_of_the_registry(write_space):
    results = load_space_results(write_space(documents=40, categories=("a", "b")))
    names = [row.info.name for row in measure_rows(results)]
    assert set(names) == set(results.models[0].measures)
    groups = [MEASURES[name].group for name in names]
    assert list(dict.fromkeys(groups)) == ["geometry", "clusters", "retrieval", "graph"]
    assert groups == sorted(groups, key=["geometry", "clusters", "retrieval", "graph"].index)


@pytest.mark.parametrize(
    "value, decimals, text",
    [
        (1234.5, 1, "1,234.5"),
        (-0.0004, 3, "0.000"),
        (-0.53, 2, "-0.53"),
        (math.nan, 3, "-"),
        (None, 3, "-"),
        (87, 0, "87"),
    ],
)
def test_numbers(value, decimals, text):
    assert number_text(value, decimals) == text


@pytest.mark.parametrize(
    "value, decimals", [(1234.5, 0), (45.6, 1), (4.5, 2), (0.4, 3), (0.01, 3), (0.004, 4), (87.0, 0)]
)
def test_decimals_by_the_largest_value(three_models, value, decimals):
    ends = (None, None) if value == 87.0 else (value - 0.001, value + 0.001)
    results = three_models("hubness", (value, *ends), (value, *ends), (value, *ends))
    row = measure_rows(results)[0]
    assert row.decimals == decimals and isinstance(row.values[0], Measured)

"""The silhouette against its definition."""

import math

import numpy as np
import pytest

from metrics.clusters import silhouette


def silhouette_by_loops(embeddings, categories):
    def distance(one, other):
        return 1 - sum(x * y for x, y in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)

    rows, coefficients = embeddings.tolist(), []
    for place, row in enumerate(rows):
        distances = {}
        for other, (vector, category) in enumerate(zip(rows, categories, strict=True)):
            if other != place:
                distances.setdefault(category, []).append(distance(row, vector))
        own = distances.pop(categories[place], None)
        if own is None:  # alone in its category
            coefficients.append(0.0)
            continue
        inside = sum(own) / len(own)
        outside = min(sum(others) / len(others) for others in distances.values())
        coefficients.append((outside - inside) / max(inside, outside))
    return sum(coefficients) / len(coefficients)


EAST, NORTH = [1.0, 0.0], [0.0, 1.0]


@pytest.mark.parametrize(
    ("embeddings", "categories", "expected"),
    [
        ([EAST, EAST, NORTH, NORTH], [0, 0, 1, 1], 1.0),
        ([EAST, NORTH, EAST, NORTH], [0, 0, 1, 1], -0.5),  # own category at 1, the other at 1/2
        ([EAST, EAST, NORTH], [0, 0, 1], 2 / 3),  # the one alone in its category counts as 0
        ([EAST, [-1.0, 0.0], NORTH, NORTH], [0, 0, 1, 1], (2 * (1 - 2) / 2 + 2 * 1) / 4),
    ],
)
def test_literal_cases(embeddings, categories, expected):
    assert silhouette(np.array(embeddings), np.array(categories)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("categories", [2, 5])
def test_equals_plain_loops(categories):
    random = np.random.default_rng(categories)
    labels = random.integers(0, categories, 40)
    labels[0] = 99  # alone
    embeddings = random.normal(size=(40, 6)) + np.eye(100, 6)[labels] * 2
    expected = silhouette_by_loops(embeddings, labels.tolist())
    assert silhouette(embeddings, labels) == pytest.approx(expected, abs=1e-5)
    assert abs(expected) > 0.02
    # By the angle alone, whatever the lengths.
    assert silhouette(embeddings * random.uniform(0.1, 9, (40, 1)), labels) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "categories", [[], [3], [1, 1, 1, 1], [0, 1, 2, 3]], ids=["none", "one", "one category", "each its own"]
)
def test_is_not_a_number_where_it_is_not_defined(categories):
    embeddings = np.random.default_rng(0).normal(size=(len(categories), 3))
    assert math.isnan(silhouette(embeddings, np.array(categories, dtype=np.int64)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_embeddings_of_a_diverged_model_give_no_number(value):
    embeddings = np.array([EAST, NORTH, [value, 1.0], NORTH])
    assert math.isnan(silhouette(embeddings, np.array([0, 0, 1, 1])))


def test_large_sets_are_sampled():
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 1_500)
    embeddings = random.normal(size=(1_500, 4)) + 3 * np.eye(4)[labels]
    whole = silhouette(embeddings, labels, max_documents=None)
    assert silhouette(embeddings, labels, max_documents=1_500) == whole
    first = silhouette(embeddings, labels, max_documents=300)
    assert first == silhouette(embeddings, labels, max_documents=300)
    assert first != silhouette(embeddings, labels, max_documents=300, seed=1)
    assert first == pytest.approx(whole, abs=0.05) and first != whole

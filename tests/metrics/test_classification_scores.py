"""Accuracy and macro-F1 against plain loops."""

import math

import numpy as np
import pytest

from metrics.classification import category_scores


def one_hot(predictions, categories):
    return np.eye(categories)[predictions]


def f1_by_loops(targets, predictions):
    """Mean F1 of the columns that occur; both `(documents, categories)` lists of truth values."""
    scores = []
    for category in range(len(targets[0])):
        pairs = [(bool(t[category]), bool(p[category])) for t, p in zip(targets, predictions, strict=True)]
        hits, missed, wrong = (pairs.count(kind) for kind in [(True, True), (True, False), (False, True)])
        if hits + missed + wrong:
            precision = hits / (hits + wrong) if hits + wrong else 0.0
            recall = hits / (hits + missed) if hits + missed else 0.0
            scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return sum(scores) / len(scores)


def test_one_category_a_document_literally():
    # Category 0: precision 2/3, recall 1, F1 4/5. Category 1: precision 1, recall 1/2, F1 2/3. Category 2: F1 1.
    scores = category_scores(one_hot([0, 0, 0, 1, 2], 3), np.array([0, 0, 1, 1, 2]))
    assert scores == pytest.approx({"accuracy": 4 / 5, "f1_macro": (4 / 5 + 2 / 3 + 1) / 3})


def test_categories_that_never_occur_do_not_count():
    assert category_scores(one_hot([0, 1, 1], 5), np.array([0, 1, 1])) == {"accuracy": 1.0, "f1_macro": 1.0}
    # Predicted, though no target: an F1 of 0 that counts.
    scores = category_scores(one_hot([0, 4], 5), np.array([0, 0]))
    assert scores == pytest.approx({"accuracy": 1 / 2, "f1_macro": (2 / 3 + 0) / 2})


def test_one_category_a_document_equals_plain_loops():
    random = np.random.default_rng(0)
    probabilities, targets = random.random((60, 6)), random.integers(0, 5, 60)
    predictions = [max(range(6), key=row.__getitem__) for row in probabilities]
    scores = category_scores(probabilities, targets)
    hits = sum(one == other for one, other in zip(predictions, targets, strict=True))
    assert scores["accuracy"] == pytest.approx(hits / 60)
    assert scores["f1_macro"] == pytest.approx(f1_by_loops(np.eye(6)[targets], np.eye(6)[predictions]))
    assert 0 < scores["f1_macro"] < 0.5


def test_several_categories_a_document_literally():
    targets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]], dtype=np.float32)
    probabilities = np.array([[0.5, 0.1, 0.49], [0.9, 0.4, 0.0], [0.2, 0.0, 0.0], [0.7, 0.8, 0.1]])
    # Predicted: 1 0 0 | 1 0 0 | 0 0 0 | 1 1 0. Column 0: F1 4/5; column 1: F1 2/3; column 2 does not occur.
    assert category_scores(probabilities, targets) == pytest.approx(
        {"accuracy": 2 / 4, "f1_macro": (4 / 5 + 2 / 3) / 2}
    )


@pytest.mark.parametrize("unused", [0, 1, 3])
def test_several_categories_a_document_equal_plain_loops(unused):
    random = np.random.default_rng(unused)
    targets, probabilities = random.random((40, 4)) < 0.4, random.random((40, 4))
    targets[:, :unused], probabilities[:, :unused] = False, 0.2
    scores = category_scores(probabilities, targets.astype(np.float32))
    assert scores["f1_macro"] == pytest.approx(f1_by_loops(targets, probabilities >= 0.5))
    right = [
        all(t == (p >= 0.5) for t, p in zip(*rows, strict=True)) for rows in zip(targets, probabilities, strict=True)
    ]
    assert scores["accuracy"] == pytest.approx(sum(right) / 40)


def test_a_single_category_that_occurs_is_not_read_as_two():
    targets = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], dtype=np.float32)
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.1], [0.1, 0.1]])
    assert category_scores(probabilities, targets) == pytest.approx({"accuracy": 3 / 4, "f1_macro": 4 / 5})


def test_a_column_of_one_category_is_not_read_as_two():
    # Predicted: 1 0 0 1. One hit, one missed, one wrong.
    scores = category_scores(np.array([[0.9], [0.1], [0.1], [0.6]]), np.array([[1], [1], [0], [0]], dtype=np.float32))
    assert scores == pytest.approx({"accuracy": 1 / 2, "f1_macro": 1 / 2})


@pytest.mark.parametrize("categories", [1, 2])
def test_documents_of_no_category_rightly_predicted_have_no_f1(categories):
    targets = np.zeros((3, categories), dtype=np.float32)
    scores = category_scores(np.full((3, categories), 0.1), targets)
    assert scores["accuracy"] == 1.0 and math.isnan(scores["f1_macro"]) and type(scores["f1_macro"]) is float
    # Wrongly predicted, or not predicted though there, they have one, and it is 0.
    assert category_scores(np.full((3, categories), 0.9), targets) == {"accuracy": 0.0, "f1_macro": 0.0}
    assert category_scores(np.full((3, categories), 0.1), targets + 1) == {"accuracy": 0.0, "f1_macro": 0.0}


@pytest.mark.parametrize("targets", [np.zeros(0, dtype=np.int64), np.zeros((0, 3), dtype=np.float32)])
def test_no_documents_have_no_scores(targets):
    assert category_scores(np.zeros((0, 3)), targets) == {}


def test_scores_are_plain_numbers():
    scores = category_scores(one_hot([0, 1], 2), np.array([0, 0]))
    assert {type(value) for value in scores.values()} == {float}
    scores = category_scores(np.array([[0.9, 0.6]]), np.array([[1.0, 0.0]]))
    assert {type(value) for value in scores.values()} == {float}

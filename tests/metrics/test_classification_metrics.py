"""All scores of a table against literal cases, plain loops and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from metrics.calibration import brier_score, expected_calibration_error
from metrics.classification import category_scores, classification_metrics, confusion_counts, per_class_table

SINGLE = {
    *("f1_macro", "accuracy", "precision_macro", "recall_macro", "f1_weighted", "roc_auc_macro", "ece", "brier"),
}
ORDINAL = SINGLE | {"mean_absolute_error", "quadratic_weighted_kappa"}
MULTI = {"f1_macro", "f1_micro", "accuracy", "roc_auc_macro", "brier"}


@pytest.fixture
def single():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 4, 90)
    probabilities = rng.dirichlet([1] * 5, 90)  # the fifth class never occurs
    probabilities[np.arange(90), targets] += 0.3
    return (probabilities / probabilities.sum(1, keepdims=True)).astype(np.float32), targets


def area(scores, truth):
    """The share of pairs of a positive and a negative in the right order."""
    positive, negative = scores[truth], scores[~truth]
    return np.mean([(p > n) + (p == n) / 2 for p in positive for n in negative])


def test_one_class_a_document(single):
    probabilities, targets = single
    said = probabilities.argmax(1)
    found = classification_metrics(probabilities, targets)
    assert found.keys() == SINGLE and {type(value) for value in found.values()} == {float}
    expected = category_scores(probabilities, targets) | {
        "precision_macro": precision_score(targets, said, average="macro", zero_division=0),
        "recall_macro": recall_score(targets, said, average="macro", zero_division=0),
        "f1_weighted": f1_score(targets, said, average="weighted"),
        "roc_auc_macro": np.mean([area(probabilities[:, name], targets == name) for name in range(4)]),
        "ece": expected_calibration_error(probabilities, targets),
        "brier": brier_score(probabilities, targets),
    }
    assert found == pytest.approx(expected)
    assert 0.5 < found["roc_auc_macro"] < 0.95


def test_area_equals_scikit_learn_where_all_classes_occur(single):
    probabilities, targets = single[0][:, :4], single[1]
    probabilities = probabilities / probabilities.sum(1, keepdims=True)
    expected = roc_auc_score(targets, probabilities, multi_class="ovr", average="macro")
    assert classification_metrics(probabilities, targets)["roc_auc_macro"] == pytest.approx(expected)


def test_scores_that_are_not_defined_are_left_out():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert classification_metrics(probabilities, np.array([0, 0])).keys() == SINGLE - {"roc_auc_macro"}
    certain = np.array([[0.9, 0.1], [0.8, 0.2]])
    found = classification_metrics(certain, np.array([0, 0]), ordinal=True)
    assert found.keys() == ORDINAL - {"roc_auc_macro", "quadratic_weighted_kappa"}
    assert classification_metrics(np.zeros((0, 2)), np.zeros(0, dtype=np.int64)) == {}
    found = classification_metrics(np.full((2, 2), 0.1), np.zeros((2, 2), dtype=np.int64))
    assert {"roc_auc_macro", "f1_macro"}.isdisjoint(found) and found["accuracy"] == 1


def kappa_by_loops(targets, said, classes):
    observed = np.mean([(t - s) ** 2 for t, s in zip(targets, said, strict=True)])
    by_chance = np.mean([(t - s) ** 2 for t in targets for s in said])
    assert max(max(targets), max(said)) < classes
    return 1 - observed / by_chance


def test_ordered_classes():
    targets, said = np.array([0, 0, 1, 3, 3, 4]), np.array([0, 1, 1, 4, 1, 4])  # class 2 never occurs
    found = classification_metrics(np.eye(5)[said], targets, ordinal=True)
    assert found.keys() == ORDINAL
    assert found["mean_absolute_error"] == pytest.approx((0 + 1 + 0 + 1 + 2 + 0) / 6)
    assert found["quadratic_weighted_kappa"] == pytest.approx(kappa_by_loops(targets, said, 5))


def test_several_categories_a_document():
    targets = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0]])
    probabilities = np.array([[0.5, 0.1, 0.49], [0.9, 0.4, 0.0], [0.2, 0.0, 0.0], [0.7, 0.8, 0.1]])
    # Predicted: 1 0 0 | 1 0 0 | 0 0 0 | 1 1 0; three of four marks right, one missing.
    found = classification_metrics(probabilities, targets.astype(np.float32))
    assert found.keys() == MULTI
    assert found["f1_micro"] == pytest.approx(2 * 3 / (4 + 4))
    assert found["f1_macro"] == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert found["accuracy"] == 2 / 4
    # Of the first category 0.5 and 0.9 against 0.2 and 0.7, of the second 0.4 and 0.8 against 0.1 and 0.
    assert found["roc_auc_macro"] == pytest.approx((3 / 4 + 1) / 2)
    assert found["brier"] == pytest.approx(brier_score(probabilities, targets))


def test_a_single_category_is_not_read_as_two():
    targets, probabilities = np.array([[1], [1], [0], [0]]), np.array([[0.9], [0.2], [0.6], [0.1]])
    found = classification_metrics(probabilities, targets)
    assert found["f1_micro"] == found["f1_macro"] == pytest.approx(1 / 2)
    assert found["roc_auc_macro"] == pytest.approx(3 / 4)
    assert per_class_table(probabilities, targets, ["sepsis"]) == [
        {"label": "sepsis", "documents": 2, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    ]


def test_per_class_table_literally():
    said = np.eye(3)[[0, 0, 1, 1, 0]]
    assert per_class_table(said, np.array([0, 0, 0, 1, 2]), ["a", "b", "c"]) == [
        {"label": "a", "documents": 3, "precision": 2 / 3, "recall": 2 / 3, "f1": pytest.approx(2 / 3)},
        {"label": "b", "documents": 1, "precision": 1 / 2, "recall": 1.0, "f1": pytest.approx(2 / 3)},
        {"label": "c", "documents": 1, "precision": 0.0, "recall": 0.0, "f1": 0.0},
    ]


def test_confusion_counts_have_a_row_for_every_class():
    counts = confusion_counts(np.array([0, 1, 1, 0]), np.array([0, 0, 1, 3]), 4)
    np.testing.assert_array_equal(counts, [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
    with pytest.raises(ValueError, match="one class a document"):
        confusion_counts(np.eye(2), np.eye(2), 2)

"""Classes of errors and confused types: literal cases, and that every entity is in one class."""

import numpy as np
import pytest

from metrics.entity_errors import ERROR_CLASSES, classified_entities, entity_errors
from metrics.entity_matching import matching_counts
from metrics.entity_scores import strict_counts

A, B, C = "Drug", "Dose", "Form"
CASES = {
    "correct": ([(A, 2, 5)], [(A, 2, 5)], ["correct"]),
    "type": ([(A, 2, 5)], [(B, 2, 5)], ["type"]),
    "boundary": ([(A, 2, 5)], [(A, 2, 6)], ["boundary"]),
    "inside": ([(A, 2, 5)], [(A, 3, 4)], ["boundary"]),
    "both": ([(A, 2, 5)], [(B, 4, 6)], ["both"]),
    "missed": ([(A, 2, 5)], [], ["missed"]),
    "spurious": ([], [(A, 2, 5)], ["spurious"]),
    "adjacent": ([(A, 2, 5)], [(A, 5, 6)], ["missed", "spurious"]),
    "one for two": ([(A, 0, 2), (A, 2, 6)], [(A, 0, 6)], ["boundary", "missed"]),
    "two for one": ([(A, 0, 6)], [(B, 0, 2), (A, 2, 6)], ["boundary", "spurious"]),
    "nested": ([(A, 0, 6), (B, 2, 3)], [(B, 2, 3), (A, 0, 6)], ["correct", "correct"]),
    "given twice": ([(A, 0, 6), (A, 0, 6)], [(A, 0, 6)], ["correct"]),
}


@pytest.mark.parametrize("name", CASES)
def test_classes_of_literal_cases(name):
    gold, predicted, expected = CASES[name]
    assert [entry[0] for entry in classified_entities(gold, predicted)] == expected


def test_the_partner_is_the_one_that_shares_most():
    found = classified_entities([(A, 0, 3), (A, 3, 9)], [(A, 2, 8)])
    assert found == [("boundary", (A, 3, 9), (A, 2, 8)), ("missed", (A, 0, 3), None)]
    # The same type goes before the larger share.
    found = classified_entities([(A, 0, 3), (B, 3, 9)], [(A, 2, 8)])
    assert found == [("boundary", (A, 0, 3), (A, 2, 8)), ("missed", (B, 3, 9), None)]
    # Equal shares: the first.
    assert classified_entities([(A, 0, 2), (A, 2, 4)], [(A, 1, 3)])[0] == ("boundary", (A, 0, 2), (A, 1, 3))


def test_counts_by_type_and_confusion_of_literal_documents():
    gold = [[(A, 0, 2), (B, 3, 4), (A, 6, 8), (B, 9, 10)], [(A, 0, 1)]]
    predicted = [[(A, 0, 2), (A, 3, 4), (A, 7, 9), (C, 9, 11)], [(C, 4, 5), (C, 5, 6)]]
    errors = entity_errors(gold, predicted, [A, B, C])
    #                              correct type boundary both missed spurious
    assert errors.by_type.tolist() == [[1, 0, 1, 0, 1, 0], [0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 2]]
    assert errors.confusion.tolist() == [[2, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 2, 0]]


def random_entities(rng, number):
    starts = rng.integers(0, 60, number)
    spans = zip(rng.choice([A, B, C], number), starts, starts + rng.integers(1, 5, number), strict=True)
    return [(str(label), int(start), int(end)) for label, start, end in spans]


@pytest.mark.parametrize("seed", range(5))
def test_every_entity_is_in_one_class(seed):
    rng = np.random.default_rng(seed)
    gold, predicted = ([random_entities(rng, 40) for _ in range(3)] for _ in range(2))
    classes = dict.fromkeys(ERROR_CLASSES, 0)
    for true, said in zip(gold, predicted, strict=True):
        found = classified_entities(true, said)
        assert sorted(span for _, span, _ in found if span) == sorted(set(true))
        assert sorted(span for _, _, span in found if span) == sorted(set(said))
        for name, first, second in found:
            classes[name] += 1
            assert name == plain_class(first, second)
        # No two that are left alone overlap each other.
        alone = [
            [span for name, *pair in found for span in pair if span and name == kind] for kind in ERROR_CLASSES[4:]
        ]
        assert not any(a[1] < b[2] and b[1] < a[2] for a in alone[0] for b in alone[1])
    labels = [A, B, C]
    errors = entity_errors(gold, predicted, labels)
    assert dict(zip(ERROR_CLASSES, errors.by_type.sum(0).tolist(), strict=True)) == classes
    counts = strict_counts(gold, predicted, labels).sum(0)
    assert classes["correct"] == counts[:, 0].sum() == matching_counts(gold, predicted).sum(0)[0, 0]
    np.testing.assert_array_equal(errors.by_type[:, 0], counts[:, 0])
    np.testing.assert_array_equal(errors.confusion[:-1].sum(1), counts[:, 2])
    np.testing.assert_array_equal(errors.confusion[:, :-1].sum(0), counts[:, 1])
    assert errors.confusion[-1, -1] == 0 and min(classes.values()) > 0


def plain_class(gold, predicted):
    if gold is None:
        return "spurious"
    if predicted is None:
        return "missed"
    assert gold[1] < predicted[2] and predicted[1] < gold[2]
    if gold[1:] == predicted[1:]:
        return "correct" if gold[0] == predicted[0] else "type"
    return "boundary" if gold[0] == predicted[0] else "both"


def test_a_type_that_is_no_label():
    with pytest.raises(ValueError, match="not among the labels: Form"):
        entity_errors([[(A, 0, 1)]], [[(C, 0, 1)]], [A])

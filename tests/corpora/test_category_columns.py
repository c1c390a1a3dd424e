"""Metadata columns: what counts as a category, which number it has, and which columns are refused."""

import math
import pickle

import numpy as np
import pytest
from datasets import Dataset, Features, Sequence, Value

from corpora.category_columns import (
    NO_CATEGORY,
    CategoryColumn,
    category_column,
    category_values,
    count_categories,
    sort_labels,
)
from corpora.errors import InputError

QUOTED = ['Consult, "urgent"', "Physician's note", "a;b", "a, b", "a", "Übergabe", 'he said ""no""']


def column(values, **options):
    return category_column(Dataset.from_dict({"kind": values}), "kind", **options)


def test_labels_are_sorted_and_counted_without_missing_values():
    found = column(["Radiology", "Nursing", None, "Nursing", "", "  ", " Echo ", "Radiology", "Nursing"])
    assert found == CategoryColumn("kind", ("Echo", "Nursing", "Radiology"), (1, 3, 2), multi_label=False)
    assert [found.encode(label) for label in ("Echo", "Nursing", " Radiology ")] == [0, 1, 2]
    assert isinstance(found.encode("Echo"), int)


@pytest.mark.parametrize("value", [None, "", " \n", math.nan, "Dietary", "nursing"])
def test_missing_and_unseen_values_have_no_category(value):
    assert column(["Nursing", "Radiology"]).encode(value) == NO_CATEGORY == -100


def test_whole_numbers_sort_by_size():
    found = column([10, 9, 2, None, 9, 100])
    assert found.labels == ("2", "9", "10", "100") and found.counts == (1, 2, 1, 1)
    for value in (9, 9.0, "9", " 9 ", "9.0", np.int64(9), np.float64(9)):
        assert found.encode(value) == 1, value
    assert found.encode(90) == NO_CATEGORY


def test_numbers_as_text_sort_by_size_and_before_words():
    assert column(["10", "b", "9", "a", "2", "9", "ward 10", "ward 9"]).labels == (
        ("2", "9", "10", "a", "b", "ward 10", "ward 9")
    )


def test_fractions_and_negative_numbers_sort_by_size_and_before_words():
    found = column([0.5, -1.25, 10.25, None, 9.75, -10.5, 0.5])
    assert found.labels == ("-10.5", "-1.25", "0.5", "9.75", "10.25") and found.counts == (1, 1, 2, 1, 1)
    assert [found.encode(value) for value in (-10.5, "0.5", 10.25, 0.25)] == [0, 2, 4, NO_CATEGORY]
    # What only looks like a number is a word.
    words = ["+3", "-", ".5", "1 mg", "1.", "1.2.3", "1e3", "a"]
    values = ["1.2.3", "10.25", "a", "1e3", "-3", "0.5", "1 mg", "+3", "-1.5", "9", ".5", "-", "1."]
    assert column(values).labels == ("-3", "-1.5", "0.5", "9", "10.25", *words)


def test_labels_sort_alike_in_any_order():
    labels = ["-2", "-0.5", "0", "1.5", "1.50", "10", "Echo", "echo", "ward 10", "ward 9"]
    random = np.random.default_rng(0)
    for _ in range(20):
        assert sort_labels(random.permutation(labels).tolist()) == labels
    assert sort_labels({"b": 1, "a": 9}) == ["a", "b"] and sort_labels([]) == []


def test_whole_floats_are_whole_numbers():
    # What pandas makes of whole numbers in a column with gaps.
    found = column([1.0, 10.0, None, 2.0, 10.0])
    assert found.labels == ("1", "2", "10") and found.counts == (1, 1, 2)
    assert found.encode(10.0) == found.encode(10) == 2


def test_truth_values_are_categories():
    found = column([True, None, False, True])
    assert found.labels == ("False", "True") and found.counts == (1, 2)
    assert [found.encode(value) for value in (True, False, None)] == [1, 0, NO_CATEGORY]


def test_names_with_commas_and_quotes_stay_whole():
    found = column([name for place, name in enumerate(QUOTED) for _ in range(place + 1)])
    assert sorted(found.labels) == sorted(QUOTED)
    assert {label: found.counts[found.encode(label)] for label in QUOTED} == {
        label: place + 1 for place, label in enumerate(QUOTED)
    }


def test_lists_are_several_categories_a_document():
    found = column([["renal", "cardiac"], None, ["cardiac"], [], ["renal", "cardiac", "renal", None, ""], ["skin"]])
    assert found.multi_label and found.labels == ("cardiac", "renal", "skin")
    assert found.counts == (3, 2, 1)  # a document that repeats a category counts once


def test_lists_of_one_label_are_a_yes_or_no():
    found = column([["fall"], [], None, ["fall", "fall"], [None, ""]])
    assert found == CategoryColumn("kind", ("fall",), (2,), multi_label=True)
    assert found.encode(["fall"]).tolist() == [1] and found.encode([]).tolist() == [0]
    assert np.isnan(found.encode(None)).all() and found.encode(None).shape == (1,)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["skin", "cardiac"], [1, 0, 1]),
        (("renal",), [0, 1, 0]),
        (np.array(["renal", "renal"]), [0, 1, 0]),
        ("renal", [0, 1, 0]),
        ([], [0, 0, 0]),
        (["renal", "unseen"], [0, 1, 0]),
        (["unseen"], [math.nan] * 3),
        (None, [math.nan] * 3),
    ],
)
def test_a_list_becomes_a_vector(value, expected):
    vector = CategoryColumn("kind", ("cardiac", "renal", "skin"), (1, 1, 1), multi_label=True).encode(value)
    assert vector.dtype == np.float32
    np.testing.assert_array_equal(vector, np.array(expected, dtype=np.float32))


def test_a_first_list_after_many_missing_ones_is_found():
    documents = Dataset.from_dict(
        {"kind": [None] * 10_500 + [["a"], ["a", "b"]]}, features=Features({"kind": Sequence(Value("string"))})
    )
    found = category_column(documents, "kind")
    assert found.multi_label and found.labels == ("a", "b") and found.counts == (2, 1)


def test_the_format_of_the_documents_does_not_matter():
    documents = Dataset.from_dict({"kind": ["b", None, "a", "b"], "tags": [["x"], ["y"], None, []], "ids": [[1]] * 4})
    formatted = documents.with_format("numpy", columns=["ids"], output_all_columns=True)
    for name in ("kind", "tags"):
        assert category_column(formatted, name) == category_column(documents, name)
        assert category_column(documents.with_format("numpy"), name) == category_column(documents, name)


def test_counts_reach_over_all_chunks():
    values = [str(number % 7) for number in range(23_000)]
    assert count_categories(Dataset.from_dict({"kind": values}), "kind") == {
        str(digit): values.count(str(digit)) for digit in range(7)
    }


def test_values_of_a_cell():
    assert category_values(None) == category_values(" ") == category_values([]) == category_values([None, ""]) == []
    assert category_values(3.0) == ["3"]
    assert category_values(["b", "a", "b", 2]) == ["b", "a", "2"]


def test_unseen_values_are_counted():
    found = column(["a", "b", "b"])
    others = Dataset.from_dict({"kind": ["a", "c", None, "d", "c", "", "b"]})
    assert found.unseen(others) == {"c": 2, "d": 1}
    assert found.unseen(Dataset.from_dict({"kind": ["b", "a", None]})) == {}


def test_unseen_values_of_lists_are_counted():
    found = column([["a", "b"], ["b"]])
    assert found.unseen(Dataset.from_dict({"kind": [["a", "c"], None, ["c", "d", "d"], []]})) == {"c": 2, "d": 1}


def test_a_column_crosses_to_a_worker_process():
    found = column(["10", "9", "x"])
    assert found.encode("10") == 1  # fills the cache first
    copy = pickle.loads(pickle.dumps(found))
    assert copy == found and [copy.encode(value) for value in ("9", "10", "x", "y")] == [0, 1, 2, NO_CATEGORY]


@pytest.mark.parametrize("name", ["document_id", "patient_id", "dup_group"])
def test_ids_are_no_categories(name):
    documents = Dataset.from_dict({"kind": ["a", "b"], name: ["1", "2"]})
    for data in (documents, documents.remove_columns(name)):
        with pytest.raises(InputError, match="the column holds ids, not categories; choose another column") as caught:
            category_column(data, name)
        assert caught.value.column == name
    assert category_column(documents.rename_column(name, f"{name}s"), f"{name}s").labels == ("1", "2")


SECRET = "Mrs Quatermain fell"
LONG = f"{SECRET} {'again and ' * 8}again"
assert len(LONG) > 80


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([None, None, "", " "], "no training document has a category"),
        ([[], [], None], "no training document has a category"),
        ([SECRET, SECRET, None, f" {SECRET} "], "all training documents that have a category have the same one"),
        ([LONG, LONG], "have the same one"),  # before its length counts
        ([f"{SECRET} {number} times" for number in range(5_000)], "5,000 different values in 5,000 training documents"),
        ([f"{LONG} {number}" for number in range(201)] * 2, "201 different values in 402 training documents"),
        ([LONG, "Nursing"] * 9, f"values of up to {len(LONG)} characters: the column looks like free text"),
        ([["Nursing", LONG], ["Nursing"], [LONG]], f"values of up to {len(LONG)} characters"),
        ([[LONG], [LONG], []], f"values of up to {len(LONG)} characters"),
        ([f"{SECRET} {number} times" for number in range(21)], "21 values occur once: the column looks like free text"),
        ([[f"{SECRET} {number}", "Nursing"] for number in range(30)], "30 values occur once"),
    ],
)
def test_columns_without_categories_are_refused_and_not_quoted(values, problem):
    with pytest.raises(InputError, match=problem) as caught:
        column(values)
    message = str(caught.value)
    assert message.startswith("column 'kind': ") and caught.value.remedy and "\n" not in message
    assert not set(SECRET.split()) & set(message.split())


@pytest.mark.parametrize("values", [lambda *labels: list(labels), lambda *labels: [[one] for one in labels]])
def test_the_longest_value_has_80_characters(values):
    assert column(values("a" * 80, "b", "b")).labels == ("a" * 80, "b")
    assert column(values(f"  {'a' * 80}\n", "b")).labels == ("a" * 80, "b")  # as it is read, without the blanks
    with pytest.raises(InputError, match=r"values of up to 81 characters: .*; choose another column, or group its val"):
        column(values("a" * 81, "b", "b"))


@pytest.mark.parametrize(
    ("once", "repeated", "fits"),
    [(20, 0, True), (21, 0, False), (11, 10, False), (11, 11, True), (10, 11, True), (0, 21, True), (101, 99, False)],
)
def test_many_values_that_mostly_occur_once_are_free_text(once, repeated, fits):
    values = [f"once {number}" for number in range(once)] + [f"often {number}" for number in range(repeated)] * 2
    if fits:
        assert len(column(values).labels) == once + repeated
        return
    with pytest.raises(InputError, match=rf"^column 'kind': {once} values occur once: the column looks like free text"):
        column(values)


def test_free_text_is_refused_whatever_bound_is_passed():
    values = [f"{SECRET} {number} times" for number in range(1_500)]
    with pytest.raises(InputError, match="1,500 values occur once: the column looks like free text") as caught:
        column(values, max_categories=5_000)
    assert "Quatermain" not in str(caught.value)


def test_a_missing_column_is_refused():
    with pytest.raises(InputError, match=r"column 'Kind': the column is missing; .*--label_columns"):
        category_column(Dataset.from_dict({"kind": ["a", "b"]}), "Kind")


def test_the_bound_on_values_can_be_raised_as_the_message_says():
    values = [f"ward {number}" for number in range(201)] * 2
    assert len(column(values[:200] * 2).labels) == 200
    with pytest.raises(InputError, match=r"201 different values in 402 .*--max_categories 201 if they are"):
        column(values)
    assert len(column(values, max_categories=201).labels) == 201

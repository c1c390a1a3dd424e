"""A label column as a task: which documents count, in what order classes come, and which columns are refused."""

import json
import pickle
import re

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Features, Sequence, Value

from corpora.category_columns import NO_CATEGORY
from corpora.errors import InputError
from corpora.label_tasks import ClassificationTask, LabelOptions, SplitLabels, classification_task

ONE = LabelOptions(min_class_documents=1)


def corpus(train, test=None, validation=None):
    parts = {"train": train, "validation": validation, "test": test if test is not None else train}
    return DatasetDict(
        {
            split: Dataset.from_dict({"kind": values, "document_id": [f"{split}{n}" for n in range(len(values))]})
            for split, values in parts.items()
            if values is not None
        }
    )


def make(train, test=None, validation=None, **options):
    options = LabelOptions(**{"min_class_documents": 1} | options)
    return classification_task(corpus(train, test, validation), "kind", options, file="notes")


def test_documents_are_kept_left_out_and_counted():
    train = ["b"] * 6 + ["a"] * 5 + ["rare"] * 4 + [None, "", " "]
    test = ["a", "rare", "new", None, "b", "b", "newer"]
    data = corpus(train, test, validation=[" a ", "b", "rare"])
    task = classification_task(data, "kind")
    assert (task.kind, task.labels, task.rare) == ("single_label", ("a", "b"), {"rare": 4})
    assert task.splits == {
        "train": SplitLabels(labelled=11, missing=3, rare=4, unseen=0, classes={"a": 5, "b": 6}),
        "validation": SplitLabels(labelled=2, missing=0, rare=1, unseen=0, classes={"a": 1, "b": 1}),
        "test": SplitLabels(labelled=3, missing=1, rare=1, unseen=2, classes={"a": 1, "b": 2}),
    }
    assert task.warnings == (
        "kind: 1 classes with fewer than 5 training documents are left out, with their documents "
        "(4 of train, 1 of validation, 1 of test)",
        "kind: 2 documents of split test have a label that no training document has; they are left out of the scores",
    )
    assert task.targets(data["test"]).tolist() == [0, *[NO_CATEGORY] * 3, 1, 1, NO_CATEGORY]
    rows, targets = task.labelled(data["test"])
    assert rows.tolist() == [0, 4, 5] and targets.tolist() == [0, 1, 1] and targets.dtype == np.int64
    assert json.loads(json.dumps(task.as_dict())) == {
        "label_column": "kind",
        "task": "single_label",
        "labels": ["a", "b"],
        "rare_classes": 1,
        "splits": {
            split: {key: getattr(counts, key) for key in ("labelled", "missing", "rare", "unseen", "classes")}
            for split, counts in task.splits.items()
        },
    }
    copy: ClassificationTask = pickle.loads(pickle.dumps(task))
    assert copy == task and copy.targets(data["test"]).tolist() == task.targets(data["test"]).tolist()


def test_the_training_split_alone_defines_the_classes():
    data = corpus(["a", "b", "c"], ["c", "d"])
    task = classification_task({"dev": data["test"], "fit": data["train"]}, "kind", ONE, train_split="fit")
    assert task.labels == ("a", "b", "c") and list(task.splits) == ["fit", "dev"]
    assert task.splits["dev"].unseen == 1
    assert task.warnings[-1] == "kind: 2 of 3 classes have no document in split dev"


def test_whole_numbers_are_classes_by_size_also_as_floats_of_a_column_with_gaps():
    for values in ([10, 9, 2, 9], ["10", "9", "2", "9"], [10.0, 9.0, 2.0, 9.0], ["10.0", "9", "2.0", " 9 "]):
        task = make([*values, None])
        assert task.labels == ("2", "9", "10") and task.splits["train"].missing == 1
        assert task.targets(Dataset.from_dict({"kind": values})).tolist() == [2, 1, 0, 1]
        assert task.kind == "single_label" and make(values, task="ordinal").labels == task.labels


def test_the_users_order_makes_a_scale():
    train = ["severe", "mild", "moderate", "mild", "severe"]
    task = make(train, label_order=["mild", "moderate", "severe"])
    assert (task.kind, task.labels) == ("ordinal", ("mild", "moderate", "severe"))
    assert task.targets(Dataset.from_dict({"kind": train})).tolist() == [2, 0, 1, 0, 2]
    assert make(train).labels == ("mild", "moderate", "severe") and make(train).kind == "single_label"
    assert make(train, label_order=["severe", "mild", "moderate"], task="single_label").labels[0] == "severe"
    # A grade that training lacks is rare, and the scale goes on without it.
    task = make(train, label_order=["none", "mild", "moderate", "severe"])
    assert task.labels == ("mild", "moderate", "severe") and task.rare == {"none": 0}
    assert make([0.5, 1, 2, 0.5], label_order=["0.5", "1", "2"]).labels == ("0.5", "1", "2")
    assert make([-2, 10, 0, -10], task="ordinal").labels == ("-10", "-2", "0", "10")


def test_labels_are_grouped_into_classes():
    groups = {"low": ["1", "2", "3"], "high": ["4", 5]}
    train, test = [1, 2, 3, 4, 5, 5, 9, None], [3, 4, 6]
    task = make(train, test, label_groups=groups, ignored_labels=["9"])
    assert (task.kind, task.labels) == ("single_label", ("low", "high"))
    assert task.targets(Dataset.from_dict({"kind": train})).tolist() == [0, 0, 0, 1, 1, 1, -100, -100]
    assert task.splits["train"] == SplitLabels(6, 2, 0, 0, {"low": 3, "high": 3})
    assert task.splits["test"] == SplitLabels(2, 0, 0, 1, {"low": 1, "high": 1})
    scale = make(train, test, label_groups=groups, ignored_labels=["9"], task="ordinal", label_order=["high", "low"])
    assert (scale.kind, scale.labels) == ("ordinal", ("high", "low"))
    lists = make([["1", "3"], ["3", "4"], ["9"], []], label_groups=groups, ignored_labels=["9"])
    np.testing.assert_array_equal(
        lists.targets(Dataset.from_dict({"kind": [["1", "3"], ["3", "4"], ["9"], []]})),
        np.array([[1, 0], [1, 1], [np.nan, np.nan], [0, 0]], dtype=np.float32),
    )


def test_lists_are_several_labels_a_document():
    train = [["a", "b"]] * 3 + [["b"]] * 2 + [["rare", "a"], ["rare"], [], None, ["a", None, ""]]
    test = [["b", "new"], ["new"], ["rare"], None, []]
    data = corpus(train, test)
    task = classification_task(data, "kind", LabelOptions(min_class_documents=3))
    assert (task.kind, task.labels, task.rare) == ("multi_label", ("a", "b"), {"rare": 2})
    assert task.splits == {
        "train": SplitLabels(labelled=8, missing=1, rare=1, unseen=0, classes={"a": 5, "b": 5}),
        "test": SplitLabels(labelled=2, missing=1, rare=1, unseen=1, classes={"a": 0, "b": 1}),
    }
    rows, targets = task.labelled(data["test"])
    assert rows.tolist() == [0, 4] and targets.tolist() == [[0, 1], [0, 0]] and targets.dtype == np.int64
    assert task.targets(data["test"]).dtype == np.float32
    # One label that holds or not is a task; one that always holds is none.
    empty = Features({"kind": Sequence(Value("string"))})
    found = Dataset.from_dict({"kind": [["a"], [], ["a"], []]}, features=empty)
    assert classification_task({"train": found}, "kind", ONE).labels == ("a",)
    with pytest.raises(InputError, match="have the same one"):
        classification_task({"train": found.select([0, 2])}, "kind", ONE)


def test_single_values_may_be_asked_for_as_several_labels():
    task = make(["a", "b", "", None, "a"], task="multi_label")
    targets = task.targets(Dataset.from_dict({"kind": ["a", "b", "", None]}))
    np.testing.assert_array_equal(targets, [[1, 0], [0, 1], [np.nan] * 2, [np.nan] * 2])


SECRET = "Mrs Quatermain fell from the trolley at night"


@pytest.mark.parametrize(
    ("train", "options", "words"),
    [
        ([None, "", " "], {}, "no training document has a label"),
        ([[], None, []], {}, "no training document has a label"),
        (["a", "a", None], {}, "all training documents that have a label have the same one"),
        (["a"] * 9 + ["b", "b"], {"min_class_documents": 5}, "1 class is left without the 1 that have fewer than 5"),
        (["a", "b"], {"min_class_documents": 2}, "no class is left without the 2"),
        (["a", "a", "b"], {"min_class_documents": 2, "rare_classes": "error"}, r"1 of 2 classes .* 2 .*\('b'\)"),
        ([0.25, 1.0, 3.5, None], {}, "3 different numbers with fractions"),
        (["0.25", "1", "3e-2"], {}, "3 different numbers with fractions"),
        ([0.25, 1.0, 3.5], {"task": "ordinal"}, "--label_order"),
        (["a", "b", "10"], {"task": "ordinal"}, "their order is not known; .*--label_order"),
        (["mild", "severe", "svere"], {"label_order": ["mild", "severe"]}, r"1 labels .* --label_order \('svere'\)"),
        (list("abcdefg"), {"label_order": ["a", "b"]}, r"5 labels .*\('c', 'd', 'e' and 2 more\)"),
        ([1, 2, 6], {"label_groups": {"low": ["1"], "high": ["2"]}}, r"1 labels .* --label_groups \('6'\)"),
        ([["a"], ["b"]], {"task": "ordinal"}, "lists of labels.*--task multi_label"),
        ([["a"], ["b"]], {"task": "single_label"}, "lists of labels.*--task multi_label"),
        ([f"ward {n}" for n in range(9)], {"max_classes": 8}, "9 different labels are more than --max_classes 8"),
        ([SECRET * 2, "a", "b"], {}, "a label of 90 characters looks like free text"),
        ([SECRET, "a", "b"], {"label_order": ["a", "b"]}, r"1 labels .*\(one of 45 characters\)"),
        ([SECRET, SECRET, "b"], {"min_class_documents": 3, "rare_classes": "error"}, r"\(one of 45 characters, 'b'\)"),
        (["a\nb", "b"], {"label_order": ["b"]}, r"\(one of 3 characters\)"),
    ],
)
def test_columns_that_are_no_classes_are_refused(train, options, words):
    with pytest.raises(InputError) as caught:
        make(train, **options)
    message = str(caught.value)
    assert re.search(words, message), message
    assert message.startswith("notes, column 'kind': ") and caught.value.remedy and "\n" not in message
    assert "Quatermain" not in message


def test_a_split_without_the_column_or_without_labels_is_refused():
    data = corpus(["a", "b"], ["a", "b"])
    data["validation"] = Dataset.from_dict({"document_id": ["x"]})
    with pytest.raises(InputError, match="column 'kind': the column is missing from split validation; name it in"):
        classification_task(data, "kind", ONE)
    for test in ([None, None], ["c", None], []):
        with pytest.raises(InputError, match="no document of split test has a class of the training documents"):
            make(["a", "b"], test)
    with pytest.raises(InputError, match="no split 'dev'; choose from train, test"):
        classification_task(corpus(["a", "b"]), "kind", ONE, train_split="dev")
    with pytest.raises(InputError, match="holds ids or texts"):
        classification_task(corpus(["a", "b"]), "document_id", ONE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_class_documents": 0}, "--min_class_documents"),
        ({"max_classes": 0}, "--max_classes"),
        ({"label_order": ["a", "a"]}, "--label_order names a label twice"),
        ({"label_groups": {"low": ["1"], "high": ["1"]}}, "names '1' twice"),
        ({"label_groups": {"low": ["1"], "high": ["2"]}, "ignored_labels": ["2"]}, "names '2' twice"),
        ({"label_groups": {"low": ["1", "2"]}}, "fewer than two groups"),
        ({"label_groups": {"low": "1", "high": "2"}}, "not a mapping of names to lists"),
        ({"label_groups": {"low": [], "high": ["2"]}}, "not a mapping of names to lists"),
    ],
)
def test_options_that_contradict_themselves_are_refused(options, words):
    with pytest.raises(InputError, match=words):
        make([1, 2, 1, 2], **options)

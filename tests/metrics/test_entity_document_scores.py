"""All scores of a tagger at once, and as an `evaluate.Metric`."""

import json

import numpy as np
import pytest

from metrics.entity_scores import spans_by_document
from metrics.tagging_scores import score_documents, scores_of_counts, tagging_counts

GOLD = [["B-Drug", "I-Drug", "O", "B-Dose"], ["O", "B-Drug"], ["B-Dose", "O"]]
PREDICTED = [["B-Drug", "I-Drug", "O", "B-Drug"], ["B-Drug", "I-Drug"], ["O", "O"]]
IDS = ["a", "a", "b"]


def spans(tags):
    return list(spans_by_document(tags, IDS).values())


def test_names_and_values_of_a_literal_case():
    scores = score_documents(spans(GOLD), spans(PREDICTED), GOLD, PREDICTED)
    expected = {
        "true_positives": 1,
        "predicted_entities": 3,
        "gold_entities": 4,
        "precision_micro": 1 / 3,
        "recall_micro": 1 / 4,
        "f1_micro": 2 / 7,
        "f1_macro": (2 / 5 + 0) / 2,
        "precision_macro": 1 / 6,
        "recall_weighted": 1 / 4,
        "f1_of_Drug": 2 / 5,
        "precision_of_Drug": 1 / 3,
        "recall_of_Dose": 0,
        "gold_of_Dose": 2,
        "predicted_of_Dose": 0,
        "predicted_of_Drug": 3,
        "exact_f1": 2 * 2 / 7,
        "partial_f1": 2 * 2.5 / 7,
        "ent_type_f1": 2 * 2 / 7,
        "errors_correct": 1,
        "errors_type": 1,
        "errors_boundary": 1,
        "errors_both": 0,
        "errors_missed": 1,
        "errors_spurious": 0,
        "token_level_accuracy": 4 / 8,
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected)
    assert all(type(value) is float for value in scores.values())
    json.dumps(scores, allow_nan=False)


def test_tags_are_optional_but_come_in_pairs():
    without = score_documents(spans(GOLD), spans(PREDICTED))
    whole = score_documents(spans(GOLD), spans(PREDICTED), GOLD, PREDICTED)
    assert {name: value for name, value in whole.items() if not name.startswith("token_level")} == without
    with pytest.raises(ValueError, match="gold and predicted tags"):
        score_documents(spans(GOLD), spans(PREDICTED), GOLD)


def test_no_document_and_no_entity_are_scored():
    assert score_documents([], [])["f1_micro"] == 0
    scores = score_documents([[]], [[]], [["O"]], [["O"]])
    assert scores["f1_macro"] == scores["exact_f1"] == 0 and scores["token_level_f1_macro"] == 1


def test_labels_and_ids_are_kept():
    counts = tagging_counts(spans(GOLD), spans(PREDICTED), ["a", "b"], ["Dose", "Drug", "Form"])
    assert counts.document_ids == ("a", "b") and counts.labels == ("Dose", "Drug", "Form")
    assert counts.strict.shape == (2, 3, 3) and counts.matching.shape == (2, 4, 5)
    assert counts.errors.shape == (3, 6) and counts.confusion.shape == (4, 4)
    # A type that does not occur changes no average.
    default = scores_of_counts(tagging_counts(spans(GOLD), spans(PREDICTED)))
    found = scores_of_counts(counts)
    assert {name: found[name] for name in default} == default and found["gold_of_Form"] == 0
    with pytest.raises(ValueError, match="1 document ids for 2 documents"):
        tagging_counts(spans(GOLD), spans(PREDICTED), ["a"])


def test_the_evaluate_metric(tmp_path):
    from metrics.evaluate_entities import EntityMetric

    metric = EntityMetric(cache_dir=str(tmp_path))
    metric.add_batch(predictions=PREDICTED[:2], references=GOLD[:2], document_ids=IDS[:2])
    metric.add_batch(predictions=PREDICTED[2:], references=GOLD[2:], document_ids=IDS[2:])
    found = metric.compute(resamples=50)
    expected = score_documents(spans(GOLD), spans(PREDICTED), GOLD, PREDICTED)
    assert {name: found.pop(name) for name in expected} == pytest.approx(expected)
    assert set(found) == {"f1_micro_low", "f1_micro_high", "f1_macro_low", "f1_macro_high"}
    # Of two documents one has 2/5 and the other 0.
    assert found["f1_micro_low"] == 0 and found["f1_micro_high"] == pytest.approx(2 / 6)
    assert np.isfinite(list(found.values())).all()

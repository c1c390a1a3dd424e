"""Strict span-level scores: literal cases, and seqeval on random tags."""

import warnings

import numpy as np
import pytest

from metrics.entity_scores import (
    STRICT_METRICS,
    entity_types,
    ordered_spans,
    scores_by_type,
    spans_by_document,
    strict_counts,
    strict_scores,
)

LABELS = ("Drug", "Dose", "Route")
TAGS = ["O", *(f"{prefix}-{label}" for label in LABELS for prefix in "BI")]


def random_tags(rng, sentences, labels=LABELS, length=14):
    """Sentences of words with any tag after any other, I- without B- among them."""
    tags = ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]
    shares = np.array([0.4, *([0.6 / (2 * len(labels))] * 2 * len(labels))])
    sizes = rng.integers(0, length, sentences)
    return [[str(tag) for tag in rng.choice(tags, size, p=shares)] for size in sizes]


def disturbed(rng, sentences, share):
    return [[str(rng.choice(TAGS)) if rng.random() < share else tag for tag in tags] for tags in sentences]


def test_spans_count_words_within_the_document():
    tags = [["O", "B-Drug", "I-Drug"], ["B-Dose"], ["I-Drug", "B-Drug", "B-Drug"], []]
    found = spans_by_document(tags, ["b", "a", "b", "c"])
    assert list(found) == ["b", "a", "c"]
    assert found == {"b": [("Drug", 1, 3), ("Drug", 4, 5), ("Drug", 5, 6)], "a": [("Dose", 0, 1)], "c": []}


def test_an_entity_ends_with_its_sentence():
    assert spans_by_document([["B-Drug"], ["I-Drug"]], ["a", "a"]) == {"a": [("Drug", 0, 1)]}


def test_as_many_documents_as_sentences():
    with pytest.raises(ValueError, match="shorter"):
        spans_by_document([["O"], ["O"]], ["a"])


def test_spans_are_put_in_order_once():
    spans = [("b", 3, 4), ("b", 0, 9), ("a", 3, 4), ["b", 3, 4]]
    assert ordered_spans(spans) == [("b", 0, 9), ("a", 3, 4), ("b", 3, 4)]
    with pytest.raises(ValueError, match="ends where it starts"):
        ordered_spans([("a", 3, 3)])


def test_counts_of_a_literal_case():
    gold = [[("Drug", 0, 2), ("Dose", 3, 4)], [], [("Drug", 5, 6)]]
    predicted = [[("Drug", 0, 2), ("Drug", 3, 4), ("Drug", 0, 2)], [("Route", 0, 1)], [("Drug", 4, 6)]]
    assert entity_types(gold, predicted) == ["Dose", "Drug", "Route"]
    counts = strict_counts(gold, predicted, ["Dose", "Drug", "Route"])
    expected = [
        [[0, 0, 1], [1, 2, 1], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 1, 0]],
        [[0, 0, 0], [0, 1, 1], [0, 0, 0]],
    ]
    assert counts.tolist() == expected
    sums = counts.sum(0)
    scores = strict_scores(sums)
    assert set(scores) == set(STRICT_METRICS)
    assert scores["precision_micro"] == pytest.approx(1 / 4) and scores["recall_micro"] == pytest.approx(1 / 3)
    assert scores["f1_micro"] == pytest.approx(2 / 7)
    assert scores_by_type(sums)["f1"].tolist() == [0, pytest.approx(2 / 5), 0]
    assert scores["f1_macro"] == pytest.approx(2 / 15)  # Route, which is only predicted, is one of three
    assert scores["f1_weighted"] == pytest.approx(2 / 5 * 2 / 3)


def test_a_type_that_does_not_occur_is_no_part_of_the_macro_average():
    gold = predicted = [[("Drug", 0, 2)]]
    assert strict_scores(strict_counts(gold, predicted, LABELS).sum(0))["f1_macro"] == 1


def test_no_entities_score_0():
    scores = strict_scores(strict_counts([[], []], [[], []], LABELS).sum(0))
    assert {name: float(value) for name, value in scores.items()} == dict.fromkeys(STRICT_METRICS, 0)
    assert strict_scores(strict_counts([], [], []).sum(0))["f1_macro"] == 0


def test_types_and_documents_that_do_not_match():
    with pytest.raises(ValueError, match="not among the labels: Form, Route"):
        strict_counts([[("Route", 0, 1)]], [[("Form", 0, 1)]], ["Drug"])
    with pytest.raises(ValueError, match="zip"):
        strict_counts([[], []], [[]], [])


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_seqeval(seed):
    metrics = pytest.importorskip("seqeval.metrics.v1")
    scheme = pytest.importorskip("seqeval.scheme").IOB2
    rng = np.random.default_rng(seed)
    # Odd seeds: a type that is only predicted, and one that is only in the gold tags.
    gold = random_tags(rng, 60, LABELS[:2] if seed % 2 else LABELS)
    predicted = [
        [tag.replace("Dose", "Route") if seed % 2 else tag for tag in tags] for tags in disturbed(rng, gold, 0.3)
    ]
    ids = [str(number) for number in rng.integers(0, 7, 60)]
    true, said = (list(spans_by_document(tags, ids).values()) for tags in (gold, predicted))
    labels = entity_types(true, said)
    sums = strict_counts(true, said, labels).sum(0)
    scores = strict_scores(sums)
    assert 0 < scores["f1_micro"] < 1
    for average in ("micro", "macro", "weighted"):
        options = {"average": average, "scheme": scheme, "zero_division": 0}
        expected = metrics.precision_recall_fscore_support(gold, predicted, **options)[:3]
        found = [scores[f"{name}_{average}"] for name in ("precision", "recall", "f1")]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = metrics.precision_recall_fscore_support(gold, predicted, average=None, scheme=scheme)
    by_type = scores_by_type(sums)
    np.testing.assert_allclose([by_type[name] for name in ("precision", "recall", "f1")], expected[:3], rtol=1e-12)
    assert sums[:, 2].tolist() == list(expected[3])


def test_scores_are_those_of_conlleval_by_hand():
    """Entities found by a plain loop over begin and end of chunks, as conlleval counts them."""
    rng = np.random.default_rng(11)
    gold = random_tags(rng, 40)
    gold = [[tag if legal(tags, place) else "O" for place, tag in enumerate(tags)] for tags in gold]
    gold = [[tag if legal(tags, place) else "O" for place, tag in enumerate(tags)] for tags in map(mended, gold)]
    predicted = [mended(tags) for tags in disturbed(rng, gold, 0.2)]
    right = chunks_gold = chunks_said = 0
    for true, said in zip(gold, predicted, strict=True):
        true, said = set(plain_chunks(true)), set(plain_chunks(said))
        right, chunks_gold, chunks_said = right + len(true & said), chunks_gold + len(true), chunks_said + len(said)
    ids = [str(number // 4) for number in range(40)]
    true, said = (list(spans_by_document(tags, ids).values()) for tags in (gold, predicted))
    sums = strict_counts(true, said, LABELS).sum((0, 1))
    assert sums.tolist() == [right, chunks_said, chunks_gold] and right > 20


def legal(tags, place):
    return tags[place][0] != "I" or (place > 0 and tags[place - 1][1:] == tags[place][1:])


def mended(tags):
    """Take out every I- that continues nothing, from left to right."""
    found = []
    for tag in tags:
        found.append("O" if tag[0] == "I" and (not found or found[-1][1:] != tag[1:]) else tag)
    return found


def plain_chunks(tags):
    start = None
    for place, tag in enumerate([*tags, "O"]):
        if start is not None and tag[0] != "I":
            yield tags[start][2:], start, place
            start = None
        if tag[0] == "B":
            start = place

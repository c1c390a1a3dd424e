"""Relaxed schemas: literal cases, and nervaluate on random entities."""

from itertools import pairwise

import numpy as np
import pytest

from metrics.entity_matching import OUTCOMES, SCHEMAS, matching_counts, matching_scores, overlapping_spans
from metrics.entity_scores import entity_types, ordered_spans, strict_counts, strict_scores

A, B = "Drug", "Dose"


def outcomes(gold, predicted):
    """Non-zero outcomes by schema of one document."""
    counts = matching_counts([gold], [predicted])[0]
    return {
        schema: {name: int(count) for name, count in zip(OUTCOMES, row, strict=True) if count}
        for schema, row in zip(SCHEMAS, counts, strict=True)
    }


def everywhere(outcome):
    return {schema: {outcome: 1} for schema in SCHEMAS}


CASES = {
    "correct": ([(A, 2, 5)], [(A, 2, 5)], everywhere("correct")),
    "missed": ([(A, 2, 5)], [], everywhere("missed")),
    "spurious": ([], [(A, 2, 5)], everywhere("spurious")),
    "adjacent": (
        [(A, 2, 5)],
        [(A, 5, 6)],
        {schema: {"missed": 1, "spurious": 1} for schema in SCHEMAS},
    ),
    "wrong type": (
        [(A, 2, 5)],
        [(B, 2, 5)],
        {
            "strict": {"incorrect": 1},
            "exact": {"correct": 1},
            "partial": {"correct": 1},
            "ent_type": {"incorrect": 1},
        },
    ),
    "wrong boundary": (
        [(A, 2, 5)],
        [(A, 4, 9)],
        {
            "strict": {"incorrect": 1},
            "exact": {"incorrect": 1},
            "partial": {"partial": 1},
            "ent_type": {"correct": 1},
        },
    ),
    "wrong type and boundary": (
        [(A, 2, 5)],
        [(B, 1, 3)],
        {
            "strict": {"incorrect": 1},
            "exact": {"incorrect": 1},
            "partial": {"partial": 1},
            "ent_type": {"incorrect": 1},
        },
    ),
    "one for two": (
        [(A, 0, 2), (A, 2, 6)],
        [(A, 0, 6)],
        {
            "strict": {"incorrect": 1, "missed": 1},
            "exact": {"incorrect": 1, "missed": 1},
            "partial": {"partial": 1, "missed": 1},
            "ent_type": {"correct": 1, "missed": 1},
        },
    ),
    "two for one": (
        [(A, 0, 6)],
        [(B, 0, 2), (A, 2, 6)],
        {
            "strict": {"incorrect": 1, "spurious": 1},
            "exact": {"incorrect": 1, "spurious": 1},
            "partial": {"partial": 1, "spurious": 1},
            # The first prediction takes the gold entity, whatever comes after.
            "ent_type": {"incorrect": 1, "spurious": 1},
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_outcomes_of_literal_cases(name):
    gold, predicted, expected = CASES[name]
    assert outcomes(gold, predicted) == expected


def test_the_nearest_entity_of_the_same_type_is_taken():
    # The prediction overlaps both; the one it leaves is free for the next prediction.
    gold = [(A, 0, 3), (A, 3, 9)]
    assert outcomes(gold, [(A, 2, 9), (A, 0, 2)])["ent_type"] == {"correct": 2}
    assert outcomes(gold, [(A, 0, 2), (A, 2, 9)])["ent_type"] == {"correct": 2}


def test_scores_of_a_literal_case():
    gold = [[(A, 0, 2), (B, 3, 4), (A, 6, 8)], []]
    predicted = [[(A, 0, 2), (A, 3, 4), (A, 7, 9)], [(B, 0, 1)]]
    scores = matching_scores(matching_counts(gold, predicted).sum(0))
    assert "strict_f1" not in scores
    assert (scores["exact_precision"], scores["exact_recall"]) == (2 / 4, 2 / 3)
    assert (scores["partial_precision"], scores["partial_recall"]) == (2.5 / 4, 2.5 / 3)
    assert (scores["ent_type_precision"], scores["ent_type_recall"]) == (2 / 4, 2 / 3)
    assert scores["partial_f1"] == pytest.approx(2 * 2.5 / 7)


def test_no_entities_score_0():
    assert set(map(float, matching_scores(matching_counts([[]], [[]]).sum(0)).values())) == {0.0}


@pytest.mark.parametrize("seed", range(5))
def test_every_entity_has_one_outcome(seed):
    rng = np.random.default_rng(seed)
    gold, predicted = nested_entities(rng), nested_entities(rng)
    counts = matching_counts([gold], [predicted])[0]
    correct, incorrect, partial, missed, spurious = counts.T
    paired = correct + incorrect + partial
    assert (paired + missed == len(set(gold))).all() and (paired + spurious == len(set(predicted))).all()
    # The first schema is the strict score.
    labels = entity_types([gold], [predicted])
    sums = strict_counts([gold], [predicted], labels).sum(0)
    assert correct[0] == sums[:, 0].sum() > 0
    assert 2 * correct[0] / (len(set(gold)) + len(set(predicted))) == pytest.approx(strict_scores(sums)["f1_micro"])


def nested_entities(rng, number=40):
    starts = rng.integers(0, 30, number)
    spans = zip(rng.choice([A, B], number), starts, starts + rng.integers(1, 5, number), strict=True)
    return [(str(label), int(start), int(end)) for label, start, end in spans]


def test_overlaps_are_those_of_a_plain_loop():
    rng = np.random.default_rng(5)
    spans, others = nested_entities(rng), ordered_spans([*nested_entities(rng), (A, 0, 25)])
    expected = [
        [number for number, (_, start, end) in enumerate(others) if start < span[2] and span[1] < end] for span in spans
    ]
    assert overlapping_spans(spans, others) == expected
    assert overlapping_spans(spans, []) == [[] for _ in spans]


def flat_entities(rng, words=400):
    """Entities that do not overlap."""
    cuts = np.unique(rng.integers(0, words, words // 3))
    pairs = pairwise(cuts)
    spans = [(int(start), int(start + rng.integers(1, end - start + 1))) for start, end in pairs]
    return [(str(rng.choice([A, B, "Form"])), start, end) for start, end in spans if rng.random() < 0.6]


def near_copy(rng, spans):
    """Entities that do not overlap, some as given, some with other types or boundaries, some left out."""
    found, last = [], 0
    for label, start, end in spans:
        if rng.random() < 0.15:
            continue
        start, end = (
            (int(start + rng.integers(-2, 3)), int(end + rng.integers(-2, 5)))
            if rng.random() < 0.5
            else (
                start,
                end,
            )
        )
        start = max(start, last)
        if end > start:
            found.append((str(rng.choice([A, B, "Form"])) if rng.random() < 0.3 else label, start, end))
            last = end
    return found


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_those_of_nervaluate(seed):
    evaluator = pytest.importorskip("nervaluate").Evaluator
    rng = np.random.default_rng(seed)
    gold = [flat_entities(rng) for _ in range(6)]
    predicted = [near_copy(rng, spans) for spans in gold]
    labels = entity_types(gold, predicted)
    # Its ends are inclusive.
    given = (
        [[{"label": label, "start": start, "end": end - 1} for label, start, end in spans] for spans in documents]
        for documents in (gold, predicted)
    )
    expected = evaluator(*given, tags=labels, loader="dict").evaluate()["overall"]
    counts = matching_counts(gold, predicted).sum(0)
    scores = matching_scores(counts)
    for schema, row in zip(SCHEMAS, counts, strict=True):
        theirs = expected[schema]
        assert row.tolist() == [getattr(theirs, name) for name in OUTCOMES]
        if schema != "strict":
            found = [scores[f"{schema}_{name}"] for name in ("precision", "recall", "f1")]
            np.testing.assert_allclose(found, [theirs.precision, theirs.recall, theirs.f1], rtol=1e-12)
    assert (counts[2, [0, 2, 3, 4]] > 5).all() and counts[3, 1] > 5


def test_full_matches_are_taken_first_where_entities_overlap():
    gold, predicted = [(A, 0, 2)], [(A, 0, 1), (A, 0, 2)]
    expected = {schema: {"correct": 1, "spurious": 1} for schema in SCHEMAS}
    assert outcomes(gold, predicted) == outcomes(gold, predicted[::-1]) == expected
    # By nervaluate it hangs on the order whether there is a match at all.
    evaluator = pytest.importorskip("nervaluate").Evaluator
    found = set()
    for order in (1, -1):
        given = (
            [[{"label": a, "start": b, "end": c - 1} for a, b, c in spans]] for spans in (gold, predicted[::order])
        )
        found.add(evaluator(*given, tags=[A], loader="dict").evaluate()["overall"]["strict"].correct)
    assert found == {0, 1}

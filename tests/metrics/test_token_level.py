"""Token-level scores: a literal case, a plain loop, and how far they are from scores of entities."""

import numpy as np
import pytest

from metrics.token_level import token_level_scores


def test_a_literal_case():
    gold = [["O", "B-x", "I-x"], ["O", "O"]]
    predicted = [["O", "B-x", "O"], ["O", "B-x"]]
    scores = token_level_scores(gold, predicted)
    # By tag: O 2 right of 3 predicted and 3 gold, B-x 1 of 2 and 1, I-x 0 of 0 and 1.
    assert scores["token_level_accuracy"] == 3 / 5
    assert scores["token_level_precision_macro"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert scores["token_level_recall_macro"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["token_level_f1_macro"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert scores["token_level_f1_weighted"] == pytest.approx((3 * 2 / 3 + 2 / 3 + 0) / 5)
    assert len(scores) == 7 and all(type(value) is float for value in scores.values())


def test_a_plain_loop():
    rng = np.random.default_rng(0)
    tags = ["O", "B-x", "I-x", "B-y", "I-y"]
    gold = [[str(tag) for tag in rng.choice(tags, 9)] for _ in range(20)]
    predicted = [[str(rng.choice(tags)) if rng.random() < 0.4 else tag for tag in sentence] for sentence in gold]
    true, said = ([tag for sentence in tagged for tag in sentence] for tagged in (gold, predicted))
    f1 = []
    for name in tags:
        right = sum(a == b == name for a, b in zip(true, said, strict=True))
        f1.append(2 * right / (true.count(name) + said.count(name)))
    scores = token_level_scores(gold, predicted)
    assert scores["token_level_f1_macro"] == pytest.approx(np.mean(f1))
    weights = [true.count(name) for name in tags]
    assert scores["token_level_f1_weighted"] == pytest.approx(np.average(f1, weights=weights))


def test_it_is_high_for_a_tagger_that_finds_nothing():
    gold = [["O"] * 95 + ["B-x", "I-x", "I-x", "I-x", "I-x"]]
    scores = token_level_scores(gold, [["O"] * 100])
    assert scores["token_level_accuracy"] == 0.95 and scores["token_level_f1_weighted"] > 0.92


def test_sentences_that_do_not_match():
    with pytest.raises(ValueError, match="of 2 tokens has 1 predicted"):
        token_level_scores([["O", "O"]], [["O"]])
    with pytest.raises(ValueError, match="zip"):
        token_level_scores([["O"], ["O"]], [["O"]])
    assert token_level_scores([[]], [[]]) == {}

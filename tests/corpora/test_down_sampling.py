import numpy as np
import pytest
from datasets import Dataset

from corpora.down_sampling import (
    CONLL2003_SHARE,
    down_sample,
    down_sampling_report,
    keep_probability,
    sentence_keys,
    sentences_have_entity,
)
from corpora.errors import InputError


def _corpus(with_entity, without):
    has_entity = np.zeros(with_entity + without, dtype=bool)
    has_entity[np.random.default_rng(0).permutation(len(has_entity))[:with_entity]] = True
    return has_entity


def test_the_probability_is_that_of_the_paper():
    assert keep_probability(600, 400, 0.2072) == pytest.approx(0.2072 * 600 / (0.7928 * 400))
    assert keep_probability(3807, 753, CONLL2003_SHARE) == 1.0  # a share already below the wanted one
    assert keep_probability(5, 0, 0.5) == 1.0
    assert keep_probability(5, 7, 0.0) == 0.0


def test_all_sentences_with_an_entity_stay_and_the_share_is_as_wanted():
    has_entity = _corpus(6_000, 14_000)
    for share in (0.05, 0.2072, 0.5):
        kept = down_sample(has_entity, share, seed=1)
        assert np.array_equal(kept, np.unique(kept)) and kept.dtype == np.int64
        assert set(np.flatnonzero(has_entity)) <= set(kept)
        probability = share * 6_000 / ((1 - share) * 14_000)
        left = len(kept) - 6_000
        assert abs(left - 14_000 * probability) < 4 * np.sqrt(14_000 * probability * (1 - probability))
        assert left / len(kept) == pytest.approx(share, abs=0.015)


def test_a_corpus_below_the_share_stays_whole():
    assert len(down_sample(_corpus(90, 10), 0.2072, seed=0)) == 100
    assert len(down_sample(_corpus(90, 0), 0.2072, seed=0)) == 90
    assert down_sample(_corpus(90, 10), 0.0, seed=0).size == 90


def test_draws_are_fixed_or_fresh_each_epoch():
    has_entity = _corpus(2_000, 8_000)
    fixed = down_sample(has_entity, 0.2, seed=1)
    assert np.array_equal(fixed, down_sample(has_entity, 0.2, seed=1))
    draws = [fixed, *(down_sample(has_entity, 0.2, seed, epoch) for seed, epoch in [(1, 0), (1, 1), (2, 0), (2, None)])]
    probability = 0.2 * 2_000 / (0.8 * 8_000)
    for first in range(len(draws)):
        for second in range(first):
            # Independent draws share a sentence without an entity with probability p squared.
            common = len(np.intersect1d(draws[first], draws[second])) - 2_000
            expected, spread = 8_000 * probability**2, np.sqrt(8_000 * probability**2)
            assert abs(common - expected) < 5 * spread, (first, second)


def test_every_sentence_is_drawn_in_its_turn():
    has_entity = _corpus(20, 60)
    probability = keep_probability(20, 60, 0.2)
    counts = np.zeros(80)
    for epoch in range(2_000):
        counts[down_sample(has_entity, 0.2, 0, epoch)] += 1
    assert (counts[has_entity] == 2_000).all()
    spread = np.sqrt(2_000 * probability * (1 - probability))
    assert np.abs(counts[~has_entity] - 2_000 * probability).max() < 4.5 * spread
    assert counts[~has_entity].std() == pytest.approx(spread, rel=0.4)


def test_the_draw_follows_the_sentence_not_its_place():
    has_entity = _corpus(300, 700)
    keys = np.random.default_rng(1).integers(0, 2**63, 1_000).astype(np.uint64)
    order = np.random.default_rng(2).permutation(1_000)
    kept = down_sample(has_entity, 0.2, 5, 3, keys)
    again = down_sample(has_entity[order], 0.2, 5, 3, keys[order])
    assert set(order[again]) == set(kept)


def test_keys_and_entities_come_from_the_sentences():
    sentences = Dataset.from_dict(
        {
            "document_id": ["a", "a", "b", "a1"],
            "sentence": [0, 1, 0, 1],
            "tags": [["O", "B-x"], ["O"], [], ["B-x", "I-x"]],
        }
    )
    assert sentences_have_entity(sentences).tolist() == [True, False, False, True]
    keys = sentence_keys(sentences)
    assert keys.dtype == np.uint64 and len(set(keys.tolist())) == 4
    assert np.array_equal(sentence_keys(sentences.select([2, 0])), keys[[2, 0]])


def test_the_report_says_what_was_drawn():
    has_entity = _corpus(600, 400)
    kept = down_sample(has_entity, 0.2072, seed=4)
    report = down_sampling_report(has_entity, kept, 0.2072)
    left = len(kept) - 600
    assert report == {
        "wanted_share_without_entity": 0.2072,
        "keep_probability": keep_probability(600, 400, 0.2072),
        "sentences_with_entity": 600,
        "sentences_without_entity_before": 400,
        "sentences_without_entity_after": left,
        "share_without_entity_before": 0.4,
        "share_without_entity_after": left / len(kept),
    }


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_impossible_shares_are_refused(share):
    with pytest.raises(InputError, match="--sambd_share"):
        down_sample(_corpus(1, 1), share, seed=0)


def test_a_corpus_without_entities_is_refused():
    with pytest.raises(InputError, match="no sentence has an entity"):
        down_sample(np.zeros(5, dtype=bool), 0.2, seed=0)

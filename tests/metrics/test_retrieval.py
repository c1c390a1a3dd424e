"""Retrieval against scikit-learn and plain loops."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, ndcg_score

from metrics import retrieval
from metrics.measures import MEASURES
from metrics.neighbours import nearest_neighbours
from metrics.retrieval import category_retrieval

NAMES = {name for name, m in MEASURES.items() if m.group == "retrieval"} - {"similarity_spearman"}


def retrieval_by_loops(embeddings, categories, k):
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    precisions, recalls, gains, perfect = [], [], [], []
    for row in range(len(unit)):
        others = [place for place in range(len(unit)) if place != row]
        wanted = [categories[place] == categories[row] for place in others]
        if not any(wanted):
            continue
        cosines = [unit[row] @ unit[place] for place in others]
        precisions.append(average_precision_score(wanted, cosines))
        order = sorted(range(len(others)), key=lambda place: (-round(cosines[place], 10), place))
        hits = [wanted[place] for place in order[:k]]
        recalls.append(any(hits))
        gain = sum(hit / math.log2(rank + 1) for rank, hit in enumerate(hits, 1))
        best = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, sum(wanted)) + 1))
        gains.append(gain / best)
        perfect.append(ndcg_score([wanted], [cosines], k=k) if len(others) > 1 else 1.0)
    assert gains == pytest.approx(perfect)
    return np.mean(precisions), np.mean(recalls), np.mean(gains)


@pytest.mark.parametrize("block", [60, 2**22])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_to_plain_loops(block, dtype, monkeypatch):
    monkeypatch.setattr(retrieval, "_COSINES", block)
    rng = np.random.default_rng(0)
    categories = rng.integers(0, 6, 36) * 2
    categories[3] = 99  # alone: no query, but found by others
    embeddings = (rng.normal(size=(36, 8)) + np.eye(12, 8)[categories % 12]).astype(dtype)
    found = category_retrieval(embeddings, categories, ks=(1, 4, 10))
    for k in (1, 4, 10):
        precision, recall, gain = retrieval_by_loops(embeddings.astype(np.float64), categories, k)
        assert found["retrieval_map"].value == pytest.approx(precision, abs=1e-6)
        assert found[f"retrieval_recall_at_{k}"].value == pytest.approx(recall)
        if k > 1:
            assert found[f"retrieval_ndcg_at_{k}"].value == pytest.approx(gain)
    assert "retrieval_ndcg_at_1" not in found
    assert all(measure.low < measure.value < measure.high for name, measure in found.items() if name[-2:] != "10")
    assert set(category_retrieval(embeddings, categories)) == NAMES


def test_literal_case():
    angles = np.radians([0, 10, 30, 65])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], 1)
    found = category_retrieval(embeddings, np.array([0, 1, 0, 1]))
    # All find the other of their category second, but the one at 10 degrees, which finds it last.
    assert found["retrieval_map"].value == pytest.approx((1 / 2 + 1 / 3 + 1 / 2 + 1 / 2) / 4)
    assert found["retrieval_recall_at_1"].value == 0 and found["retrieval_recall_at_10"].value == 1


def test_documents_with_the_same_cosine_share_the_last_rank():
    same = np.full((30, 3), 0.3, dtype=np.float32)
    found = category_retrieval(same, np.arange(30) % 3)
    assert found["retrieval_map"].value == pytest.approx(9 / 29)
    # Neighbours are the lowest rows, of which every third is wanted.
    assert found["retrieval_recall_at_1"].value == pytest.approx(9 / 30)
    assert found["retrieval_recall_at_10"].value == 1


def test_documents_without_category_or_direction_are_left_out():
    rng = np.random.default_rng(1)
    embeddings, categories = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    more = np.insert(embeddings, [0, 7, 20], [[0.0] * 5, [1.0] * 5, [2.0] * 5], axis=0)
    left_out = np.insert(categories, [0, 7, 20], [1, -1, -1])
    neighbours = nearest_neighbours(more, 10).indices
    assert category_retrieval(more, left_out, neighbours=neighbours) == category_retrieval(embeddings, categories)


def test_known_neighbours_are_used():
    rng = np.random.default_rng(2)
    embeddings, categories = rng.normal(size=(40, 5)), rng.integers(0, 3, 40)
    neighbours = nearest_neighbours(embeddings, 12).indices
    expected = category_retrieval(embeddings, categories)
    assert category_retrieval(embeddings, categories, neighbours=neighbours) == expected
    wrong = category_retrieval(embeddings, categories, neighbours=np.roll(neighbours, 1, axis=0))
    assert wrong["retrieval_recall_at_1"] != expected["retrieval_recall_at_1"]
    assert wrong["retrieval_map"] == expected["retrieval_map"]


@pytest.mark.parametrize("documents", [0, 1, 5])
@pytest.mark.parametrize("kind", ["each its own", "no category"])
def test_no_query_no_number(documents, kind):
    embeddings = np.random.default_rng(documents).normal(size=(documents, 3))
    categories = np.arange(documents) if kind == "each its own" else np.full(documents, -1)
    found = category_retrieval(embeddings, categories)
    assert set(found) == NAMES and all(math.isnan(measure.value) for measure in found.values())
    assert all(math.isnan(m.value) for m in category_retrieval(np.zeros((5, 3)), np.zeros(5, int)).values())


def test_one_category_is_found_at_once():
    found = category_retrieval(np.random.default_rng(3).normal(size=(6, 3)), np.zeros(6, int))
    assert [measure.value for measure in found.values()] == pytest.approx([1] * 4)


def test_faults_are_refused():
    for ks in ((), (0, 1)):
        with pytest.raises(ValueError, match="at least 1"):
            category_retrieval(np.ones((3, 2)), np.zeros(3, int), ks)
    with pytest.raises(ValueError, match="row 1 "):
        category_retrieval(np.array([[1.0], [np.inf]]), np.zeros(2, int))

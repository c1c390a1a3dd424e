"""Nearest neighbours against plain loops."""

import numpy as np
import pytest

from metrics import blocks
from metrics.neighbours import nearest_neighbours


def neighbours_by_loops(embeddings, k, metric):
    rows = embeddings.astype(np.float64)
    found = []
    for place, row in enumerate(rows):
        scores = []
        for other, vector in enumerate(rows):
            if other == place:
                continue
            if metric == "cosine":
                if not row.any() or not vector.any():
                    continue
                score = -(row @ vector) / np.sqrt(row @ row) / np.sqrt(vector @ vector)
            else:
                score = np.sqrt(((row - vector) ** 2).sum())
            scores.append((round(score, 12), other, score))
        found.append(sorted(scores)[:k])
    return found


def check(embeddings, k, metric):
    indices, scores = nearest_neighbours(embeddings, k, metric)
    assert indices.dtype == np.int64 and scores.dtype == np.float32
    sign = -1 if metric == "cosine" else 1
    for expected, rows, values in zip(neighbours_by_loops(embeddings, k, metric), indices, scores, strict=True):
        if not expected:
            assert (rows == -1).all() and np.isnan(values).all()
        else:
            assert rows.tolist() == [other for _, other, _ in expected]
            assert sign * values == pytest.approx([score for *_, score in expected], rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("tile", [7, 64, 2_048])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_to_plain_loops(metric, tile, dtype, monkeypatch):
    monkeypatch.setattr(blocks, "TILE_ROWS", tile)
    embeddings = np.random.default_rng(tile).normal(size=(90, 5)).astype(dtype)
    for k in (1, 6):
        check(embeddings, k, metric)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_ties_go_to_the_lower_row_however_many(metric, monkeypatch):
    monkeypatch.setattr(blocks, "TILE_ROWS", 16)
    rng = np.random.default_rng(3)
    # Far more equal documents than candidates that are kept.
    embeddings = rng.normal(size=(4, 6)).astype(np.float32)[rng.integers(0, 4, 120)]
    check(embeddings, 5, metric)
    indices, _ = nearest_neighbours(np.full((50, 3), 0.3, dtype=np.float32), 3, metric)
    assert indices[0].tolist() == [1, 2, 3] and indices[2].tolist() == [0, 1, 3] and indices[40].tolist() == [0, 1, 2]


def test_cosines_nearer_than_float32_can_tell_are_told_apart():
    rng = np.random.default_rng(4)
    # A cone so narrow that all cosines lie within 1e-5 of one, and neighbours 1e-8 apart.
    embeddings = 1 + 1e-3 * rng.normal(size=(100, 8))
    check(embeddings, 4, "cosine")


def test_distances_far_from_the_origin():
    rng = np.random.default_rng(5)
    embeddings = 1e4 + np.repeat([[0.0], [500.0]], 30, axis=0) + 1e-3 * rng.normal(size=(60, 3))
    check(embeddings, 3, "euclidean")


def test_documents_without_direction():
    embeddings = np.random.default_rng(6).normal(size=(30, 4))
    embeddings[[0, 7, 29]] = 0
    check(embeddings, 5, "cosine")
    check(embeddings, 5, "euclidean")


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("documents", [0, 1, 2, 4])
def test_fewer_documents_than_neighbours(documents, metric):
    embeddings = np.random.default_rng(documents).normal(size=(documents, 3))
    indices, scores = nearest_neighbours(embeddings, 10, metric)
    assert indices.shape == scores.shape == (documents, max(0, documents - 1))
    assert [sorted(row) for row in indices.tolist()] == [
        [other for other in range(documents) if other != row] for row in range(documents)
    ]


def test_nothing_but_zeros():
    indices, scores = nearest_neighbours(np.zeros((4, 2)), 2)
    assert indices.shape == scores.shape == (4, 0)


def test_memory_mapped(tmp_path):
    np.save(tmp_path / "embeddings.npy", np.random.default_rng(7).normal(size=(40, 4)).astype(np.float16))
    stored = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    check(stored, 3, "cosine")
    check(stored, 3, "euclidean")


def test_faults_are_refused():
    with pytest.raises(ValueError, match="k is 0"):
        nearest_neighbours(np.ones((3, 2)), 0)
    with pytest.raises(ValueError, match="no metric 'manhattan'"):
        nearest_neighbours(np.ones((3, 2)), 1, "manhattan")
    with pytest.raises(ValueError, match="row 1 "):
        nearest_neighbours(np.array([[1.0], [np.nan]]), 1, "euclidean")

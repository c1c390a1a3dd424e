"""Reading embeddings block by block."""

import math

import numpy as np
import pytest

from metrics import blocks
from metrics.blocks import (
    UnitVectors,
    centre_and_scale,
    checked,
    checked_categories,
    pair_tiles,
    row_lengths,
    unit_rows,
    zero_rows,
)


def test_the_row_that_is_not_finite_is_named(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_NUMBERS", 6)
    embeddings = np.ones((9, 3), dtype=np.float16)
    embeddings[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"row 7 \(from 0\) is not finite"):
        checked(embeddings)
    embeddings[4, 0] = np.inf
    with pytest.raises(ValueError, match="row 4 "):
        UnitVectors(embeddings)


@pytest.mark.parametrize("embeddings", [np.ones(3), np.ones((2, 2, 2)), np.array([["a"]]), np.ones((2, 2)) * 1j])
def test_what_is_no_matrix_of_numbers_is_refused(embeddings):
    with pytest.raises(ValueError, match=r"embeddings (have|of type)"):
        checked(embeddings)


@pytest.mark.parametrize("categories", [[0, 1], [[0, 1, 2]], [0.5, 1, 2], ["a", "b", "c"]])
def test_categories_that_do_not_fit_are_refused(categories):
    with pytest.raises(ValueError, match="categories of"):
        checked_categories(np.array(categories), 3)
    assert checked_categories(np.array([0, -1, 2], dtype=np.int8), 3).dtype == np.int64


def test_nothing_is_copied(tmp_path):
    np.save(tmp_path / "embeddings.npy", np.ones((4, 2), dtype=np.float16))
    stored = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    assert np.shares_memory(checked(stored), stored)


@pytest.mark.parametrize("size", [1e-200, 1e-40, 1e-5, 1.0, 1e30, 1e200])
def test_lengths_of_any_size(size):
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [-1.0, 0.0]]) * size
    assert row_lengths(rows) == pytest.approx(np.array([5.0, 0.0, 1.0]) * size, rel=1e-12)
    assert zero_rows(rows).tolist() == [False, True, False]
    assert unit_rows(rows) == pytest.approx(np.array([[0.6, 0.8], [0, 0], [-1, 0]]), abs=1e-12)
    assert UnitVectors(rows).block(0, 2) == pytest.approx(np.array([[0.6, 0.8], [-1, 0]]), abs=1e-6)


def test_float16_does_not_overflow():
    assert row_lengths(np.full((1, 100), 60_000, dtype=np.float16))[0] == pytest.approx(600_000, rel=1e-3)


def test_centre_and_scale(monkeypatch):
    monkeypatch.setattr(blocks, "_BLOCK_NUMBERS", 4)
    rows = np.random.default_rng(0).normal(5, 3, (11, 2))
    centre, scale = centre_and_scale(rows)
    assert centre == pytest.approx(rows.mean(0)) and scale == pytest.approx(np.abs(rows - rows.mean(0)).max())
    assert centre_and_scale(np.full((7, 3), 0.1, dtype=np.float32))[1] == math.inf
    assert centre_and_scale(np.zeros((7, 3)))[1] == math.inf


@pytest.mark.parametrize("rows", [1, 3, 4, 13, 50])
def test_tiles_hold_every_pair_once_in_order(rows):
    embeddings = np.random.default_rng(rows).normal(size=(13, 4))
    embeddings[[2, 9]] = 0
    vectors = UnitVectors(embeddings, np.arange(12))
    assert vectors.rows.tolist() == [0, 1, 3, 4, 5, 6, 7, 8, 10, 11]
    unit = embeddings[vectors.rows] / np.linalg.norm(embeddings[vectors.rows], axis=1, keepdims=True)
    assert vectors.at(np.array([[1, 8], [0, 0]])) == pytest.approx(unit[[[1, 8], [0, 0]]])
    assert vectors.total() == pytest.approx(unit.sum(0))
    seen = np.zeros((10, 10))
    order = {document: [] for document in range(10)}
    for tile in pair_tiles(vectors, rows):
        place = slice(tile.start, tile.stop), slice(tile.column_start, tile.column_stop)
        assert tile.values == pytest.approx((unit @ unit.T)[place], abs=1e-6)
        seen[place] += 1
        for document in range(10):
            if tile.start <= document < tile.stop:
                order[document] += range(tile.column_start, tile.column_stop)
            elif tile.column_start <= document < tile.column_stop:
                order[document] += range(tile.start, tile.stop)
    assert (np.triu(seen) == np.triu(np.ones((10, 10)))).all()
    assert all(others == list(range(10)) for others in order.values())


@pytest.mark.parametrize("documents", [0, 1])
def test_hardly_any_documents(documents):
    tiles = list(pair_tiles(UnitVectors(np.ones((documents, 3)))))
    assert [tile.values.shape for tile in tiles] == [(1, 1)] * documents

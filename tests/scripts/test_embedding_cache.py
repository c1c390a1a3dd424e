"""Embeddings kept between studies."""

import os

import numpy as np
import pytest

from corpora.errors import InputError
from embedding_cache import EmbeddingCache

KEY = {"checkpoint": "abc", "reading": "windows"}


class Encoder:
    """Embeds a document as its length and its sum, and notes which ones it was asked for."""

    def __init__(self, documents):
        self.documents, self.asked = documents, []

    def __call__(self, places):
        self.asked.append(list(places))
        return np.array([[len(self.documents[place]), sum(self.documents[place])] for place in places], np.float32)


def test_only_new_documents_are_computed(tmp_path):
    first, second = [[1, 2], [3], [1, 2]], [[3], [4, 5, 6], [1, 2]]
    encoder = Encoder(first)
    found = EmbeddingCache(tmp_path, KEY).embed(first, 2, encoder)
    assert found.tolist() == [[2, 3], [1, 3], [2, 3]]
    assert encoder.asked == [[0, 1]]  # a document that occurs twice is computed once
    encoder = Encoder(second)
    assert EmbeddingCache(tmp_path, KEY).embed(second, 2, encoder).tolist() == [[1, 3], [3, 15], [2, 3]]
    assert encoder.asked == [[1]]


def test_another_model_or_reading_shares_nothing(tmp_path):
    documents = [[1, 2]]
    EmbeddingCache(tmp_path, KEY).embed(documents, 2, Encoder(documents))
    for other in ({**KEY, "checkpoint": "def"}, {**KEY, "reading": "head"}):
        encoder = Encoder(documents)
        EmbeddingCache(tmp_path, other).embed(documents, 2, encoder)
        assert encoder.asked == [[0]]


def test_a_killed_run_keeps_its_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("embedding_cache.SHARD", 2)
    documents = [[1] * length for length in (5, 4, 3, 2, 1)]

    class Killed(Encoder):
        def __call__(self, places):
            if self.asked:
                raise KeyboardInterrupt
            return super().__call__(places)

    with pytest.raises(KeyboardInterrupt):
        EmbeddingCache(tmp_path, KEY).embed(documents, 2, Killed(documents))
    encoder = Encoder(documents)
    EmbeddingCache(tmp_path, KEY).embed(documents, 2, encoder)
    assert encoder.asked == [[2, 3], [4]]


def test_documents_of_a_broken_shard_are_embedded_again(tmp_path):
    documents = [[1, 2], [3]]
    EmbeddingCache(tmp_path, KEY).embed(documents, 2, Encoder(documents))
    (shard,) = tmp_path.rglob("*.npz")
    os.truncate(shard, 50)
    for asked in ([[0, 1]], []):
        encoder = Encoder(documents)
        assert EmbeddingCache(tmp_path, KEY).embed(documents, 2, encoder).tolist() == [[2, 3], [1, 3]]
        assert encoder.asked == asked


def test_no_documents_and_a_file_in_place_of_the_folder(tmp_path):
    assert EmbeddingCache(tmp_path / "new", KEY).embed([], 3, Encoder([])).shape == (0, 3)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not a folder"):
        EmbeddingCache(tmp_path / "file", KEY)

"""Streams of documents: the items of the tokenised dataset, in an order of (seed, epoch) alone."""

import itertools
from collections import Counter

import pytest
import torch
from torch.utils.data import DataLoader

from collators import StreamOptions, cut_into_rows, keep_long_enough, stream_documents, stream_rows, tokenize_documents
from corpora.errors import InputError

REQUIRED = 60


def take(stream, count):
    return list(itertools.islice(iter(stream), count))


def names(items):
    return [item["document_id"] for item in items]


@pytest.fixture(scope="module")
def expected(notes, bert_tokenizer):
    """What training without --streaming reads."""
    documents, report = keep_long_enough(tokenize_documents(notes, bert_tokenizer), REQUIRED)
    assert 10 < report.kept["Nursing"] + report.kept["Radiology"] < 40
    return {row["document_id"]: row for row in documents.with_format(None)}


def test_an_epoch_holds_the_documents_of_the_tokenised_dataset(notes, bert_tokenizer, expected):
    size = len(expected)
    items = take(stream_documents(notes, bert_tokenizer, REQUIRED, StreamOptions(3, 8)), 2 * size + 1)
    first, second = items[:size], items[size : 2 * size]
    assert [item["epoch"] for item in items] == [0] * size + [1] * size + [2]
    assert Counter(names(first)) == Counter(names(second)) == Counter(list(expected))
    assert names(first) != names(second) and names(first) != list(expected)
    for item in items:
        row = expected[item["document_id"]]
        for column in ("input_ids", "length", "document_key", "patient_key", "content_key"):
            assert item[column] == row[column], column


def test_the_order_depends_on_seed_and_epoch_and_not_on_the_reader(notes, bert_tokenizer):
    def order(seed, workers=0):
        stream = stream_documents(notes, bert_tokenizer, REQUIRED, StreamOptions(seed, 8))
        loader = DataLoader(stream, batch_size=4, num_workers=workers, collate_fn=names)
        return list(itertools.chain.from_iterable(itertools.islice(loader, 15)))

    assert order(1) == order(1) == order(1, workers=1) != order(2)


def test_stretches_and_buffer_mix_the_corpus(notes, bert_tokenizer, monkeypatch):
    monkeypatch.setattr("collators.streaming.STRETCH", 4)
    stream = stream_documents(notes, bert_tokenizer, 1, StreamOptions(0, 40))
    places = torch.tensor([int(name.split("-")[1]) for name in names(take(stream, 40))], dtype=torch.float)
    assert sorted(places.tolist()) == list(range(40))
    # Forty places in random order: the rank correlation with the order on disk has a standard deviation of 0.16.
    assert abs(torch.corrcoef(torch.stack((places, torch.arange(40.0))))[0, 1]) < 0.5


@pytest.mark.parametrize("concatenate", [False, True])
def test_rows_hold_the_tokens_of_the_corpus(notes, bert_tokenizer, concatenate):
    rows = cut_into_rows(tokenize_documents(notes, bert_tokenizer), bert_tokenizer, 32, concatenate=concatenate)
    stream = stream_rows(notes, bert_tokenizer, 32, StreamOptions(0, 8), concatenate=concatenate)
    items = take(stream, len(rows) + 1)
    assert [item["epoch"] for item in items] == [0] * len(rows) + [1]
    assert set(items[0]) == {"input_ids", "length", "document_id", "epoch"}
    if concatenate:  # blocks of another order of documents
        assert [item["length"] for item in items[:-1]] == rows["length"][:]
        tokens = Counter(itertools.chain.from_iterable(item["input_ids"] for item in items[:-1]))
        assert tokens == Counter(itertools.chain.from_iterable(rows.with_format(None)["input_ids"]))
    else:
        expected = {row["document_id"]: row["input_ids"] for row in rows.with_format(None)}
        assert {item["document_id"]: item["input_ids"] for item in items[:-1]} == expected


def test_every_epoch_reads_every_row_once_and_windows_hold_whole_stretches(notes, bert_tokenizer, monkeypatch):
    monkeypatch.setattr("collators.streaming.STRETCH", 6)
    monkeypatch.setattr("collators.streaming._TOKENIZED", 5)
    stream = stream_documents(notes.select(range(36)), bert_tokenizer, 1, StreamOptions(0, 12))
    batches = list(stream._row_batches(0))
    assert [len(batch) for batch in batches] == [5] * 7 + [1]
    rows = list(itertools.chain.from_iterable(batches))
    assert sorted(rows) == list(range(36)) and rows != list(range(36))
    for start in range(0, 36, 12):
        assert len({row // 6 for row in rows[start : start + 12]}) == 2
    assert rows != list(itertools.chain.from_iterable(stream._row_batches(1)))


def test_a_stream_without_items_is_told(notes, bert_tokenizer):
    with pytest.raises(InputError, match="no training document has 9000 tokens"):
        take(stream_documents(notes, bert_tokenizer, 9000, StreamOptions()), 1)

"""DeCLUTR batches against a plain reading of their definition."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from collators import DeclutrCollator, EpochDataset, MaskingOptions, SpanOptions, document_generator, sample_spans
from collators.masking import IGNORE_INDEX


@pytest.fixture
def documents():
    lengths = [90, 40, 17, 200, 16, 64]
    random = np.random.default_rng(0)
    return [
        {
            "document_id": f"d{number}",
            "input_ids": random.integers(10, 60, length),
            "document_key": number,
            "patient_key": number // 2,
            "content_key": 100 + number,
        }
        for number, length in enumerate(lengths)
    ]


OPTIONS = SpanOptions(2, 2, 8, 32)


def items(documents, epoch=0):
    return [{**document, "epoch": epoch} for document in documents]


@pytest.mark.parametrize("clean", [False, True])
def test_rows_hold_the_sampled_spans(bert_tokenizer, documents, clean):
    collator = DeclutrCollator(bert_tokenizer, OPTIONS, clean_anchors=clean, seed=3)
    batch = collator(items(documents))
    cls, sep, pad = bert_tokenizer.cls_token_id, bert_tokenizer.sep_token_id, bert_tokenizer.pad_token_id
    rows, anchors = batch["input_ids"], 0
    for document in documents:
        spans = sample_spans(len(document["input_ids"]), OPTIONS, document_generator(3, 0, document["document_id"]))
        for span, around in zip(spans.anchors, spans.positives, strict=True):
            expected = [cls, *document["input_ids"][slice(*span)], sep]
            labels, length = batch["labels"][anchors], len(expected)
            restored = torch.where(labels != IGNORE_INDEX, labels, rows[anchors])[:length]
            assert restored.tolist() == expected
            assert (rows[anchors, length:] == pad).all() and batch["attention_mask"][anchors].sum() == length
            if clean:
                assert rows[batch["anchor_rows"][anchors], :length].tolist() == expected
            else:
                assert batch["anchor_rows"][anchors] == anchors
            for row, positive in zip(batch["positive_rows"][anchors], around, strict=True):
                expected = [cls, *document["input_ids"][slice(*positive)], sep]
                assert rows[row, : len(expected)].tolist() == expected
                assert (batch["labels"][row] == IGNORE_INDEX).all()
            assert batch["document_keys"][anchors] == document["document_key"]
            assert batch["patient_keys"][anchors] == document["patient_key"]
            assert batch["content_keys"][anchors] == document["content_key"]
            anchors += 1
    assert anchors == len(batch["anchor_rows"]) == 10
    assert len(rows) == anchors * (4 if clean else 3)
    # 17 and 16 tokens have room for a single anchor.
    assert batch["document_keys"].tolist() == [0, 0, 1, 1, 2, 3, 3, 4, 5, 5]


def test_without_masking_nothing_is_masked(bert_tokenizer, documents):
    batch = DeclutrCollator(bert_tokenizer, OPTIONS, masking=None)(items(documents))
    assert (batch["labels"] == IGNORE_INDEX).all()
    assert not (batch["input_ids"] == bert_tokenizer.mask_token_id).any()


def test_equal_documents_have_equal_span_keys(bert_tokenizer, documents):
    batch = DeclutrCollator(bert_tokenizer, OPTIONS)(items([documents[0], documents[0], documents[3]]))
    keys = batch["span_keys"]
    assert keys.shape == (2, 6)
    assert torch.equal(keys[:, :2], keys[:, 2:4]) and not set(keys[:, 4:].ravel().tolist()) & set(
        keys[:, :4].ravel().tolist()
    )


def test_lengths_round_up(bert_tokenizer, documents):
    batch = DeclutrCollator(bert_tokenizer, OPTIONS, pad_to_multiple_of=8)(items(documents))
    assert batch["input_ids"].shape[1] % 8 == 0
    assert batch["labels"].shape == batch["input_ids"].shape == batch["attention_mask"].shape


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("persistent", [False, True])
def test_batches_do_not_depend_on_loader_workers(bert_tokenizer, documents, workers, persistent):
    if persistent and not workers:
        pytest.skip("no workers to persist")
    collator = DeclutrCollator(bert_tokenizer, OPTIONS, MaskingOptions(), seed=5)
    dataset = EpochDataset(documents)
    loader = DataLoader(dataset, batch_size=2, collate_fn=collator, num_workers=workers, persistent_workers=persistent)
    seen = []
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        for position, batch in enumerate(loader):
            expected = collator(items(documents[2 * position : 2 * position + 2], epoch))
            assert all(torch.equal(batch[name], expected[name]) for name in expected)
            seen.append(batch["input_ids"].numpy().tobytes())
    assert len(set(seen)) == 6  # the second epoch has spans of its own


def test_a_fixed_epoch_stays(documents):
    dataset = EpochDataset(documents, fixed_epoch=0)
    dataset.set_epoch(7)
    assert dataset[0]["epoch"] == 0 and dataset.__getitems__([1])[0]["epoch"] == 0


def test_clean_anchors_are_not_read_twice_where_nothing_is_masked(bert_tokenizer, documents):
    plain, clean = (
        DeclutrCollator(bert_tokenizer, OPTIONS, masking=None, clean_anchors=clean)(items(documents))
        for clean in (False, True)
    )
    assert torch.equal(plain["input_ids"], clean["input_ids"])
    assert torch.equal(plain["anchor_rows"], clean["anchor_rows"])

"""Metadata beside the tokens: targets, keys, and what DeCLUTR's batches carry of them."""

import numpy as np
import pytest
import torch

from collators import DeclutrCollator, SpanOptions, category_keys, category_targets
from corpora.category_columns import CategoryColumn

KIND = CategoryColumn("kind", ("Echo", "Nursing", "Radiology"), (5, 3, 2))
TAGS = CategoryColumn("tags", ("renal", "skin"), (4, 4), multi_label=True)


def documents(*cells):
    return [{"kind": kind, "tags": tags, "document_key": 1_000 + number} for number, (kind, tags) in enumerate(cells)]


FEATURES = documents(
    ("Nursing", ["skin"]),
    (None, None),
    ("Radiology", []),
    ("Nursing", ["skin", "renal"]),
    ("unseen", ["unseen"]),
    (" Nursing ", ["renal", "skin", "unseen"]),
    (None, []),
)


def test_targets_are_numbers_and_vectors():
    targets = category_targets(FEATURES, [KIND, TAGS])
    assert list(targets) == ["kind", "tags"]
    assert targets["kind"].dtype == torch.int64 and targets["tags"].dtype == torch.float32
    assert targets["kind"].tolist() == [1, -100, 2, 1, -100, 1, -100]
    nan = float("nan")
    expected = [[0, 1], [nan, nan], [0, 0], [1, 1], [nan, nan], [1, 1], [0, 0]]
    torch.testing.assert_close(targets["tags"], torch.tensor(expected), rtol=0, atol=0, equal_nan=True)


def test_documents_that_lack_the_column_have_no_category():
    targets = category_targets([{"document_key": 1}, {"document_key": 2}], [KIND, TAGS])
    assert targets["kind"].tolist() == [-100, -100] and targets["tags"].isnan().all()


def test_no_columns_give_no_targets():
    assert category_targets(FEATURES, []) == {}


def test_keys_are_equal_where_categories_are():
    keys = category_keys(FEATURES, KIND)
    assert keys.dtype == torch.int64 and (keys >= 0).all()
    assert keys[0] == keys[3] == keys[5]
    assert keys[[1, 4, 6]].tolist() == [1_001, 1_004, 1_006]  # no known category: equal only to itself
    assert len(set(keys.tolist())) == 5


def test_keys_of_lists_are_equal_where_all_known_categories_are():
    keys = category_keys(FEATURES, TAGS)
    assert keys[3] == keys[5] and keys[2] == keys[6]
    assert keys[[1, 4]].tolist() == [1_001, 1_004]
    assert len(set(keys.tolist())) == 5


def test_keys_do_not_depend_on_the_batch():
    for column in (KIND, TAGS):
        together = category_keys(FEATURES, column)
        assert together.tolist() == [category_keys([feature], column).item() for feature in FEATURES]


@pytest.fixture
def spans_features():
    random = np.random.default_rng(0)
    lengths, kinds = [90, 40, 17, 200], ["Echo", None, "Nursing", "Echo"]
    return [
        {
            "document_id": f"d{number}",
            "input_ids": random.integers(10, 60, length),
            "document_key": number,
            "patient_key": number,
            "content_key": 100 + number,
            "epoch": 2,
            "kind": kind,
            "tags": tags,
        }
        for number, (length, kind, tags) in enumerate(zip(lengths, kinds, [["renal"], ["skin"], None, []], strict=True))
    ]


def test_declutr_batches_carry_the_metadata_of_each_anchor(bert_tokenizer, spans_features):
    options = SpanOptions(2, 2, 8, 32)
    batch = DeclutrCollator(bert_tokenizer, options, seed=3, columns=[KIND, TAGS])(spans_features)
    origin = batch["document_keys"].tolist()
    assert origin == [0, 0, 1, 1, 2, 3, 3]  # 17 tokens have room for a single anchor
    assert batch["categories"]["kind"].tolist() == [0, 0, -100, -100, 1, 0, 0]
    sources = [spans_features[number] for number in origin]
    expected = category_targets(sources, [TAGS])["tags"]
    torch.testing.assert_close(batch["categories"]["tags"], expected, rtol=0, atol=0, equal_nan=True)
    # By the first column; the documents without a category are the anchors of one document.
    assert batch["category_keys"].tolist() == category_keys(sources, KIND).tolist()
    first = DeclutrCollator(bert_tokenizer, options, seed=3, columns=[TAGS, KIND])(spans_features)
    assert first["category_keys"].tolist() == category_keys(sources, TAGS).tolist()


def test_metadata_change_nothing_else_in_declutr_batches(bert_tokenizer, spans_features):
    options = SpanOptions(2, 2, 8, 32)
    plain = DeclutrCollator(bert_tokenizer, options, seed=3)(spans_features)
    batch = DeclutrCollator(bert_tokenizer, options, seed=3, columns=[KIND])(spans_features)
    assert set(batch) - set(plain) == {"categories", "category_keys"}
    assert len(plain) == 9 and all(torch.equal(batch[name], plain[name]) for name in plain)

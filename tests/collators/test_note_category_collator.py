"""Note-category batches against a plain reading of their definition."""

import numpy as np
import pytest
import torch

from collators import DeclutrCollator, MaskingOptions, MlmCollator, NoteCategoryCollator, SpanOptions
from collators.masking import IGNORE_INDEX
from corpora.category_columns import CategoryColumn

KIND = CategoryColumn("kind", ("Echo", "Nursing"), (5, 3))
TAGS = CategoryColumn("tags", ("renal", "skin"), (4, 4), multi_label=True)
CELLS = [("Nursing", ["skin"]), (None, None), ("Echo", []), ("unseen", ["renal", "skin"])]
LENGTHS = [200, 5, 30, 31]


def document(number, length, epoch=0, kind=None, tags=None):
    return {
        "document_id": f"d{number}",
        # Ids that tell their place, far from the special tokens.
        "input_ids": np.arange(length) % 50 + 10,
        "document_key": 1_000 + number,
        "epoch": epoch,
        "kind": kind,
        "tags": tags,
    }


def batch_of(epoch=0):
    return [
        document(number, length, epoch, *cells)
        for number, (length, cells) in enumerate(zip(LENGTHS, CELLS, strict=True))
    ]


def collator(tokenizer, **options):
    return NoteCategoryCollator(tokenizer, [KIND, TAGS], **{"max_length": 32, "seed": 3, **options})


def restored(batch, row):
    """The tokens of a row as they were before masking."""
    length = int(batch["attention_mask"][row].sum())
    labels, ids = batch["labels"][row, :length], batch["input_ids"][row, :length]
    return torch.where(labels == IGNORE_INDEX, ids, labels).tolist()


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_first_window_is_the_beginning_between_special_tokens(request, family):
    tokenizer = request.getfixturevalue(f"{family}_tokenizer")
    batch = collator(tokenizer, window="first")(batch_of())
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape == (4, 32)
    for row, feature in enumerate(batch_of()):
        kept = feature["input_ids"][:30].tolist()
        assert restored(batch, row) == [tokenizer.cls_token_id, *kept, tokenizer.sep_token_id]
        length = len(kept) + 2
        assert batch["attention_mask"][row].tolist() == [1] * length + [0] * (32 - length)
        assert (batch["input_ids"][row, length:] == tokenizer.pad_token_id).all()
    assert batch["document_keys"].tolist() == [1_000, 1_001, 1_002, 1_003]
    assert batch["category_rows"].tolist() == [0, 1, 2, 3]


def test_categories_stand_beside_the_rows(bert_tokenizer):
    categories = collator(bert_tokenizer)(batch_of())["categories"]
    assert categories["kind"].tolist() == [1, -100, 0, -100]
    nan = float("nan")
    expected = torch.tensor([[0, 1], [nan, nan], [0, 0], [1, 1]])
    torch.testing.assert_close(categories["tags"], expected, rtol=0, atol=0, equal_nan=True)
    assert NoteCategoryCollator(bert_tokenizer)(batch_of())["categories"] == {}


def test_masked_tokens_have_labels_and_special_tokens_are_never_masked(bert_tokenizer):
    masking = MaskingOptions(0.5, 0.8, 0.1)
    batch = collator(bert_tokenizer, masking=masking)([document(number, 30) for number in range(200)])
    chosen = batch["labels"] != IGNORE_INDEX
    assert not chosen[:, [0, 31]].any()
    assert chosen[:, 1:31].float().mean() == pytest.approx(0.5, abs=0.03)
    masked = batch["input_ids"] == bert_tokenizer.mask_token_id
    assert masked[chosen].float().mean() == pytest.approx(0.8, abs=0.04) and not masked[~chosen].any()


def test_the_clean_view_follows_the_masked_rows(bert_tokenizer):
    features = batch_of()
    batch = collator(bert_tokenizer, clean_view=True, masking=MaskingOptions(0.5, 1.0, 0.0))(features)
    assert len(batch["input_ids"]) == 8 and batch["category_rows"].tolist() == [4, 5, 6, 7]
    assert (batch["labels"][4:] == IGNORE_INDEX).all()
    assert not (batch["input_ids"][4:] == bert_tokenizer.mask_token_id).any()
    assert (batch["input_ids"][:4] == bert_tokenizer.mask_token_id).sum() > 20
    for row in range(4):
        assert restored(batch, row) == restored(batch, row + 4)  # the same window, masked and clean
    masked_only = collator(bert_tokenizer, masking=MaskingOptions(0.5, 1.0, 0.0))(features)
    assert torch.equal(masked_only["input_ids"], batch["input_ids"][:4])
    assert torch.equal(masked_only["labels"], batch["labels"][:4])


@pytest.mark.parametrize("clean_view", [False, True])
def test_without_masking_the_only_rows_are_clean(bert_tokenizer, clean_view):
    batch = collator(bert_tokenizer, masking=None, clean_view=clean_view, window="first")(batch_of())
    assert len(batch["input_ids"]) == 4 and batch["category_rows"].tolist() == [0, 1, 2, 3]
    assert (batch["labels"] == IGNORE_INDEX).all()
    assert batch["input_ids"][0, 1:31].tolist() == batch_of()[0]["input_ids"][:30].tolist()


def windows(tokenizer, length, epochs, number=0, seed=3):
    make = collator(tokenizer, masking=None, seed=seed)
    rows = [make([document(number, length, epoch)])["input_ids"][0, 1:-1].tolist() for epoch in range(epochs)]
    return rows


def test_random_windows_start_at_both_ends_most_often(bert_tokenizer):
    # 33 tokens, windows of 30: four starts. Drawn from -15 to 18, of which 16 are clipped to, or are, each end.
    starts = [row[0] - 10 for row in windows(bert_tokenizer, 33, 1_500)]
    assert set(starts) == {0, 1, 2, 3}
    shares = np.bincount(starts) / len(starts)
    assert shares == pytest.approx(np.array([16, 1, 1, 16]) / 34, abs=0.04)


@pytest.mark.parametrize(("max_length", "length"), [(32, 31), (32, 90), (33, 300), (3, 6)])
def test_every_token_is_read_as_often_as_the_rule_says(bert_tokenizer, max_length, length):
    room, epochs = max_length - 2, 2_000
    make = collator(bert_tokenizer, masking=None, max_length=max_length)
    ids = np.arange(length) + 1_000  # each tells its place
    features = [{**document(0, length, epoch), "input_ids": ids} for epoch in range(epochs)]
    rows = make(features)["input_ids"][:, 1:-1] - 1_000
    seen = np.zeros(length)
    for row in rows.tolist():
        assert row == list(range(row[0], row[0] + room))  # a run of the document, whole
        seen[row] += 1
    # Every start from half a window before the document to half a window behind it, moved to where a window fits.
    half, last = room // 2, length - room
    expected = np.zeros(length)
    for drawn in range(-half, last + half + 1):
        start = min(max(drawn, 0), last)
        expected[start : start + room] += 1 / (last + 2 * half + 1)
    assert expected[0] == pytest.approx((half + 1) / (last + 2 * half + 1)) == pytest.approx(expected[-1])
    assert seen.min() > 0
    deviation = np.sqrt(expected * (1 - expected) / epochs)
    assert (np.abs(seen / epochs - expected) < 4.5 * deviation + 1e-9).all()


def test_random_windows_reach_every_part_of_a_long_document(bert_tokenizer):
    place = {tuple(row): start for start in range(21) for row in [(np.arange(start, start + 30) % 50 + 10).tolist()]}
    seen = np.zeros(50, dtype=int)
    for row in windows(bert_tokenizer, 50, 200):
        start = place[tuple(row)]  # a window is a run of the document, whole
        seen[start : start + 30] += 1
    assert seen.min() > 0 and seen.max() == 200 > seen[0]


def test_documents_that_fit_are_read_whole_in_every_epoch(bert_tokenizer):
    for length in (1, 29, 30):
        assert windows(bert_tokenizer, length, 5) == [(np.arange(length) + 10).tolist()] * 5


def test_windows_and_masks_depend_on_seed_epoch_and_document_alone(bert_tokenizer):
    make = collator(bert_tokenizer, clean_view=True)
    features = batch_of(4)
    whole = make(features)
    for number, feature in enumerate(features):
        alone = make([feature, document(77, 12, 9)][:: (-1) ** number])  # beside another, before or after it
        row = number % 2
        assert restored(whole, number) == restored(alone, row)
        length = int(whole["attention_mask"][number].sum())
        for name in ("input_ids", "labels"):
            assert torch.equal(whole[name][number, :length], alone[name][row, :length])
        assert torch.equal(whole["input_ids"][4 + number, :length], alone["input_ids"][2 + row, :length])
    assert torch.equal(make(features)["input_ids"], whole["input_ids"])
    long = document(0, 200)
    rows = [
        collator(bert_tokenizer, seed=seed)([{**long, **change}])["input_ids"][0].tolist()
        for seed, change in [
            (3, {}),
            (4, {}),
            (3, {"epoch": 1}),
            (3, {"document_id": "other"}),
            (3, {"draw": 1}),
            (3, {"draw": 2}),
        ]
    ]
    assert len(set(map(tuple, rows))) == 6


@pytest.mark.parametrize("kind", ["mlm", "declutr", "note_category"])
def test_a_document_drawn_again_gets_windows_spans_and_masks_of_its_own(bert_tokenizer, kind):
    make = {
        "mlm": MlmCollator(bert_tokenizer, seed=3),
        "declutr": DeclutrCollator(bert_tokenizer, SpanOptions(min_length=4, max_length=24), seed=3),
        "note_category": collator(bert_tokenizer),
    }[kind]
    feature = {**document(0, 200), "patient_key": 5, "content_key": 6}

    def batch(**change):
        made = make([{**feature, **change}])
        return made["input_ids"].tolist(), made["labels"].tolist()

    assert batch(draw=0) == batch()  # the first draw is that of a run without repeated documents
    made = [batch(draw=draw) for draw in range(6)]
    assert all(one != other for place, one in enumerate(made) for other in made[:place])
    assert batch(draw=4) == made[4] != batch(draw=4, epoch=1)


@pytest.mark.parametrize("window", ["random", "first"])
@pytest.mark.parametrize("max_length", [3, 16, 32, 64])
def test_no_row_exceeds_the_longest_allowed(bert_tokenizer, window, max_length):
    batch = collator(bert_tokenizer, window=window, max_length=max_length, clean_view=True)(batch_of())
    assert batch["input_ids"].shape[1] == max_length
    expected = [min(length + 2, max_length) for length in LENGTHS]
    assert batch["attention_mask"].sum(1).tolist() == expected * 2


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("max_length", [0, 1, 2])
def test_a_window_without_room_for_a_token_is_refused(request, family, max_length):
    with pytest.raises(ValueError, match=f"^max_length {max_length} leaves no room beside 2 special tokens$"):
        collator(request.getfixturevalue(f"{family}_tokenizer"), max_length=max_length)


def test_rows_are_only_as_long_as_the_longest_and_round_up(bert_tokenizer):
    features = [document(0, 11), document(1, 5)]
    assert collator(bert_tokenizer)(features)["input_ids"].shape == (2, 13)
    batch = collator(bert_tokenizer, pad_to_multiple_of=8)(features)
    assert batch["input_ids"].shape == batch["labels"].shape == batch["attention_mask"].shape == (2, 16)
    assert batch["attention_mask"].sum(1).tolist() == [13, 7]
    assert (batch["labels"][:, 13:] == IGNORE_INDEX).all()


def test_an_empty_document_is_special_tokens_alone(bert_tokenizer):
    batch = collator(bert_tokenizer)([document(0, 0), document(1, 4)])
    assert batch["input_ids"][0, :2].tolist() == [bert_tokenizer.cls_token_id, bert_tokenizer.sep_token_id]
    assert batch["attention_mask"].sum(1).tolist() == [2, 6]

"""Masking: shares, specials, whole words, determinism."""

import numpy as np
import pytest

from collators.masking import IGNORE_INDEX, MaskingOptions, TokenMasker
from collators.randomness import document_generator
from corpora.errors import InputError


@pytest.fixture
def generator():
    return document_generator(0, 0, "masking")


def test_shares_are_15_percent_and_80_10_10(bert_tokenizer, generator):
    masker = TokenMasker(bert_tokenizer, MaskingOptions())
    ids = np.full(200_000, bert_tokenizer.convert_tokens_to_ids("patient"))
    masked, labels = masker(ids, generator)
    chosen = labels != IGNORE_INDEX
    assert chosen.mean() == pytest.approx(0.15, abs=0.004)
    assert (labels[chosen] == ids[chosen]).all()
    assert (masked[~chosen] == ids[~chosen]).all()
    assert (masked[chosen] == bert_tokenizer.mask_token_id).mean() == pytest.approx(0.8, abs=0.01)
    kept = (masked[chosen] == ids[chosen]).mean()
    assert kept == pytest.approx(0.1, abs=0.012)


def test_special_tokens_are_neither_chosen_nor_drawn(bert_tokenizer, generator):
    masker = TokenMasker(bert_tokenizer, MaskingOptions(probability=1.0, mask_share=0.0, random_share=1.0))
    ids = np.array(bert_tokenizer("the patient was well")["input_ids"] * 500)
    masked, labels = masker(ids, generator)
    special = np.isin(ids, bert_tokenizer.all_special_ids)
    assert (labels[special] == IGNORE_INDEX).all() and (masked[special] == ids[special]).all()
    assert (labels[~special] == ids[~special]).all()
    assert not np.isin(masked[~special], bert_tokenizer.all_special_ids).any()


def test_whole_words_are_chosen_together_and_never_across_rows(bert_tokenizer, generator):
    masker = TokenMasker(bert_tokenizer, MaskingOptions(probability=0.3, whole_word=True))
    start, middle = bert_tokenizer.convert_tokens_to_ids(["p", "##a"])
    word = [start, middle, middle, middle]
    ids = np.array(word * 2000)
    _, labels = masker(ids, generator)
    together = (labels != IGNORE_INDEX).reshape(-1, 4)
    assert (together.all(1) | ~together.any(1)).all()
    assert together.any(1).mean() == pytest.approx(0.3, abs=0.05)
    # A row that begins with a continuation is no part of the row before it.
    rows = np.array([start, middle] * 2000)
    _, labels = masker(rows, generator, row_starts=np.arange(len(rows)))
    apart = (labels != IGNORE_INDEX).reshape(-1, 2)
    assert (apart[:, 0] != apart[:, 1]).mean() == pytest.approx(2 * 0.3 * 0.7, abs=0.05)


def test_byte_level_words_are_told_apart_by_the_space_mark(roberta_tokenizer):
    masker = TokenMasker(roberta_tokenizer, MaskingOptions(whole_word=True))
    tokens = roberta_tokenizer.convert_ids_to_tokens(range(len(roberta_tokenizer)))
    for token, continues in zip(tokens, masker.continues_word, strict=True):
        assert continues == (token[0] not in "ĠĊĉč" and token[0].isalnum())


def test_words_end_at_line_breaks_and_punctuation(roberta_tokenizer):
    masker = TokenMasker(roberta_tokenizer, MaskingOptions(whole_word=True, probability=0.5))
    text = "chest pain\nPlan: continue (aspirin) b/p"
    encoded = roberta_tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, words = np.array(encoded["input_ids"]), []
    for begin, end in encoded["offset_mapping"]:
        piece = text[begin:end].strip(" ")
        if words and text[begin].isalnum() and text[begin - 1].isalnum():
            words[-1] += piece
        else:
            words.append(piece)
    assert {"chest", "pain", "Plan", "continue", "aspirin", "b", "p"} <= set(words)
    starts = ~masker.continues_word[ids]
    starts[1:] |= masker.ends_word[ids[:-1]]
    starts[0] = True  # as of every row
    assert starts.sum() == len(words)


def test_same_generator_state_gives_same_masks(bert_tokenizer):
    masker = TokenMasker(bert_tokenizer)
    ids = np.arange(5, 60)
    first = masker(ids, document_generator(1, 2, "x"))
    second = masker(ids, document_generator(1, 2, "x"))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_a_tokenizer_without_mask_token_is_refused(bert_tokenizer):
    import copy

    tokenizer = copy.deepcopy(bert_tokenizer)
    tokenizer.mask_token = None
    with pytest.raises(InputError, match="no mask token"):
        TokenMasker(tokenizer)


@pytest.mark.parametrize(
    "wrong", [{"probability": 1.1}, {"mask_share": -0.1}, {"mask_share": 0.7, "random_share": 0.4}]
)
def test_shares_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError):
        MaskingOptions(**wrong)

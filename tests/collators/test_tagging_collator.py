"""Sentences to windows: sub-words of words, windows of whole words, and where each word is read."""

from itertools import pairwise

import numpy as np
import pytest

from collators.special_tokens import token_ids
from collators.tagged_sentences import ResampledSentences, TaggedSentences, tag_numbers
from collators.tagging import LONGEST_WORD, TaggingCollator, tokenize_sentences, word_windows
from corpora.tag_schemes import tag_names


@pytest.fixture(params=["bert", "roberta"])
def tokenizer(request, bert_tokenizer, roberta_tokenizer):
    return bert_tokenizer if request.param == "bert" else roberta_tokenizer


def _features(sentences, labels=None):
    items = [{"input_ids": each.input_ids, "word_offsets": each.word_offsets} for each in sentences]
    for item, own in zip(items, labels or [], strict=bool(labels)):
        item["labels"] = own
    return items


def test_words_are_cut_one_by_one(bert_tokenizer):
    (sentence,) = tokenize_sentences([["chest", "painful", "x"]], bert_tokenizer)
    assert bert_tokenizer.convert_ids_to_tokens(sentence.input_ids.tolist()) == (
        ["chest", "pain", "##f", "##u", "##l", "x"]
    )
    assert sentence.word_offsets.tolist() == [0, 1, 5, 6]
    assert sentence.words == 3


def test_subwords_of_a_spaced_sentence_are_those_of_its_text(tokenizer):
    words = "the patient was admitted with chest pain".split()
    (sentence,) = tokenize_sentences([words], tokenizer)
    assert sentence.input_ids.tolist() == token_ids(tokenizer, [" ".join(words)])[0]


def test_a_word_without_white_space_before_it_is_written_so(roberta_tokenizer):
    (joined,) = tokenize_sentences([["fever", "no"]], roberta_tokenizer, [[False, False]])
    (apart,) = tokenize_sentences([["fever", "no"]], roberta_tokenizer)
    pieces = [
        roberta_tokenizer.convert_ids_to_tokens(each.input_ids[each.word_offsets[1] :]) for each in (joined, apart)
    ]
    assert not pieces[0][0].startswith("Ġ")
    assert pieces[1][0].startswith("Ġ")


def test_odd_words_have_subwords_too(bert_tokenizer):
    endless = "a" * 500
    (sentence,) = tokenize_sentences([["\u200b", endless, "fever"]], bert_tokenizer)
    lengths = np.diff(sentence.word_offsets)
    assert lengths[0] == 1
    assert sentence.input_ids[0] == bert_tokenizer.unk_token_id
    assert 1 <= lengths[1] <= LONGEST_WORD
    assert sentence.words == 3


def test_no_sentence_and_an_empty_sentence(bert_tokenizer):
    assert tokenize_sentences([], bert_tokenizer) == []
    (empty,) = tokenize_sentences([[]], bert_tokenizer)
    assert (empty.words, len(empty.input_ids)) == (0, 0)


def test_a_short_sentence_is_one_window():
    (window,) = word_windows(np.array([0, 2, 5, 6]), 6, 2)
    assert (window.start, window.end, window.first_scored, window.end_scored) == (0, 3, 0, 3)


def test_windows_of_single_subwords():
    windows = word_windows(np.arange(11), 4, 2)
    assert [(w.start, w.end) for w in windows] == [(0, 4), (2, 6), (4, 8), (6, 10)]
    # Of two shared words the first is read in the earlier window, the second in the later.
    assert [(w.first_scored, w.end_scored) for w in windows] == [(0, 3), (3, 5), (5, 7), (7, 10)]


def test_windows_hold_every_word_once_and_whole():
    random = np.random.default_rng(0)
    for _ in range(300):
        room = int(random.integers(LONGEST_WORD, 60))
        overlap = int(random.integers(0, room // 2 + 1))
        lengths = random.integers(1, LONGEST_WORD + 1, random.integers(1, 120))
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        windows = word_windows(offsets, room, overlap)
        scored = [word for window in windows for word in range(window.first_scored, window.end_scored)]
        assert scored == list(range(len(lengths)))
        for window in windows:
            assert offsets[window.end] - offsets[window.start] <= room
            assert window.start <= window.first_scored <= window.end_scored <= window.end
        for before, after in pairwise(windows):
            assert before.start < after.start
            assert before.end < after.end


def test_collator_points_at_the_first_subword(tokenizer):
    words = [["the", "patient", "was", "xyz"], ["fever"], []]
    sentences = tokenize_sentences(words, tokenizer)
    batch = TaggingCollator(tokenizer, length=40, overlap=4)(_features(sentences))
    flat = batch["input_ids"].flatten()
    assert batch["word_index"].shape == (3, 4)
    for row, sentence in enumerate(sentences):
        index = batch["word_index"][row]
        assert (index[sentence.words :] == -1).all()
        firsts = sentence.input_ids[sentence.word_offsets[:-1]]
        assert flat[index[: sentence.words]].tolist() == firsts.tolist()
    assert "labels" not in batch


def test_long_sentences_are_read_in_windows(tokenizer):
    random = np.random.default_rng(1)
    vocabulary = ["fever", "patient", "xyz", "chest", "aspirin"]
    words = [list(random.choice(vocabulary, size)) for size in (200, 3, 77)]
    labels = [list(random.integers(0, 5, len(own))) for own in words]
    sentences = tokenize_sentences(words, tokenizer)
    batch = TaggingCollator(tokenizer, length=32, overlap=8)(_features(sentences, labels))
    assert batch["input_ids"].shape[1] <= 32
    assert batch["input_ids"].shape == batch["attention_mask"].shape
    flat, shown = batch["input_ids"].flatten(), batch["attention_mask"].flatten()
    for row, sentence in enumerate(sentences):
        index = batch["word_index"][row, : sentence.words]
        assert flat[index].tolist() == sentence.input_ids[sentence.word_offsets[:-1]].tolist()
        assert shown[index].all()
        assert batch["labels"][row, : sentence.words].tolist() == labels[row]
        assert (batch["labels"][row, sentence.words :] == -100).all()


def test_windows_that_cannot_work_are_refused(bert_tokenizer):
    with pytest.raises(ValueError, match="too short"):
        TaggingCollator(bert_tokenizer, length=10)
    with pytest.raises(ValueError, match="overlap"):
        TaggingCollator(bert_tokenizer, length=40, overlap=30)


def test_tags_become_numbers():
    names = tag_names(["Drug", "Dose"])
    assert names == ["O", "B-Dose", "I-Dose", "B-Drug", "I-Drug"]
    assert tag_numbers(["O", "B-Drug", "I-Drug", "B-Reason"], names) == [0, 3, 4, -100]
    names = tag_names(["Drug"], "BIOES")
    found = tag_numbers(["B-Drug", "O", "B-Drug", "I-Drug"], names, "BIOES")
    assert [names[number] for number in found] == ["S-Drug", "O", "B-Drug", "E-Drug"]


def test_sentences_and_labels_must_belong_together(bert_tokenizer):
    sentences = tokenize_sentences([["fever", "no"]], bert_tokenizer)
    with pytest.raises(ValueError, match="other numbers of words"):
        TaggedSentences(sentences, [[0]])
    with pytest.raises(ValueError, match="other numbers of words"):
        TaggedSentences(sentences, [])


def test_resampled_sentences_change_with_the_epoch(bert_tokenizer):
    sentences = tokenize_sentences([["fever"], ["cough"], ["pain"]], bert_tokenizer)
    data = ResampledSentences(TaggedSentences(sentences, [[0], [1], [2]]), lambda epoch: np.array([epoch, 2]))
    assert [int(item["labels"][0]) for item in data.__getitems__([0, 1])] == [0, 2]
    data.set_epoch(1)
    assert [int(item["labels"][0]) for item in data] == [1, 2]


def test_epochs_of_other_lengths_are_made_as_long_as_the_first(bert_tokenizer):
    sentences = tokenize_sentences([["fever"], ["cough"], ["pain"], ["no"]], bert_tokenizer)
    draws = {0: [0, 1, 2], 1: [0, 1, 2, 3], 2: [0, 3]}
    data = ResampledSentences(TaggedSentences(sentences, [[0], [1], [2], [3]]), lambda epoch: np.array(draws[epoch]))
    seen = []
    for epoch in draws:
        data.set_epoch(epoch)
        seen.append([int(item["labels"][0]) for item in data])
    assert seen == [[0, 1, 2], [0, 1, 2], [0, 3, 3]]

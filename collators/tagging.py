"""Batches for tagging words: sentences as windows of sub-words, and where each word's first sub-word lies in them.

A tagger scores words, not sub-words (Belkadi et al. 2022 score sub-words; a CRF over them would learn how the tokenizer
cuts words). So a batch says for every word which hidden state stands for it, and the model gathers these.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from collators.masking import IGNORE_INDEX
from collators.padding import pad_rows
from collators.special_tokens import special_token_affixes, token_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# More sub-words say nothing more about a word, and one word must not fill a window.
LONGEST_WORD = 16


@dataclass(frozen=True)
class TokenizedSentence:
    """The sub-words of a sentence.

    Args:
        input_ids: `(sub-words,)` int64, without special tokens.
        word_offsets: `(words + 1,)` int64: word `w` has the sub-words from `word_offsets[w]` to `word_offsets[w + 1]`.
    """

    input_ids: np.ndarray
    word_offsets: np.ndarray

    @property
    def words(self) -> int:
        """How many words there are."""
        return len(self.word_offsets) - 1


def tokenize_sentences(
    sentences: Iterable[Sequence[str]],
    tokenizer: PreTrainedTokenizerBase,
    spaces_before: Iterable[Sequence[bool]] | None = None,
) -> list[TokenizedSentence]:
    """Cut the words of sentences into sub-words, each word by itself.

    So no sub-word spans two words, whatever the words are ("10mg" may be two of them). A word of which the tokenizer
    leaves nothing (a control character) becomes the unknown token, and of a word without end the first 16 sub-words are
    kept.

    Args:
        sentences: The words of each.
        tokenizer: A fast or slow tokenizer; whether the vocabulary marks word starts (byte-level BPE) or continuations
            (WordPiece) makes no difference.
        spaces_before: For each word whether white space stands before it; byte-level BPE writes the two differently.
            When not given, before every word but the first.
    """
    sentences = [list(words) for words in sentences]
    if spaces_before is None:
        spaces_before = [[False, *[True] * (len(words) - 1)][: len(words)] for words in sentences]
    written = [
        [f" {word}" if space else word for word, space in zip(words, spaces, strict=True)]
        for words, spaces in zip(sentences, spaces_before, strict=True)
    ]
    different = sorted({word for words in written for word in words})
    empty = [tokenizer.unk_token_id if tokenizer.unk_token_id is not None else tokenizer.pad_token_id]
    pieces = {
        word: (ids or empty)[:LONGEST_WORD]
        for word, ids in zip(different, token_ids(tokenizer, different) if different else [], strict=True)
    }
    found = []
    for words in written:
        parts = [pieces[word] for word in words]
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        ids = np.fromiter((number for part in parts for number in part), dtype=np.int64, count=int(offsets[-1]))
        found.append(TokenizedSentence(ids, offsets))
    return found


def have_space_before(words: Sequence[tuple[int, int]]) -> list[bool]:
    """Return for each word of a sentence whether white space stands before it in the text.

    The first word counts as without. Characters that show nothing, such as a soft hyphen between two words, count as
    white space.

    Args:
        words: Offsets `(start, end)` in order.
    """
    return [place > 0 and start > words[place - 1][1] for place, (start, _) in enumerate(words)]


@dataclass(frozen=True)
class WordWindow:
    """A stretch of a sentence that the model reads at once.

    Args:
        start: First word in it.
        end: The word after its last.
        first_scored: First word whose hidden state is taken from this window.
        end_scored: The word after the last of those.
    """

    start: int
    end: int
    first_scored: int
    end_scored: int


def word_windows(word_offsets: np.ndarray, room: int, overlap: int) -> list[WordWindow]:
    """Cut a sentence into windows of whole words that cover it.

    Where two windows share words, each word is scored in the one in which it stands further from the edge.

    Args:
        word_offsets: `(words + 1,)` of a `TokenizedSentence`.
        room: Most sub-words in a window; at least as many as any word has.
        overlap: Sub-words that a window shares with the one before, about: whole words are shared.

    Returns:
        At least one window.
    """
    words = len(word_offsets) - 1
    if int(word_offsets[-1]) <= room:
        return [WordWindow(0, words, 0, words)]
    bounds: list[tuple[int, int]] = []
    start = 0
    while True:
        end = int(np.searchsorted(word_offsets, word_offsets[start] + room, side="right")) - 1
        bounds.append((start, end))
        if end == words:
            break
        # The next window reaches back by the overlap, unless the word after this one's end would not fit then.
        back = max(int(word_offsets[end]) - overlap, int(word_offsets[end + 1]) - room)
        start = max(start + 1, int(np.searchsorted(word_offsets, back, side="left")))
    middles = [(before[1] + after[0] + 1) // 2 for before, after in pairwise(bounds)]
    firsts, ends = [0, *middles], [*middles, words]
    return [WordWindow(*bound, first, last) for bound, first, last in zip(bounds, firsts, ends, strict=True)]


@dataclass
class TaggingCollator:
    """Cuts tokenised sentences into windows and pads them.

    The result holds

    - `input_ids`, `attention_mask`: `(windows, length)` int64;
    - `word_index`: `(sentences, words)` int64: where the word's first sub-word lies in the flattened windows, -1 where
      a sentence has no such word;
    - `labels`: `(sentences, words)` int64, -100 where there is no word or no label (an entity type that training never
      saw).

    Args:
        tokenizer: The model's tokenizer.
        length: Tokens in a window, special tokens included.
        overlap: Sub-words that two windows share.
        pad_to_multiple_of: Round lengths up to a multiple of this.

    Raises:
        ValueError: The windows are too short for a word, or for the overlap.
    """

    tokenizer: PreTrainedTokenizerBase
    length: int = 512
    overlap: int = 64
    pad_to_multiple_of: int | None = None

    def __post_init__(self) -> None:
        prefix, suffix = special_token_affixes(self.tokenizer)
        self._prefix, self._suffix = np.array(prefix, dtype=np.int64), np.array(suffix, dtype=np.int64)
        self._room = self.length - len(prefix) - len(suffix)
        if self._room < LONGEST_WORD:
            raise ValueError(
                f"windows of {self.length} tokens are too short for words; give {LONGEST_WORD + 8} or more"
            )
        if not 0 <= self.overlap <= self._room // 2:
            raise ValueError(f"an overlap of {self.overlap} tokens does not fit windows of {self.length}")

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        """Collate sentences with the keys `input_ids`, `word_offsets` and, for training, `labels`."""
        rows: list[np.ndarray] = []
        places: list[tuple[int, int, int, np.ndarray]] = []  # sentence, first word, row, places of words in the row
        for number, feature in enumerate(features):
            ids, offsets = np.asarray(feature["input_ids"]), np.asarray(feature["word_offsets"])
            for window in word_windows(offsets, self._room, self.overlap):
                begin, end = int(offsets[window.start]), int(offsets[window.end])
                scored = offsets[window.first_scored : window.end_scored] - begin + len(self._prefix)
                places.append((number, window.first_scored, len(rows), scored))
                rows.append(np.concatenate((self._prefix, ids[begin:end], self._suffix)))
        input_ids, attention_mask = pad_rows(rows, self.tokenizer.pad_token_id, self.pad_to_multiple_of)
        words = max(1, *(len(feature["word_offsets"]) - 1 for feature in features))
        index = np.full((len(features), words), -1, dtype=np.int64)
        for number, first, row, scored in places:
            index[number, first : first + len(scored)] = row * input_ids.shape[1] + scored
        batch = {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "word_index": torch.from_numpy(index),
        }
        if "labels" in features[0]:
            labels = np.full((len(features), words), IGNORE_INDEX, dtype=np.int64)
            for number, feature in enumerate(features):
                labels[number, : len(feature["labels"])] = feature["labels"]
            batch["labels"] = torch.from_numpy(labels)
        return batch

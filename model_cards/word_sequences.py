"""Sequences of words that two texts share, whatever their case and punctuation."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_WORD = re.compile(r"[^\W_]+")
# Soft hyphens and characters without width, which nobody sees within a word.
_UNSEEN = dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).translate(_UNSEEN).casefold())


class WordSequences:
    """The sequences of words of a few small texts, to be looked for in a large corpus.

    The hash table holds the small side, so that memory does not grow with the corpus. Sequences with fewer than two
    distinct words that hold a letter are passed over: rows of numbers are alike everywhere.

    Args:
        length: Words in a sequence.
    """

    def __init__(self, length: int = 8) -> None:
        self.length = length
        self._owners: dict[tuple[str, ...], set[str]] = {}
        self._words: dict[str, str] = {}

    def add(self, name: str, text: str) -> None:
        """Add the sequences of a text under a name."""
        words = words_of(text)
        if len(words) < self.length:
            return
        words = [self._words.setdefault(word, word) for word in words]
        for start in range(len(words) - self.length + 1):
            sequence = tuple(words[start : start + self.length])
            if len({word for word in sequence if not word.isdigit()}) > 1:
                self._owners.setdefault(sequence, set()).add(name)

    def __len__(self) -> int:
        return len(self._owners)

    def found_in(self, words: list[str]) -> set[tuple[str, ...]]:
        """Return the sequences that occur in a document, given as `words_of` it."""
        found, known, run = set(), self._words, 0
        for end, word in enumerate(words, start=1):
            # Most runs of known words are too short, and cost one look-up a word.
            run = run + 1 if word in known else 0
            if run >= self.length:
                sequence = tuple(words[end - self.length : end])
                if sequence in self._owners:
                    found.add(sequence)
        return found

    def count(self, found: set[tuple[str, ...]]) -> Counter[str]:
        """Return how many distinct sequences each named text has of those found."""
        return Counter(name for sequence in found for name in self._owners[sequence])

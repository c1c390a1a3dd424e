"""Words of a tokenizer that few patients of a corpus have: names of people and places end there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from model_cards.word_sequences import words_of


def vocabulary_words(folder: Path) -> set[str]:
    """Return the whole words of a checkpoint's vocabulary, in lower case; empty without vocabulary.

    Continuations (`##ing`), special tokens and words without a letter or of fewer than three characters are left out.
    """
    words = set()
    for entry in _entries(folder):
        parts = words_of(entry)
        if len(parts) == 1 and len(parts[0]) > 2 and not parts[0].isdigit():
            words.add(parts[0])
    return words


def _entries(folder: Path) -> Iterator[str]:
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        special = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
        for entry in tokenizer.get_vocab():
            if entry not in special and not entry.startswith("##"):
                # Undoes byte-level alphabets and the marks of a word's beginning.
                yield tokenizer.decoder.decode([entry]) if tokenizer.decoder is not None else entry
    elif (folder / "vocab.txt").is_file():
        for line in (folder / "vocab.txt").read_text(encoding="utf-8").splitlines():
            if not line.startswith(("##", "[")):
                yield line


class RareWords:
    """Counts in how many patients each word of a vocabulary occurs, up to a limit.

    Memory is bounded by the vocabulary times the limit. Words that never occur are not of this corpus and not rare.

    Args:
        words: The vocabulary, in lower case.
        fewer_than: Patients (documents, where there are no patients) below which a word is rare.
    """

    def __init__(self, words: set[str], fewer_than: int) -> None:
        self.fewer_than = fewer_than
        self._open = set(words)
        self._owners: dict[str, set[str]] = {}

    def add(self, words: list[str], owner: str) -> None:
        """Add the words of a document of a patient."""
        for word in self._open.intersection(words):
            owners = self._owners.setdefault(word, set())
            owners.add(owner)
            if len(owners) >= self.fewer_than:
                self._open.remove(word)
                del self._owners[word]

    def rare(self) -> dict[str, int]:
        """Return the rare words and the number of their patients."""
        return {word: len(owners) for word, owners in sorted(self._owners.items())}

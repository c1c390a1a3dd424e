"""Sentences with tags, as a trainer wants them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from collators.epochs import EpochDataset
from collators.masking import IGNORE_INDEX
from collators.tagging import TokenizedSentence
from corpora.tag_schemes import iob2_to_bioes


def tag_numbers(tags: Sequence[str], names: Sequence[str], scheme: str = "IOB2") -> list[int]:
    """Return the numbers of the tags of a sentence.

    Args:
        tags: IOB2.
        names: The tags of the model, in order.
        scheme: Of these: IOB2 or BIOES.

    Returns:
        One number for each word; -100 for an entity type that the model lacks.
    """
    numbers = {name: number for number, name in enumerate(names)}
    own = iob2_to_bioes(tags) if scheme == "BIOES" else tags
    return [numbers.get(tag, IGNORE_INDEX) for tag in own]


class TaggedSentences(Dataset):
    """Sentences and the numbers of their tags.

    Args:
        sentences: Of `tokenize_sentences`.
        labels: For each sentence the number of each word's tag; see `tag_numbers`.

    Raises:
        ValueError: They do not belong together.
    """

    def __init__(self, sentences: Sequence[TokenizedSentence], labels: Sequence[Sequence[int]]) -> None:
        if len(sentences) != len(labels) or any(
            sentence.words != len(own) for sentence, own in zip(sentences, labels, strict=False)
        ):
            raise ValueError("the sentences and the labels have other numbers of words")
        self.sentences = sentences
        self.labels = [np.asarray(own, dtype=np.int64) for own in labels]

    def __len__(self) -> int:
        return len(self.sentences)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sentence = self.sentences[index]
        return {
            "input_ids": sentence.input_ids,
            "word_offsets": sentence.word_offsets,
            "labels": self.labels[index],
        }

    def select(self, rows: Sequence[int] | np.ndarray) -> TaggedSentences:
        """Return some of the sentences, in the order given."""
        return TaggedSentences([self.sentences[row] for row in rows], [self.labels[row] for row in rows])


class ResampledSentences(EpochDataset):
    """Other sentences in every epoch.

    A trainer counts its steps beforehand, so every epoch is as long as the first: of a longer draw the last rows are
    left out, of a shorter one the last rows are read twice.

    Args:
        sentences: All of them.
        rows_of_epoch: Gives the rows of an epoch, those that must not be left out first.
    """

    def __init__(self, sentences: TaggedSentences, rows_of_epoch: Callable[[int], np.ndarray]) -> None:
        super().__init__(sentences)
        self._rows_of_epoch = rows_of_epoch
        self._rows: tuple[int, np.ndarray] = (0, rows_of_epoch(0))

    def __len__(self) -> int:
        return len(self._rows[1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        if self._rows[0] != self.epoch:  # also in a loader's worker, which sees the epoch in shared memory
            rows, wanted = self._rows_of_epoch(self.epoch), len(self)
            rows = np.concatenate((rows, rows[len(rows) - max(0, wanted - len(rows)) :]))[:wanted]
            self._rows = (self.epoch, rows)
        return self.documents[int(self._rows[1][index])]

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        """Return several items."""
        return [self[index] for index in indices]

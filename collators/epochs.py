"""A dataset that tells each item which epoch it is drawn in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset


class EpochDataset(Dataset):
    """Adds the running epoch to every item, so that a collator can draw fresh spans and masks each epoch.

    The number lives in shared memory, so that persistent loader workers see `set_epoch` too. A sampler that draws a
    document several times an epoch gives the index `document + draw * len(dataset)`; the item then holds the number of
    the draw as well, so that it differs from the one before.

    Args:
        documents: A map-style dataset of dictionaries.
        fixed_epoch: Keep this number for ever; evaluation uses it so that its spans never change.
    """

    def __init__(self, documents: Sequence[Mapping[str, Any]], fixed_epoch: int | None = None) -> None:
        self.documents = documents
        self.fixed = fixed_epoch is not None
        self._epoch = torch.tensor([fixed_epoch or 0]).share_memory_()

    @property
    def epoch(self) -> int:
        """The running epoch."""
        return int(self._epoch[0])

    def set_epoch(self, epoch: int) -> None:
        """Start an epoch; without effect when the epoch is fixed."""
        if not self.fixed:
            self._epoch[0] = epoch

    def __len__(self) -> int:
        return len(self.documents)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # Python's own would go on to indices beyond the documents, which are draws, and never end.
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> dict[str, Any]:
        draw, place = divmod(index % len(self) if index < 0 else index, len(self))
        return {**self.documents[place], "epoch": self.epoch, "draw": draw}

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        """Return several items; one read of the table is several times as fast as one read an item."""
        if not hasattr(self.documents, "__getitems__"):
            return [self[index] for index in indices]
        epoch, size = self.epoch, len(self)
        items = self.documents.__getitems__([index % size for index in indices])
        return [{**item, "epoch": epoch, "draw": index // size} for index, item in zip(indices, items, strict=True)]

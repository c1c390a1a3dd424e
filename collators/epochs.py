"""A dataset that tells each item which epoch it is drawn in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import Dataset


class EpochDataset(Dataset):
    """Adds the running epoch to every item, so that a collator can draw fresh spans and masks each epoch.

    The number lives in shared memory, so that persistent loader workers see `set_epoch` too.

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

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.documents[index], "epoch": self.epoch}

    def __getitems__(self, indices: list[int]) -> list[dict[str, Any]]:
        """Return several items; one read of the table is several times as fast as one read an item."""
        epoch = self.epoch
        if hasattr(self.documents, "__getitems__"):
            return [{**item, "epoch": epoch} for item in self.documents.__getitems__(indices)]
        return [{**self.documents[index], "epoch": epoch} for index in indices]

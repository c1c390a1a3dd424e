"""The order of the documents of an epoch, without a list of them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from collators.epochs import EpochDataset

# Indices made Python numbers at a time.
PART = 4096


class RandomOrder(Sampler[int]):
    """Goes through all documents in an order that depends on (seed, epoch) alone.

    The order is that of accelerate's `SeedableRandomSampler`, which holds it as a list of Python numbers: 36 bytes a
    document and more, in every process. This one holds 8.

    Args:
        dataset: The documents; tells the running epoch.
        seed: Seed of the run.
    """

    def __init__(self, dataset: EpochDataset, seed: int) -> None:
        self._dataset, self._seed = dataset, seed

    def __len__(self) -> int:
        return len(self._dataset)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._dataset.epoch)
        for part in torch.randperm(len(self), generator=generator).split(PART):
            yield from part.tolist()

"""The order of an epoch: that of accelerate's sampler, for a fraction of its memory."""

import tracemalloc

import pytest
import torch
from accelerate.data_loader import SeedableRandomSampler

from collators.epochs import EpochDataset
from collators.random_order import PART, RandomOrder


@pytest.mark.parametrize("count", [1, 7, PART, 2 * PART + 3])
def test_the_order_is_that_of_accelerate(count):
    dataset = EpochDataset(range(count))
    torch.manual_seed(5)
    theirs = SeedableRandomSampler(dataset, generator=torch.Generator())
    ours = RandomOrder(dataset, 5)
    assert len(ours) == count
    orders = []
    for epoch in range(3):
        dataset.set_epoch(epoch)
        orders.append(list(ours))
        assert orders[-1] == list(theirs) == list(ours)  # and again the same within an epoch
        assert sorted(orders[-1]) == list(range(count))
        theirs.set_epoch(epoch + 1)
    assert count < 7 or orders[0] != orders[1]


def test_it_holds_no_list_of_the_documents():
    dataset = EpochDataset(range(200_000))

    def peak(sampler):
        tracemalloc.start()
        for _ in sampler:
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak(RandomOrder(dataset, 0)) < 2e6 < peak(SeedableRandomSampler(dataset, generator=torch.Generator()))

"""Pooling of vectors over sets, where many sets share few vectors."""

from __future__ import annotations

import torch
from torch.nn import functional as F

# Share of all vectors in an average set from which on the search by rank is faster than a look at every member.
DENSE = 1 / 8


def max_over_sets(values: torch.Tensor, indices: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Return the largest value of each dimension in each set.

    Args:
        values: `(vectors, size)`, not negative.
        indices: `(n,)` int64 rows of `values`, the sets one after the other.
        offsets: `(sets,)` int64, where in `indices` each set begins.

    Returns:
        `(sets, size)`, zero for an empty set.
    """
    if len(indices) < DENSE * len(offsets) * len(values):
        return F.embedding_bag(indices, values, offsets, mode="max")
    return _max_by_rank(values, indices, offsets)


def mean_over_sets(values: torch.Tensor, indices: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Return the mean of each set, `(sets, size)`, zero for an empty one; arguments as in `max_over_sets`."""
    return F.embedding_bag(indices, values, offsets, mode="mean")


def attention_over_sets(
    values: torch.Tensor, scores: torch.Tensor, indices: torch.Tensor, offsets: torch.Tensor
) -> torch.Tensor:
    """Return the mean of each set, weighted by the softmax of the scores within the set.

    Args:
        values: `(vectors, size)`.
        scores: `(vectors,)`.
        indices: As in `max_over_sets`.
        offsets: As in `max_over_sets`.

    Returns:
        `(sets, size)`, zero for an empty set.
    """
    sets = _set_of_each(indices, offsets)
    highest = F.embedding_bag(indices, scores.detach().unsqueeze(1), offsets, mode="max").squeeze(1)
    weights = (scores[indices] - highest[sets]).exp()
    total = weights.new_zeros(len(offsets)).index_add(0, sets, weights)
    shares = weights / total[sets]
    return F.embedding_bag(indices, values, offsets, mode="sum", per_sample_weights=shares)


def _max_by_rank(values: torch.Tensor, indices: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Walk down the vectors in the order of each dimension until every set holds one.

    A set of half of all vectors holds one of the first two most often, so that few of its members are looked at; and
    what is looked at are bytes of many sets at a time. Three times as fast as `embedding_bag` for 1,000 sets of 63 of
    130 vectors.
    """
    ordered, order = values.sort(0, descending=True)
    ranks = int((ordered > 0).sum(0).max())  # from there on the largest value is zero, as of an empty set
    with torch.no_grad():
        lacks = torch.ones(len(values), len(offsets), dtype=torch.bool, device=values.device)
        lacks[indices, _set_of_each(indices, offsets)] = False
        still = torch.ones(values.shape[1], len(offsets), dtype=torch.bool, device=values.device)
        place = torch.zeros(still.shape, dtype=torch.uint8 if ranks < 256 else torch.int32, device=values.device)
        for rank in range(ranks):
            still &= lacks[order[rank]]
            place += still
            if rank % 8 == 7 and not still.any():
                break
    ordered = torch.cat([ordered[:ranks], ordered.new_zeros(1, values.shape[1])])
    return ordered.gather(0, place.T.long())


def _set_of_each(indices: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Return the set of each index, `(n,)`."""
    lengths = torch.diff(offsets, append=offsets.new_tensor([len(indices)]))
    return torch.arange(len(offsets), device=offsets.device).repeat_interleave(lengths)

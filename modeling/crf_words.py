"""Which words of a batch a linear-chain CRF reads: masks with gaps, closed up without a loop over sequences."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Words:
    """The unmasked words of a batch of `rows` sequences, padded to `length` places.

    N is the number of words, L the number of words of the longest sequence: the time axis of all recursions.

    Attributes:
        rows: `(N,)` sequence of each word, ascending.
        places: `(N,)` index of each word in the flattened `(rows * length)` places.
        slots: `(N,)` index of each word among the words of its sequence.
        lengths: `(rows,)` words of each sequence.
        longest: L.
        valid: `(L, rows)` whether a sequence has a word at a slot.
        order: `(L, rows)` flattened place of each slot. A slot without a word points to some word of the batch, so
            that no number of a masked place is ever read.
        reversed_order: `(L, rows)` the same with each sequence read from its last word to its first.
        mirror: `(L, rows)` flattened `(L * rows)` index of a slot in the reversed sequences.
    """

    rows: torch.Tensor
    places: torch.Tensor
    slots: torch.Tensor
    lengths: torch.Tensor
    longest: int
    valid: torch.Tensor
    order: torch.Tensor
    reversed_order: torch.Tensor
    mirror: torch.Tensor

    @property
    def number_of_rows(self) -> int:
        """Sequences of the batch, those without a word included."""
        return self.lengths.shape[0]

    @property
    def last(self) -> torch.Tensor:
        """`(rows,)` slot of the last word of each sequence, 0 in a sequence without one."""
        return (self.lengths - 1).clamp(min=0)


def find_words(mask: torch.Tensor) -> Words:
    """Find the words of a batch.

    Args:
        mask: `(rows, length)` bool, true where there is a word. Any pattern.

    Returns:
        The words; on a GPU this waits for the device twice, since the sizes depend on the mask.
    """
    number_of_rows, length = mask.shape
    rows, columns = mask.nonzero(as_tuple=True)
    lengths = mask.sum(1)
    slots = mask.cumsum(1)[rows, columns] - 1
    places = rows * length + columns
    longest = int(lengths.max()) if len(places) else 0
    order, reversed_order = (places.new_zeros(longest, number_of_rows) for _ in range(2))
    if longest:
        order[:], reversed_order[:] = places[0], places[0]
    order[slots, rows] = places
    reversed_order[lengths[rows] - 1 - slots, rows] = places
    slot = torch.arange(longest, device=mask.device).unsqueeze(1)
    mirror = (lengths - 1 - slot).clamp(min=0) * number_of_rows + torch.arange(number_of_rows, device=mask.device)
    return Words(rows, places, slots, lengths, longest, slot < lengths, order, reversed_order, mirror)

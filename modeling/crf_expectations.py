"""Probabilities of tags and of pairs of tags, from the messages of a linear-chain CRF.

They are the gradient of log Z with respect to the emissions and to the transitions (Sutton and McCallum, "An
introduction to conditional random fields", 2012, section 4.1). L, B, K as in `modeling.crf_recursions`.
"""

from __future__ import annotations

import torch

from modeling.crf_recursions import smallest_safe
from modeling.crf_words import Words

# Numbers that one chunk of pairs of tags may hold.
CHUNK_NUMBERS = 2**22


def from_probabilities(
    forward: torch.Tensor, backward_in: torch.Tensor, backward_out: torch.Tensor, step: torch.Tensor, words: Words
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Turn messages that are probabilities up to a scale into expectations, by matrix products.

    Messages lose what is smaller than the smallest number, and with it all paths that go there. Both messages are at
    most about 1, so the lost paths through a tag weigh less than K times the smallest number, while all paths that are
    left weigh the total at that word. If each total is `smallest_safe` or more, the loss is below the rounding error.

    Args:
        forward: `(L, B, K)` forward message of each word with its emission, at most 1.
        backward_in: `(L, B, K)` backward message without its emission.
        backward_out: `(L, B, K)` backward message with its emission, at most 1.
        step: `(K, K)` exponentials of the transitions, at most 1.
        words: The words.

    Returns:
        `(L, B, K)` probability of each tag at each word (0 at a slot without a word) and `(B, K, K)` expected number of
        each transition in each sequence; nothing where too much may have been lost.
    """
    joint = forward * backward_in
    totals = joint.sum(2, keepdim=True)
    valid = words.valid.unsqueeze(2)
    tags = torch.where(valid, joint.div_(totals), 0)
    before, after = forward[:-1], backward_out[1:]
    pair_totals = ((before.reshape(-1, len(step)) @ step).view_as(after) * after).sum(2, keepdim=True)
    smallest = torch.cat([torch.where(valid, totals, 1), torch.where(valid[1:], pair_totals, 1)]).amin()
    if not bool(smallest >= smallest_safe(smallest.dtype)):
        return None
    before = torch.where(valid[1:], before / pair_totals, 0).permute(1, 2, 0)
    after = torch.where(valid[1:], after, 0).transpose(0, 1)
    return tags, torch.bmm(before, after).mul_(step)


def from_logarithms(
    forward: torch.Tensor,
    backward_in: torch.Tensor,
    backward_out: torch.Tensor,
    transitions: torch.Tensor,
    words: Words,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Turn messages that are logarithms up to a shift into expectations, for scores of any size and in bounded memory.

    Args:
        forward: `(L, B, K)` logarithm of the forward message of each word with its emission.
        backward_in: `(L, B, K)` that of the backward message without its emission.
        backward_out: `(L, B, K)` that of the backward message with its emission.
        transitions: `(K, K)` scores.
        words: The words.

    Returns:
        As `from_probabilities`. NaN in a sequence that has no legal path.
    """
    number_of_tags, number_of_rows = len(transitions), words.number_of_rows
    tags = torch.where(words.valid.unsqueeze(2), (forward + backward_in).softmax(2), 0)
    pairs = forward.new_zeros(number_of_rows, number_of_tags**2)
    slots, rows = words.slots, words.rows
    later = slots > 0
    slots, rows = slots[later], rows[later]
    chunk = max(1, CHUNK_NUMBERS // number_of_tags**2)
    for slot, row in zip(slots.split(chunk), rows.split(chunk), strict=True):
        scores = forward[slot - 1, row].unsqueeze(2) + transitions + backward_out[slot, row].unsqueeze(1)
        # Summed by a matrix product: index_add_ would add in no fixed order on a GPU.
        sequence, first = torch.unique_consecutive(row, return_inverse=True)
        belongs = (torch.arange(len(sequence), device=row.device).unsqueeze(1) == first).to(forward.dtype)
        pairs[sequence] += belongs @ scores.flatten(1).softmax(1)
    return tags, pairs.view(number_of_rows, number_of_tags, number_of_tags)

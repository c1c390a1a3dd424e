"""The forward and the backward messages of a linear-chain CRF by a tree of matrix products, in log-depth.

Each step from a word to the next is a `(K, K)` matrix in the log semiring. Products of neighbouring blocks of steps are
taken upwards, all blocks of a level at once; then vectors walk down again and give the messages at every word (the
parallel scan of Blelloch, "Prefix sums and their applications", 1990; for chains Särkkä and García-Fernández,
"Temporal parallelization of Bayesian smoothers", 2021). This is K times the arithmetic of the loop, but only 2 log2(L)
steps wait for each other. Long sequences are cut into chunks, so that memory is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from modeling.crf_recursions import finite, smallest_safe
from modeling.crf_words import Words

# Bytes that the step matrices of one chunk may take; the products above them take as much again.
CHUNK_BYTES = 2**26
# Numbers that an exact sum over paths may hold at once.
EXACT_NUMBERS = 2**22


@dataclass(frozen=True)
class LogMessages:
    """Logarithms of the messages, each shifted to a maximum of 0 over the tags.

    Attributes:
        forward: `(L, B, K)` of the words up to each one, its emission included.
        backward: `(L, B, K)` of the words after each one; its own emission is not in it;
            if asked for.
        log_partition: `(B,)` log Z, in `sum_dtype`.
    """

    forward: torch.Tensor
    backward: torch.Tensor | None
    log_partition: torch.Tensor


def log_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply matrices in the log semiring: `log sum_j exp(left_ij + right_jk)`.

    The factors are shifted by the maxima of rows and columns, so that an ordinary matrix product does the work. Entries
    that this loses to underflow, though a legal path leads there, are summed once more without it.

    Args:
        left: `(..., K, K)` scores, minus infinity where forbidden.
        right: Likewise.

    Returns:
        `(..., K, K)`.
    """
    rows, columns = finite(left.amax(-1, keepdim=True)), finite(right.amax(-2, keepdim=True))
    product = (left - rows).exp_() @ (right - columns).exp_()
    lost = product < smallest_safe(product.dtype)
    result = product.log_().add_(rows).add_(columns)
    if bool(lost.any()):
        lost &= (left > -torch.inf).to(left.dtype) @ (right > -torch.inf).to(left.dtype) > 0
        *blocks, row, column = lost.nonzero(as_tuple=True)
        chunk = max(1, EXACT_NUMBERS // left.shape[-1])
        parts = [index.split(chunk) for index in (*blocks, row, column)]
        for *block, i, k in zip(*parts, strict=True):
            exact = torch.logsumexp(left[(*block, i)] + right.transpose(-1, -2)[(*block, k)], -1)
            result[(*block, i, k)] = exact
    return result


def products(steps: torch.Tensor) -> list[torch.Tensor]:
    """Multiply neighbours, level after level, until one block is left.

    Args:
        steps: `(B, n, K, K)` matrices, n at least 1.

    Returns:
        The levels, `steps` first; each has half the blocks of the one before. The product of the last level itself is
        not taken: nobody asks for it. Blocks above the first level are shifted to a maximum of 0.
    """
    levels = [steps]
    while levels[-1].shape[1] > 2:
        blocks = levels[-1]
        even = blocks.shape[1] // 2 * 2
        joined = log_product(blocks[:, 0:even:2], blocks[:, 1:even:2])
        joined -= finite(joined.amax((2, 3), keepdim=True))
        levels.append(torch.cat([joined, blocks[:, even:]], 1))
    return levels


def walk(levels: list[torch.Tensor], vector: torch.Tensor, backward: bool) -> torch.Tensor:
    """Carry a message down the tree.

    Args:
        levels: From `products`.
        vector: `(B, K)` message before the first step; with `backward`, after the last one.
        backward: Whether to go from the end to the start.

    Returns:
        `(B, n, K)` message before each step; with `backward`, after each step.
    """
    messages = vector.unsqueeze(1)
    for blocks in reversed(levels):
        count = blocks.shape[1]
        below = messages.new_empty(len(vector), count, vector.shape[1])
        # A block that has a neighbour hands its message on to one child and sends it through that child to the other.
        pairs = count // 2
        first, second = (1, 0) if backward else (0, 1)
        below[:, first : 2 * pairs : 2] = messages[:, :pairs]
        below[:, second : 2 * pairs : 2] = through(blocks[:, first : 2 * pairs : 2], messages[:, :pairs], backward)[0]
        if count % 2:
            below[:, -1] = messages[:, -1]
        messages = below
    return messages


def through(blocks: torch.Tensor, messages: torch.Tensor, backward: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Multiply `(B, n, K)` messages by `(B, n, K, K)` blocks; also the `(B, n)` shift to a maximum of 0."""
    scores = blocks + messages.unsqueeze(2 if backward else 3)
    result = torch.logsumexp(scores, 3 if backward else 2)
    shift = finite(result.amax(2))
    return result - shift.unsqueeze(2), shift


def tree_messages(
    emissions: torch.Tensor,
    start: torch.Tensor,
    transitions: torch.Tensor,
    end: torch.Tensor,
    words: Words,
    sum_dtype: torch.dtype,
    backward: bool = True,
) -> LogMessages:
    """Compute log Z and the messages.

    Args:
        emissions: `(L, B, K)` scores of the tags at each word, L at least 1.
        start: `(K,)` scores of the first tag.
        transitions: `(K, K)` scores from a tag to the next.
        end: `(K,)` scores of the last tag.
        words: The words. A step to a slot without a word is the identity.
        sum_dtype: In which the shifts are added up.
        backward: Whether the backward messages are wanted too.

    Returns:
        The messages; those at slots without a word mean nothing.
    """
    length, number_of_rows, number_of_tags = emissions.shape
    # Large products of what is common to all tags would cost digits of what is not.
    word_maxima = finite(emissions.amax(2, keepdim=True))
    emissions = emissions - word_maxima
    identity = torch.full_like(transitions, -torch.inf).fill_diagonal_(0)
    matrix_bytes = number_of_rows * number_of_tags**2 * emissions.element_size()
    chunks = torch.arange(1, length).split(max(2, CHUNK_BYTES // max(matrix_bytes, 1))) if length > 1 else ()

    def levels_of(chunk: torch.Tensor) -> list[torch.Tensor]:
        steps = slice(int(chunk[0]), int(chunk[-1]) + 1)
        matrices = emissions[steps].transpose(0, 1).unsqueeze(2) + transitions
        return products(torch.where(words.valid[steps].T[:, :, None, None], matrices, identity))

    forward = torch.empty_like(emissions)
    message = start + emissions[0]
    shift = finite(message.amax(1))
    forward[0] = message - shift.unsqueeze(1)
    log_partition = shift.to(sum_dtype) + torch.where(words.valid, word_maxima.squeeze(2), 0).sum(0, dtype=sum_dtype)
    levels: list[torch.Tensor] = []
    for chunk in chunks:
        levels = levels_of(chunk)
        before = walk(levels, forward[chunk[0] - 1], backward=False)
        after, shifts = through(levels[0], before, backward=False)
        forward[chunk[0] : chunk[-1] + 1] = after.transpose(0, 1)
        log_partition += shifts.to(sum_dtype).sum(1)
    log_partition += torch.logsumexp(forward[-1] + end, 1).to(sum_dtype)

    if not backward:
        return LogMessages(forward, None, log_partition)
    later = torch.empty_like(emissions)
    later[-1] = end - finite(end.amax())
    for number, chunk in enumerate(reversed(chunks)):
        levels = levels if number == 0 else levels_of(chunk)
        after = walk(levels, later[chunk[-1]], backward=True)
        before, _ = through(levels[0], after, backward=True)
        later[chunk[0] - 1 : chunk[-1]] = before.transpose(0, 1)
    return LogMessages(forward, later, log_partition)

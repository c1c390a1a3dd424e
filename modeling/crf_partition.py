"""Log Z of a linear-chain CRF with its gradient, without an autograd graph over the words.

The gradient of log Z is made of marginal probabilities, which the forward-backward algorithm gives together with log Z.
So nothing but a few `(words, K)` tensors is kept for the backward pass, however long the sequences are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from modeling.crf_expectations import from_logarithms, from_probabilities
from modeling.crf_recursions import Messages, finite, log_messages, scaled_messages
from modeling.crf_tree import tree_messages
from modeling.crf_words import Words

ALGORITHMS = ("auto", "loop", "tree")


@dataclass(frozen=True)
class Solution:
    """What the forward-backward algorithm gives.

    Attributes:
        log_partition: `(B,)` log Z, float64 where the device has it; minus infinity without a legal path, 0 without a
            word.
        tags: `(L, B, K)` probability of each tag at each slot, 0 at a slot without a word; maybe nothing if not
            asked for.
        pairs: `(B, K, K)` expected number of each transition; likewise.
    """

    log_partition: torch.Tensor
    tags: torch.Tensor | None = None
    pairs: torch.Tensor | None = None


def sum_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """In which log-scales are added up: float64 where the device has it."""
    return dtype if device.type == "mps" else torch.float64


def working_dtype(device: torch.device, dtype: torch.dtype) -> torch.dtype:
    """In which the recursions run: `dtype`, or float64 where float32 matrix products may be rounded to TF32 or bf16."""
    if device.type == "mps" or (device.type == "cpu" and torch.get_float32_matmul_precision() == "highest"):
        return dtype
    return torch.float64


def chosen_algorithm(device: torch.device, length: int, number_of_rows: int, number_of_tags: int) -> str:
    """Choose between the loop over words and the tree of matrix products by size.

    On a processor a word costs the tree about `B (K^2 + 32)` and the loop a few calls, whatever B and K: the tree pays
    for one long sequence, or a few with few tags (`benchmarks/crf.py --crossover`). On a GPU each call of the loop
    costs as much as a large product, so the tree is taken for all but short sequences and very many tags; the bounds
    for a GPU are estimates, not measurements.

    Args:
        device: Where it will run.
        length: Words of the longest sequence.
        number_of_rows: Sequences.
        number_of_tags: K.

    Returns:
        `loop` or `tree`.
    """
    if device.type == "cpu":
        return "tree" if length >= 256 and number_of_rows * (number_of_tags**2 + 32) <= 400 else "loop"
    return "tree" if length >= 64 and number_of_rows * number_of_tags**3 <= 2**24 else "loop"


def solve(
    emissions: torch.Tensor,
    start: torch.Tensor,
    transitions: torch.Tensor,
    end: torch.Tensor,
    words: Words,
    algorithm: str = "auto",
    expectations: bool = True,
) -> Solution:
    """Run the forward-backward algorithm.

    Args:
        emissions: `(B, T, K)` float32 or float64 scores, whatever at masked places.
        start: `(K,)` scores of the first tag, minus infinity where forbidden.
        transitions: `(K, K)` scores from a tag to the next, likewise.
        end: `(K,)` scores of the last tag, likewise.
        words: The unmasked words.
        algorithm: `loop`, `tree`, or `auto` to choose by size.
        expectations: Whether to give more than log Z.

    Returns:
        Log Z and the expectations, the latter in the working precision.
    """
    number_of_rows, _, number_of_tags = emissions.shape
    total = sum_dtype(emissions.device, emissions.dtype)
    if not words.longest:
        return Solution(
            emissions.new_zeros(number_of_rows, dtype=total),
            emissions.new_zeros(0, number_of_rows, number_of_tags) if expectations else None,
            emissions.new_zeros(number_of_rows, number_of_tags, number_of_tags) if expectations else None,
        )
    working = working_dtype(emissions.device, emissions.dtype)
    start, transitions, end = start.to(working), transitions.to(working), end.to(working)
    if algorithm == "auto":
        algorithm = chosen_algorithm(emissions.device, words.longest, number_of_rows, number_of_tags)
    run = _by_tree if algorithm == "tree" else _by_loop
    ordered = emissions.to(working).reshape(-1, number_of_tags)[torch.stack([words.order, words.reversed_order], 1)]
    solution = run(ordered, start, transitions, end, words, expectations, total)
    empty = words.lengths == 0
    return Solution(solution.log_partition.masked_fill(empty, 0), solution.tags, solution.pairs)


def _by_loop(
    ordered: torch.Tensor,
    start: torch.Tensor,
    transitions: torch.Tensor,
    end: torch.Tensor,
    words: Words,
    expectations: bool,
    total: torch.dtype,
) -> Solution:
    """With scaled probabilities, and once more with logarithms where those lose something.

    Whether they do shows in the expectations only; so these are computed even for log Z alone.
    """
    starts, steps = torch.stack([start, end]), torch.stack([transitions, transitions.T])
    rows = torch.arange(words.number_of_rows, device=ordered.device)

    def parts(messages: Messages) -> tuple[torch.Tensor, ...]:
        mirrored = (part[:, 1].flatten(0, 1)[words.mirror] for part in (messages.incoming, messages.outgoing))
        return (messages.outgoing[:, 0], *mirrored)

    def log_partition(last: torch.Tensor, messages: Messages) -> torch.Tensor:
        return last.to(total) + torch.where(words.valid, messages.log_scales[:, 0], 0).sum(0, dtype=total)

    messages = scaled_messages(ordered, starts, steps)
    found = from_probabilities(*parts(messages), (transitions - finite(transitions.amax())).exp(), words)
    if found is not None:
        shift = finite(end.amax())
        last = (messages.outgoing[words.last, 0, rows] * (end - shift).exp()).sum(1).log() + shift
        return Solution(log_partition(last, messages), *found)
    messages = log_messages(ordered, starts, steps)
    last = torch.logsumexp(messages.outgoing[words.last, 0, rows] + end, 1)
    if expectations:
        found = from_logarithms(*parts(messages), transitions, words)
    return Solution(log_partition(last, messages), *(found or ()))


def _by_tree(
    ordered: torch.Tensor,
    start: torch.Tensor,
    transitions: torch.Tensor,
    end: torch.Tensor,
    words: Words,
    expectations: bool,
    total: torch.dtype,
) -> Solution:
    """The expectations by matrix products, and once more with logarithms where those lose something."""
    emissions = ordered[:, 0]
    messages = tree_messages(emissions, start, transitions, end, words, total, backward=expectations)
    if not expectations:
        return Solution(messages.log_partition)
    after = messages.backward + emissions
    after -= finite(after.amax(2, keepdim=True))
    step = (transitions - finite(transitions.amax())).exp()
    found = from_probabilities(messages.forward.exp(), messages.backward.exp(), after.exp(), step, words)
    if found is None:
        found = from_logarithms(messages.forward, messages.backward, after, transitions, words)
    return Solution(messages.log_partition, *found)


def log_partition(
    emissions: torch.Tensor,
    start: torch.Tensor,
    transitions: torch.Tensor,
    end: torch.Tensor,
    words: Words,
    algorithm: str = "auto",
) -> torch.Tensor:
    """Compute `(B,)` log Z with its gradient; without gradient it takes less work. Arguments as for `solve`."""
    inputs = (emissions, start, transitions, end)
    # The function below could not tell: it always runs without gradient.
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs):
        return _LogPartition.apply(*inputs, words, algorithm)
    with torch.no_grad():
        return solve(*inputs, words, algorithm, expectations=False).log_partition


class _LogPartition(torch.autograd.Function):
    """Log Z whose gradient is the expectations of the forward-backward algorithm; it has no second derivative."""

    @staticmethod
    def forward(
        ctx: Any,
        emissions: torch.Tensor,
        start: torch.Tensor,
        transitions: torch.Tensor,
        end: torch.Tensor,
        words: Words,
        algorithm: str,
    ) -> torch.Tensor:
        """Compute log Z and keep its gradient."""
        solution = solve(emissions, start, transitions, end, words, algorithm)
        tags = solution.tags.to(emissions.dtype)
        ends = tags.new_zeros(2, words.number_of_rows, emissions.shape[2])
        if words.longest:
            rows = torch.arange(words.number_of_rows, device=tags.device)
            ends[0], ends[1] = tags[0], tags[words.last, rows]
        ctx.save_for_backward(spread(tags, words, emissions.shape), ends, solution.pairs.to(emissions.dtype))
        return solution.log_partition

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Weight the expectations of each sequence by its gradient."""
        # The gradient mode is on in a backward pass only where it is to be differentiated again.
        if torch.is_grad_enabled():
            raise RuntimeError("the log-likelihood of a CRF has no second derivative here: leave out create_graph=True")
        tags, ends, pairs = ctx.saved_tensors
        weights = gradient.to(tags.dtype)[:, None, None]
        start, end = (ends * weights.squeeze(2)).sum(1)
        return tags * weights, start, (pairs * weights).sum(0), end, None, None


def spread(tags: torch.Tensor, words: Words, shape: torch.Size) -> torch.Tensor:
    """Put `(L, B, K)` numbers back to the places of their words, 0 elsewhere.

    Args:
        tags: One row of numbers a slot.
        words: The words.
        shape: `(B, T, K)` of the batch.

    Returns:
        A tensor of that shape.
    """
    placed = tags.new_zeros(shape)
    placed.view(-1, shape[2])[words.places] = tags[words.slots, words.rows]
    return placed

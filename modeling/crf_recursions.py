"""The forward and the backward recursion of a linear-chain CRF, one word after the other.

Both run in one loop: the backward recursion is the forward recursion of the reversed sequences with the transposed
transitions. So everything here has an axis D of 2 directions. L is the number of words, B that of sequences, K that of
tags. A forbidden score is minus infinity.

Two forms of the same recursion:

- `scaled_messages` works with probabilities scaled at each word (Rabiner, "A tutorial on hidden Markov models",
  1989, section V.A): a matrix product and three small operations a word. It loses what is smaller than the smallest
  number; `modeling.crf_expectations.from_probabilities` tells whether that matters.
- `log_messages` works with logarithms: slower, right for scores of any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Messages:
    """What each word hears from the words before it (or after it, in the reversed direction).

    Attributes:
        incoming: `(L, D, B, K)` sum over all paths that reach a tag, without the word's own emission.
        outgoing: `(L, D, B, K)` the same with the word's emission, scaled to a maximum of 1 (a logarithm of 0).
        log_scales: `(L, D, B)` logarithm of what was divided out at each word.
    """

    incoming: torch.Tensor
    outgoing: torch.Tensor
    log_scales: torch.Tensor


def finite(maxima: torch.Tensor) -> torch.Tensor:
    """Replace minus infinity by the lowest number, so that subtracting a maximum of nothing makes no NaN."""
    return maxima.clamp(min=torch.finfo(maxima.dtype).min)


def smallest_safe(dtype: torch.dtype) -> float:
    """Sum of terms of at most 1 to which lost terms, each below the smallest number, add nothing that could be seen.

    Twice the rounding error away from the smallest number (on a scale of logarithms), since the loss can repeat at each
    of thousands of words.
    """
    kind = torch.finfo(dtype)
    return kind.tiny / kind.eps**2


def scaled_messages(emissions: torch.Tensor, start: torch.Tensor, transitions: torch.Tensor) -> Messages:
    """Run the recursion with scaled probabilities.

    Args:
        emissions: `(L, D, B, K)` scores of the tags at each word, L at least 1.
        start: `(D, K)` scores of the first tag.
        transitions: `(D, K, K)` scores from a tag to the next.

    Returns:
        Probabilities up to a scale.
    """
    start_maxima, step_maxima = finite(start.amax(1, keepdim=True)), finite(transitions.amax((1, 2), keepdim=True))
    word_maxima = finite(emissions.amax(3, keepdim=True))
    factors, step = (emissions - word_maxima).exp_(), (transitions - step_maxima).exp_()
    incoming, outgoing = torch.empty_like(factors), torch.empty_like(factors)
    scales = torch.empty_like(word_maxima)
    incoming[0] = (start - start_maxima).exp_().unsqueeze(1)
    state = None
    # Lists of views: indexing inside the loop would cost as much as the arithmetic.
    for factor, arriving, leaving, scale in zip(
        factors.unbind(0), incoming.unbind(0), outgoing.unbind(0), scales.unbind(0), strict=True
    ):
        if state is not None:
            torch.bmm(state, step, out=arriving)
        torch.mul(arriving, factor, out=leaving)
        torch.amax(leaving, 2, keepdim=True, out=scale)
        state = leaving.div_(scale)
    log_scales = (scales.log_() + word_maxima).squeeze(3)
    log_scales[0] += start_maxima
    log_scales[1:] += step_maxima.squeeze(2)
    return Messages(incoming, outgoing, log_scales)


def log_messages(emissions: torch.Tensor, start: torch.Tensor, transitions: torch.Tensor) -> Messages:
    """Run the recursion with logarithms.

    Args:
        emissions: `(L, D, B, K)` scores of the tags at each word, L at least 1.
        start: `(D, K)` scores of the first tag.
        transitions: `(D, K, K)` scores from a tag to the next.

    Returns:
        Logarithms up to a shift: subtracting a maximum at each word keeps their rounding error from growing with the
        length.
    """
    incoming, outgoing = torch.empty_like(emissions), torch.empty_like(emissions)
    log_scales = emissions.new_empty(emissions.shape[:3])
    step = transitions.unsqueeze(1)
    arriving, state = start.unsqueeze(1).expand_as(emissions[0]), emissions[0]
    for word, emission in enumerate(emissions.unbind(0)):
        if word:
            arriving = torch.logsumexp(state.unsqueeze(3) + step, 2)
        leaving = arriving + emission
        shift = finite(leaving.amax(2))
        state = leaving - shift.unsqueeze(2)
        incoming[word], outgoing[word], log_scales[word] = arriving, state, shift
    return Messages(incoming, outgoing, log_scales)

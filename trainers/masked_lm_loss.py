"""Cross-entropy over a large vocabulary, whose gradient takes the place of the logits in memory."""

from __future__ import annotations

from typing import Any

import torch

# Logits that are worked on at once in full precision; 83 rows of a vocabulary of 50,265.
ELEMENTS_AT_ONCE = 2**22


class _SummedCrossEntropy(torch.autograd.Function):
    """Keeps the logits and one number a row; the gradient is written over the logits, a few rows at a time.

    A second backward pass through one graph would read a gradient as logits: autograd sees that the saved tensor has
    changed, and raises.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        precise = torch.float64 if logits.dtype == torch.float64 else torch.float32
        total, hits = torch.zeros((), dtype=precise, device=logits.device), torch.zeros_like(targets[:0].sum())
        log_sums = torch.empty(len(logits), dtype=precise, device=logits.device)
        for rows in _slices(logits):
            scores, wanted = logits[rows].to(precise), targets[rows]
            log_sums[rows] = scores.logsumexp(1)
            total += (log_sums[rows] - scores.gather(1, wanted[:, None]).squeeze(1)).sum()
            hits += (scores.argmax(1) == wanted).sum()
        ctx.save_for_backward(logits, targets, log_sums)
        ctx.mark_non_differentiable(hits)
        return total, hits

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor, _: Any) -> tuple[torch.Tensor, None]:
        logits, targets, log_sums = ctx.saved_tensors
        for rows in _slices(logits):
            share = (logits[rows].to(log_sums.dtype) - log_sums[rows, None]).exp_()
            share[torch.arange(len(share), device=share.device), targets[rows]] -= 1
            logits[rows] = share.mul_(gradient).to(logits.dtype)
        return logits, None


def _slices(logits: torch.Tensor) -> list[slice]:
    step = max(1, ELEMENTS_AT_ONCE // max(1, logits.shape[1]))
    return [slice(start, start + step) for start in range(0, len(logits), step)]


def summed_cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of the cross-entropies of all rows, and how many rows have their target on top.

    The sum equals `torch.nn.functional.cross_entropy(logits.float(), targets, reduction="sum")`, which makes tensors of
    the size of the logits for their log-softmax and for the gradients of both.

    Args:
        logits: `(rows, vocabulary)` of any floating type. The backward pass writes over them.
        targets: `(rows,)` int64.

    Returns:
        A scalar in float32 (float64 for float64 logits), and an int64 scalar.
    """
    return _SummedCrossEntropy.apply(logits, targets)

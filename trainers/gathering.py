"""Embeddings of all processes, with the gradient of the whole batch."""

from __future__ import annotations

import torch
from accelerate import Accelerator
from torch.nn import functional as F


class _ScaleGradient(torch.autograd.Function):
    """Identity forwards; multiplies the gradient backwards."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, tensor: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient * ctx.factor, None


def agreed_count(count: int, most: int, accelerator: Accelerator) -> int:
    """Return how many mini-batches every process takes where each forward pass is an exchange between all of them.

    Args:
        count: How many this process would take.
        most: How many it can take.
        accelerator: The trainer's.

    Returns:
        The largest `count`, or the smallest `most` where that is less.
    """
    wishes = accelerator.gather(torch.tensor([[count, most]], device=accelerator.device))
    return min(int(wishes[:, 0].max()), int(wishes[:, 1].min()))


def gather_rows(rows: torch.Tensor, accelerator: Accelerator) -> torch.Tensor:
    """Concatenate the rows of all processes in rank order; processes may hold different numbers of them.

    Each process computes the loss of the whole batch, and the gradient flows through its own rows only.
    DistributedDataParallel then averages the gradients, where the sum is wanted: so they are scaled up by the number
    of processes here, and the loss keeps its value. (The original leaves them too small by that factor.)

    Args:
        rows: `(rows of this process, ...)`.
        accelerator: The trainer's.

    Returns:
        `(rows of all processes, ...)`.
    """
    if accelerator.num_processes == 1:
        return rows
    sizes = accelerator.gather(torch.tensor([len(rows)], device=rows.device)).tolist()
    padding = (0, 0) * (rows.dim() - 1) + (0, max(sizes) - len(rows))
    parts = accelerator.gather(F.pad(rows.detach(), padding).contiguous()).split(max(sizes))
    parts = [part[:size] for part, size in zip(parts, sizes, strict=True)]
    if rows.requires_grad:
        parts[accelerator.process_index] = _ScaleGradient.apply(rows, float(accelerator.num_processes))
    return torch.cat(parts)

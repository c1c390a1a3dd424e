"""What processes tell each other of a batch: rows, and a loss over all of them with the gradient of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from accelerate import Accelerator
from torch.nn import functional as F


class _WithGradient(torch.autograd.Function):
    """Gives sums, and backwards a gradient of the first of them that is known already."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx, rows: torch.Tensor, sums: torch.Tensor, gradient: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(gradient)
        return sums.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: torch.autograd.function.FunctionCtx, factors: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * factors[0], None, None


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


def gather_sizes(count: int, accelerator: Accelerator) -> list[int]:
    """Return how many rows each process has.

    Args:
        count: Rows of this process.
        accelerator: The trainer's.
    """
    if accelerator.num_processes == 1:
        return [count]
    return accelerator.gather(torch.tensor([count], device=accelerator.device)).tolist()


def gather_rows(rows: torch.Tensor, accelerator: Accelerator, sizes: Sequence[int] | None = None) -> torch.Tensor:
    """Concatenate the rows of all processes in rank order, without their graph.

    Args:
        rows: `(rows of this process, ...)`; processes may hold different numbers of them.
        accelerator: The trainer's.
        sizes: From `gather_sizes`, which is asked when they are not given.

    Returns:
        `(rows of all processes, ...)`; in one process `rows` itself.
    """
    if accelerator.num_processes == 1:
        return rows
    sizes = gather_sizes(len(rows), accelerator) if sizes is None else sizes
    padding = (0, 0) * (rows.dim() - 1) + (0, max(sizes) - len(rows))
    parts = accelerator.gather(F.pad(rows.detach(), padding).contiguous()).split(max(sizes))
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def sum_over_rows(
    rows: torch.Tensor,
    sums: Callable[[torch.Tensor, slice], torch.Tensor],
    accelerator: Accelerator,
    sizes: Sequence[int] | None = None,
) -> torch.Tensor:
    """Sum a loss over the rows of all processes, where each row is compared with all of them.

    Each process compares its own rows with those of all, as CLIP does (Radford et al. 2021), so that work and memory of
    a process grow with the number of processes and not with its square. The gradient of its loss with respect to the
    rows of others travels to them at once, in the forward pass: in the backward pass the order of exchanges could
    differ between the processes. DistributedDataParallel averages gradients where the sum is wanted, so they are scaled
    up by the number of processes here, and the loss keeps its value. (The original leaves them too small by that
    factor.)

    Args:
        rows: `(rows of this process, ...)`.
        sums: Called once, with the rows of all processes and the place of this one's among them; returns `(numbers,)`
            sums over this process's rows, the first of which is the loss. Depends on parameters through `rows` alone.
        accelerator: The trainer's.
        sizes: As in `gather_rows`.

    Returns:
        `(numbers,)` sums over all rows; only the first has a gradient where there are several processes.
    """
    if accelerator.num_processes == 1:
        return sums(rows, slice(0, len(rows)))
    sizes = gather_sizes(len(rows), accelerator) if sizes is None else sizes
    start = sum(sizes[: accelerator.process_index])
    own, everyone = slice(start, start + len(rows)), gather_rows(rows, accelerator, sizes)
    if not (rows.requires_grad and torch.is_grad_enabled()):
        return accelerator.reduce(sums(everyone, own), reduction="sum")
    found = sums(everyone.requires_grad_(), own)
    (gradient,) = torch.autograd.grad(found[0], everyone)
    gradient = accelerator.reduce(gradient, reduction="sum")[own] * accelerator.num_processes
    return _WithGradient.apply(rows, accelerator.reduce(found.detach(), reduction="sum"), gradient)

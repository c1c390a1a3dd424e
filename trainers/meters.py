"""Means of loss components and throughput between two log lines, over all processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator


class MeanMeter:
    """Accumulates sums and counts on the device, and reads them once a log line."""

    def __init__(self) -> None:
        self._sums: dict[str, torch.Tensor] = {}

    def add(self, name: str, total: torch.Tensor, count: torch.Tensor | int) -> None:
        """Add a sum over `count` items."""
        # float32 would stop counting tokens at 16.7 million; Apple GPUs have nothing better.
        dtype = torch.float32 if total.device.type == "mps" else torch.float64
        if not isinstance(count, torch.Tensor):  # filled there: copied there, it would wait for all work before it
            count = torch.full((), count, dtype=dtype, device=total.device)
        pair = torch.stack([total.detach().to(dtype), count.detach().to(total.device, dtype)])
        self._sums[name] = self._sums[name] + pair if name in self._sums else pair

    def drain(self, accelerator: Accelerator) -> dict[str, float]:
        """Return the means over all processes, of what has items, and start anew. Every process must call it."""
        if not self._sums:
            return {}
        names = sorted(self._sums)
        sums = accelerator.reduce(torch.stack([self._sums[name] for name in names]), reduction="sum")
        self._sums = {}
        return {name: total / count for name, (total, count) in zip(names, sums.tolist(), strict=True) if count}


class Throughput:
    """Counts per second of training, evaluation and saving left out."""

    def __init__(self) -> None:
        self._counts: dict[str, torch.Tensor] = {}
        self._start = time.perf_counter()

    def add(self, name: str, count: torch.Tensor | int) -> None:
        """Count items of this process."""
        self._counts[name] = self._counts.get(name, 0) + torch.as_tensor(count)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the clock."""
        before, start = time.perf_counter(), self._start
        try:
            yield
        finally:
            # Not added to what a pause inside this one has made of it: an evaluation of several datasets nests them.
            self._start = start + time.perf_counter() - before

    def drain(self, accelerator: Accelerator) -> dict[str, float]:
        """Return items per second over all processes and start anew. Every process must call it."""
        now = time.perf_counter()
        seconds, self._start = now - self._start, now
        counts, self._counts = self._counts, {}
        if not counts or seconds <= 0:
            return {}
        names = sorted(counts)
        totals = torch.stack([counts[name].to(accelerator.device) for name in names])
        totals = accelerator.reduce(totals, reduction="sum")
        return {
            f"{name}_per_second": round(total / seconds, 1) for name, total in zip(names, totals.tolist(), strict=True)
        }

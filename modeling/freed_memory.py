"""What the C library keeps of freed memory, given back to the system."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


@cache
def _trim() -> Any:
    """Return glibc's `malloc_trim`; None where the C library has none (macOS, Windows, musl)."""
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):
        return None


def release_freed_memory() -> None:
    """Give freed memory back to the system, as far as the C library can.

    Tensors of ever other sizes leave gaps in the heap. glibc keeps them, and a process that embeds a million documents
    grows by half although it holds no more at the end than at the beginning.
    """
    trim = _trim()
    if trim is not None:
        trim(0)

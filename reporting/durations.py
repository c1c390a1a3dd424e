"""Lengths of time in words."""

from __future__ import annotations


def minutes(seconds: float) -> str:
    """Return a length of time in words, to two figures: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5_400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h"

"""How a document that is longer than the model's window is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Reading = Literal["windows", "head", "head_tail"]
READINGS = get_args(Reading)


@dataclass(frozen=True)
class ReadingPlan:
    """What of a document the model sees.

    Args:
        reading: `windows`: all of it, in windows whose embeddings are pooled; `head`: its beginning; `head_tail`: a
            quarter of a window from its beginning and the rest from its end (Sun et al. 2019, section 5.3.1, keep 128
            and 382 tokens).
        length: Tokens in a window, special tokens included.
        overlap: Tokens that a window shares with the one before.
        max_windows: Most windows of a document; of a longer one, evenly spaced windows are kept, the first and the
            last among them. None: no limit.

    Raises:
        ValueError: A value is out of range.
    """

    reading: Reading = "windows"
    length: int = 512
    overlap: int = 0
    max_windows: int | None = None

    def __post_init__(self) -> None:
        if self.reading not in READINGS:
            raise ValueError(f"reading must be one of {', '.join(READINGS)}, got {self.reading!r}")
        if self.length < 8:
            raise ValueError(f"a window of {self.length} tokens is too short to read anything; give 8 or more")
        if not 0 <= self.overlap <= self.length // 2:
            raise ValueError(f"an overlap of {self.overlap} does not fit windows of {self.length} tokens")
        if self.max_windows is not None and self.max_windows < 1:
            raise ValueError(f"max_windows must be at least 1, got {self.max_windows}")


def window_spans(length: int, room: int, overlap: int = 0) -> list[tuple[int, int]]:
    """Return the bounds of windows that cover a document; at least one, the last may be short.

    Args:
        length: Tokens of the document.
        room: Most tokens in a window.
        overlap: Tokens that a window shares with the one before, fewer than `room`.
    """
    spans = [(0, min(room, length))]
    while spans[-1][1] < length:
        start = spans[-1][1] - overlap
        spans.append((start, min(start + room, length)))
    return spans


def read_document(ids: np.ndarray, plan: ReadingPlan, special_tokens: int) -> list[np.ndarray]:
    """Return the windows of a document as token ids without special tokens.

    Args:
        ids: `(tokens,)`.
        plan: What to read.
        special_tokens: Special tokens that each window gets afterwards.
    """
    room = plan.length - special_tokens
    if plan.reading == "head" or len(ids) <= room:
        return [ids[:room]]
    if plan.reading == "head_tail":
        head = room // 4
        return [np.concatenate((ids[:head], ids[len(ids) - (room - head) :]))]
    spans: Sequence[tuple[int, int]] = window_spans(len(ids), room, plan.overlap)
    if plan.max_windows is not None and len(spans) > plan.max_windows:
        kept = np.linspace(0, len(spans) - 1, plan.max_windows).round().astype(int)
        spans = [spans[place] for place in kept.tolist()]
    return [ids[start:end] for start, end in spans]

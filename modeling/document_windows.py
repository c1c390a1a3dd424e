"""A document longer than the model can read, as windows of token ids; and their batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A stretch of a document that the model reads at once.

    Args:
        document: Position of the document among those given.
        ids: Token ids, without special tokens; the prompt in front, where the model has one.
        weight: Number of the document's own tokens in it, at least 1.
    """

    document: int
    ids: Sequence[int]
    weight: int


def cut_windows(
    document: int, ids: Sequence[int], room: int, overlap: int = 0, prompt: Sequence[int] = ()
) -> list[Window]:
    """Cut a document into windows that cover every token.

    Args:
        document: Position of the document.
        ids: Token ids of the prompt and the document, without special tokens.
        room: Most ids in a window.
        overlap: Tokens that a window shares with the one before.
        prompt: The prompt's ids, repeated in front of every later window, for which the model was trained with it.

    Returns:
        At least one window, also for a document without tokens. The last one ends with the document and may be short.

    Raises:
        ValueError: The windows would never reach the end: `overlap` and `prompt` leave no room.
    """
    if overlap < 0 or room - len(prompt) <= overlap:
        raise ValueError(f"windows of {room} tokens cannot overlap by {overlap}")
    end = min(room, len(ids))
    windows = [Window(document, ids[:end], max(1, end - len(prompt)))]
    while end < len(ids):
        start = end - overlap
        end = min(start + room - len(prompt), len(ids))
        windows.append(Window(document, [*prompt, *ids[start:end]], end - start))
    return windows


def batches_by_length(windows: Sequence[Window], token_budget: int) -> Iterator[list[Window]]:
    """Yield batches of windows of similar length, the longest first.

    Args:
        windows: In any order; equal lengths keep theirs.
        token_budget: Most tokens in a padded batch, special tokens not counted. A window longer than this stands alone.
    """
    batch: list[Window] = []
    for window in sorted(windows, key=lambda window: -len(window.ids)):
        if batch and (len(batch) + 1) * max(1, len(batch[0].ids)) > token_budget:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch

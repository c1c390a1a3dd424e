"""The two halves of a document."""

from __future__ import annotations

import re

_WORD = re.compile(r"\S+")


def cut_into_halves(text: str, min_words: int = 16) -> tuple[str, str] | None:
    """Cut a document in the middle of its words; None where a half would have fewer than `min_words`."""
    starts = [match.start() for match in _WORD.finditer(text)]
    if len(starts) < 2 * min_words:
        return None
    middle = starts[len(starts) // 2]
    return text[:middle], text[middle:]

"""Taggers whose training failed: they give every word the same tag, or know one type of entity alone.

Such a run says that the training diverged or learned nothing but the most frequent tag. Its scores belong beside those
of other seeds, not into their mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def collapse(tags: Iterable[Sequence[str]], labels: Iterable[str]) -> str | None:
    """Say whether a tagger collapsed.

    Args:
        tags: Predicted for each sentence of a corpus, in any scheme whose tags are `O` or a letter, `-` and the type.
        labels: Types that occur in the corpus' gold entities.

    Returns:
        `"all O"` where no word has another tag; `"one tag: B-Drug"` where every word has that tag; `"one label: Drug"`
        where all tags but `O` are of one type though the corpus has several; None otherwise, and without words.
    """
    found = {tag for sentence in tags for tag in sentence}
    if not found:
        return None
    if found == {"O"}:
        return "all O"
    if len(found) == 1:
        return f"one tag: {min(found)}"
    types = {tag[2:] for tag in found - {"O"}}
    if len(types) == 1 and len(set(labels)) > 1:
        return f"one label: {min(types)}"
    return None

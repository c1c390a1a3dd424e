"""What a person wrote into a card survives when the card is made anew.

A region begins with `<!-- notespace:keep NAME -->` and ends with `<!-- /notespace:keep -->`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from corpora.errors import InputError

_START = re.compile(r"<!-- *notespace:keep +([\w.-]+) *-->")
_END = "<!-- /notespace:keep -->"
_MARKER = re.compile(r"<!-- *notespace:keep +[\w.-]+ *-->|<!-- */notespace:keep *-->")


def start_marker(name: str) -> str:
    """Return the line that begins a region."""
    return f"<!-- notespace:keep {name} -->"


def region(name: str, content: str) -> str:
    """Return a region with its markers."""
    return f"{start_marker(name)}\n{content.strip()}\n{_END}" if content.strip() else f"{start_marker(name)}\n{_END}"


def read_regions(card: str, file: Path | None = None) -> dict[str, str]:
    """Return the regions of a card by name, in their order.

    Args:
        card: The card.
        file: Where it lies, for messages.

    Raises:
        InputError: A region does not end, ends without beginning, lies in another, or stands twice.
    """
    found: dict[str, str] = {}
    name, begin = None, 0
    for marker in _MARKER.finditer(card):
        line = card.count("\n", 0, marker.start()) + 1
        start = _START.fullmatch(marker.group())
        if start is not None:
            if name is not None:
                raise InputError(
                    f"line {line}: a region begins inside the region '{name}'",
                    file=file,
                    remedy=f"end that one with {_END}",
                )
            name, begin = start.group(1), marker.end()
            if name in found:
                raise InputError(f"line {line}: the region '{name}' stands twice", file=file, remedy="rename one")
        elif name is None:
            raise InputError(f"line {line}: a region ends that did not begin", file=file, remedy="remove the marker")
        else:
            found[name], name = card[begin : marker.start()].strip("\n"), None
    if name is not None:
        raise InputError(f"the region '{name}' does not end", file=file, remedy=f"end it with {_END}")
    return found


def put_back(card: str, regions: Mapping[str, str]) -> str:
    """Return a new card with earlier regions; those that it has no place for stand at its end.

    Args:
        card: The new card, with its own regions.
        regions: Of the earlier card.
    """
    own = read_regions(card)
    for name, content in regions.items():
        if name in own:
            before, rest = card.split(start_marker(name), 1)
            card = before + region(name, content) + rest.split(_END, 1)[1]
        else:
            card = f"{card.rstrip()}\n\n{region(name, content)}\n"
    return card

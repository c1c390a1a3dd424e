"""Words that others chose, such as names of categories, as Markdown that shows them and does nothing else."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

LONGEST_NAME = 60
NONE = "\N{EN DASH}"
_SPECIAL = re.compile(r"([\\`*\[\]|~$])")
_EDGE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BLOCK = re.compile(r"^(\d*)(?=[#+=.)-](?!\d))")  # a heading, a rule, an item of a list


def one_line(words: Any) -> str:
    """Return words on one line, without control or invisible formatting characters."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in str(words))
    line = " ".join("".join(char for char in kept if unicodedata.category(char) not in ("Cf", "Cs", "Co")).split())
    # Our own markers are comments; nobody else's words may look like one, in the metadata and in code spans either.
    return line.replace("<!--", "< !--")


def short_name(words: Any, longest: int = LONGEST_NAME) -> str:
    """Return a name on one line that no table is torn apart by, nor holds a whole sentence."""
    line = one_line(words)
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def text(words: Any) -> str:
    """Escape words for running text and table cells."""
    line = one_line(words).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _EDGE_UNDERSCORE.sub(r"\\_", _SPECIAL.sub(r"\\\1", line))
    # Schemes and addresses would become links by themselves.
    line = re.sub(r"(?i)(?<=[a-z])://", "&#58;//", line).replace("www.", "www&#46;").replace("@", "&#64;")
    return _BLOCK.sub(r"\1\\", line)


def code(words: Any) -> str:
    """Return words as a code span that a table may hold."""
    line = one_line(words).replace("|", "\\|")
    if not line:
        return ""
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{line}{room}{fence}"


def number(value: Any, digits: int = 3) -> str:
    """Return a number for a table: whole ones with separators, others rounded, a dash for none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NONE
    if isinstance(value, int) or (float(value).is_integer() and abs(value) >= 1_000):
        return f"{int(value):,}"
    if abs(value) >= 10:
        digits = min(digits, 1)
    return f"{value:.{digits}f}" if abs(value) >= 10**-digits or value == 0 else f"{value:.1e}"


def interval(value: float | None, low: float | None, high: float | None, digits: int = 3) -> str:
    """Return a value with its interval."""
    # The space within does not break, so that a narrow column breaks before the bracket.
    ends = (
        f" [{number(low, digits)},\N{NO-BREAK SPACE}{number(high, digits)}]"
        if low is not None and high is not None
        else ""
    )
    return number(value, digits) + ends


def table(header: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int | None = 1) -> str:
    """Return a table of cells that are Markdown already.

    Args:
        header: Titles of the columns.
        rows: Cells.
        numbers_from: First column that is aligned to the right; None for none.
    """
    right = len(header) if numbers_from is None else numbers_from
    rule = ["---" if column < right else "---:" for column in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))

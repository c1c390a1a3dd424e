"""Identifiers in notes by plain rules: dates, long numbers, and names after a title.

The rules miss many identifiers and take some words for names; they are there to compare how well two models fill in the
same gaps, not to de-identify. Times, doses and single small numbers are left alone.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*\.?"
RULES: dict[str, re.Pattern[str]] = {
    "date": re.compile(
        r"(?<![\w/.-])(?:"
        r"\d{1,4}[/-]\d{1,2}[/-]\d{1,4}|\d{1,2}\.\d{1,2}\.\d{2,4}"
        rf"|(?i:\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH},?\s+\d{{4}}|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})"
        r")(?![\w/]|-\d)"
    ),
    # Record, account and telephone numbers: five digits and more, perhaps in groups.
    "number": re.compile(r"(?<![\w.])\(?\d(?:[ -]?\(?\d\)?){4,}(?!\w|\.\d)"),
    # One to three capitalised words after a title or the word that announces a name.
    "name": re.compile(
        r"(?:\b(?:Mr|Mrs|Ms|Miss|Dr|Doctor|Prof|Professor|Nurse)\b\.?|\b[Nn]ame\s*:|\b[Pp]atient\s*:)\s+"
        r"(?P<found>[^\W\d_a-z][\w'-]+(?:\s+[^\W\d_a-z][\w'-]+){0,2})"
    ),
}
"""Kind of identifier to the rule that finds it."""


class Identifier(NamedTuple):
    """An identifier in a document.

    Args:
        kind: One of `RULES`.
        places: First and last character (excluded) of each of its occurrences, of the one that was found first.
    """

    kind: str
    places: tuple[tuple[int, int], ...]


def find_identifiers(text: str) -> list[Identifier]:
    """Return each distinct identifier of a document once, with all places where the same words stand.

    Where two rules meet, the earlier one of `RULES` has the stretch.
    """
    taken = bytearray(len(text))
    seen: set[str] = set()
    found: list[tuple[int, Identifier]] = []
    for kind, rule in RULES.items():
        for match in rule.finditer(text):
            start, end = match.span("found") if "found" in rule.groupindex else match.span()
            words = text[start:end]
            if any(taken[start:end]):
                continue
            taken[start:end] = b"\1" * (end - start)
            if words in seen:
                continue
            seen.add(words)
            same = re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text)
            places = sorted({(start, end), *(other.span() for other in same)})
            places.remove((start, end))
            found.append((start, Identifier(kind, ((start, end), *places))))
    return [identifier for _, identifier in sorted(found, key=lambda pair: pair[0])]

r"""Words and sentences of clinical text, with character offsets.

A word is, by `WORD`, a run of letters and digits that begins with a letter (`B12`, `HbA1c`); a number with its decimal
points and thousands separators (`2.5`, `5,000`), so that `5mg` is two words; or any other single character that is
neither white space nor invisible (a control or formatting character). Apostrophes and hyphens stand alone, as in the
BC5CDR and NCBI-disease files.

A sentence ends, by these rules,

- at a blank line, and at a line break before a list item or a heading with a colon; with `split_lines` at any line
  break;
- after `.`, `?` or `!` and closing quotes and brackets, where white space and then a capital, a digit, an opening
  bracket, a quote or a bullet follow. A dot ends none after a title or the like (`TITLES`), single letters (`J.`,
  `p.o.`) or the number that opens a list item; after a unit or shorthand (`SHORTHAND`) only before a capitalised word.
  So a decimal number is never cut;
- never inside an entity: the sentences it runs over are one.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

Span = tuple[int, int]

_INVISIBLE = r"\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
WORD = re.compile(rf"[^\W\d_][^\W_\u0300-\u036f]*(?:[\u0300-\u036f]+[^\W_]*)*|\d+(?:[.,]\d+)*|_|[^\w\s{_INVISIBLE}]")
TITLES = frozenset("dr mr mrs ms prof st fig figs ref refs vs cf approx ca al viz".split())
"""Abbreviations that no sentence ends with, without their dot."""
SHORTHAND = frozenset(
    "mg mcg ug kg gm gms ml dl cc meq mmol mm cm units tab tabs cap caps amp inj susp soln gtt supp no nos pt pts hx "
    "dx tx rx sx fx hr hrs min mins sec wk wks mo mos yr yrs temp resp wt ht lt rt dept etc".split()
)
"""Abbreviations that a sentence may end with, without their dot."""
_STOP = re.compile(r"(?<![.?!])[.?!]+[\"'”’)\]]*(?=\s+(?P<next>[\"'“‘(\[*•–-]?\s?[A-ZÀ-ÖØ-Þ\d(\[].?))")  # noqa: RUF001
_CAPITALISED = re.compile(r"[^\W\d_][a-zß-öø-ÿ\s]")
_LAST_WORD = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]+\Z")
_LIST_NUMBER = re.compile(r"(?:\A|\n)\s*\(?\d{1,3}\Z")
_LINE_BREAK = re.compile(r"\r\n|[\n\r\f\v\u2028\u2029]")
_NEW_BLOCK = re.compile(r"[^\S\n]{0,80}(?:[-*•+#]\s|\(?\d{1,3}[.)]\s|[A-Z][\w /&()-]{0,48}:|[\r\n\f]|\Z)")
_REACH = 24  # characters before a dot that are looked at


def find_words(text: str, start: int = 0, end: int | None = None, cuts: Iterable[int] = ()) -> tuple[list[Span], int]:
    """Return the words of a text or of a stretch of it.

    Args:
        text: The document.
        start: First character of the stretch.
        end: The character after its last; by default that of the text.
        cuts: Offsets that no word may contain; one that would is divided there.

    Returns:
        Offsets `(start, end)` of each word in the text, and the number of words that were divided.
    """
    words: list[Span] = []
    ordered = sorted(set(cuts))
    divided = 0
    for match in WORD.finditer(text, start, len(text) if end is None else end):
        first, last = match.span()
        inner = ordered[bisect_right(ordered, first) : bisect_left(ordered, last)]
        divided += bool(inner)
        for cut in inner:
            words.append((first, cut))
            first = cut
        words.append((first, last))
    return words, divided


def find_sentences(text: str, entities: Sequence[Span] = (), split_lines: bool = False) -> tuple[list[Span], int]:
    """Return the sentences of a text by the rules at the head of this module.

    Args:
        text: The document.
        entities: Offsets of stretches that no sentence may cut.
        split_lines: Every line break ends a sentence.

    Returns:
        Offsets `(start, end)` of each sentence without the white space around it; and the number of boundaries that
        were passed over because an entity runs across them. A text of white space has no sentence.
    """
    boundaries = sorted({*_line_boundaries(text, split_lines), *_stops(text)})
    kept, crossed = _outside_of(boundaries, entities)
    sentences = []
    for start, end in zip([0, *kept], [*kept, len(text)], strict=True):
        stretch = text[start:end]
        bare = stretch.strip()
        if bare:
            first = start + len(stretch) - len(stretch.lstrip())
            sentences.append((first, first + len(bare)))
    return sentences, crossed


def _line_boundaries(text: str, split_lines: bool) -> list[int]:
    return [match.end() for match in _LINE_BREAK.finditer(text) if split_lines or _NEW_BLOCK.match(text, match.end())]


def _stops(text: str) -> list[int]:
    stops = []
    for match in _STOP.finditer(text):
        before = text[max(0, match.start() - _REACH) : match.start()]
        if match.group()[0] != "." or not _continues(before, match["next"]):
            stops.append(match.end())
    return stops


def _continues(before: str, after: str) -> bool:
    """Whether the sentence goes on after a dot."""
    if _LIST_NUMBER.search(before):
        return True
    found = _LAST_WORD.search(before)
    word = found.group().casefold() if found else ""
    if len(word) == 1 or "." in word or word in TITLES:
        return True
    return word in SHORTHAND and not _CAPITALISED.match(after)


def _outside_of(boundaries: Sequence[int], entities: Sequence[Span]) -> tuple[list[int], int]:
    inside: set[int] = set()
    for start, end in entities:
        inside.update(boundaries[bisect_right(boundaries, start) : bisect_left(boundaries, end)])
    return [boundary for boundary in boundaries if boundary not in inside], len(inside)

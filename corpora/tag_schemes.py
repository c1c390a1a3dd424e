"""Tags of words: schemes, the entities they spell, and what may follow what.

====== =============================================================================================================
IO     `I-x` on every word of an entity; neighbours of one type cannot be told apart
IOB1   as IO, but `B-x` begins an entity that follows another of the same type (CoNLL-2003 as published)
IOB2   `B-x` begins every entity, `I-x` continues it (also called BIO)
BIOES  as IOB2, but `E-x` ends an entity of several words and `S-x` is one of a single word; `L` and `U` of BILOU are
       read as `E` and `S`
====== =============================================================================================================

A span is `(label, start, end)` in words, end exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scheme = Literal["IOB1", "IOB2", "BIOES", "IO"]
SCHEMES: tuple[Scheme, ...] = ("IOB1", "IOB2", "BIOES", "IO")
WordSpan = tuple[str, int, int]

_PREFIXES = {"IO": "I", "IOB1": "BI", "IOB2": "BI", "BIOES": "BIES"}
_ALIASES = {"L": "E", "U": "S"}


@lru_cache(maxsize=4096)
def split_tag(tag: str) -> tuple[str, str]:
    """Return prefix and label of a tag: `("O", "")`, or one of B, I, E, S and the label.

    Raises:
        ValueError: It is no tag.
    """
    if tag == "O":
        return "O", ""
    prefix, dash, label = tag.partition("-")
    prefix = _ALIASES.get(prefix, prefix)
    if not dash or not label.strip() or prefix not in ("B", "I", "E", "S"):
        raise ValueError("not O, nor one of B-, I-, E- and S- with a label")
    return prefix, label


def detect_scheme(sequences: Iterable[Sequence[str]]) -> Scheme:
    """Name the scheme of a corpus from its tags.

    E or S occur: BIOES. No B: IO. Every B follows a word of its own type: IOB1. All else is IOB2, also when some I
    begins an entity, which is then a fault of the corpus.

    Args:
        sequences: The tags of each sentence.

    Raises:
        ValueError: Something is no tag.
    """
    begins = inside = lone_begin = False
    for tags in sequences:
        before = ""
        for tag in tags:
            prefix, label = split_tag(tag)
            if prefix in "ES":
                return "BIOES"
            inside |= prefix == "I"
            if prefix == "B":
                begins = True
                lone_begin |= before != label
            before = label
    if not begins:
        return "IO" if inside else "IOB2"
    return "IOB2" if lone_begin else "IOB1"


def scheme_faults(tags: Sequence[str], scheme: Scheme) -> list[int]:
    """Return the words whose tag breaks the scheme.

    These are tags that the scheme lacks; an I or E that continues nothing (IOB2, BIOES); and the last word of an
    entity that E does not end (BIOES). IO and IOB1 allow any I.

    Raises:
        ValueError: Something is no tag.
    """
    parts = [split_tag(tag) for tag in tags]
    faults = {place for place, (prefix, _) in enumerate(parts) if prefix not in "O" + _PREFIXES[scheme]}
    if scheme in ("IO", "IOB1"):
        return sorted(faults)
    before = ("O", "")
    for place, (prefix, label) in enumerate([*parts, ("O", "")]):
        open_before = before[0] in "BI" and before[1] != ""
        continues = prefix in "IE" and open_before and before[1] == label
        if prefix in "IE" and not continues:
            faults.add(place)
        if scheme == "BIOES" and open_before and not continues:
            faults.add(place - 1)
        before = (prefix, label)
    return sorted(faults)


def repair_tags(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Return tags that keep to the scheme, with the entities that conlleval would read.

    An I or E that continues nothing begins an entity there; an entity ends where the next word does not continue it.

    Raises:
        ValueError: Something is no tag.
    """
    spans: list[WordSpan] = []
    open_label = ""
    for place, (prefix, label) in enumerate(map(split_tag, tags)):
        if prefix in "IE" and label == open_label:
            spans[-1] = (label, spans[-1][1], place + 1)
        elif prefix != "O":
            spans.append((label, place, place + 1))
        open_label = label if prefix in "BI" else ""
    return tags_of_spans(spans, len(tags), scheme)


def to_iob2(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Return tags of any scheme as IOB2. Tags that are IOB2 stay as they are, faults too.

    Raises:
        ValueError: Something is no tag.
    """
    if scheme == "IOB2":
        return list(tags)
    if scheme == "BIOES":
        return bioes_to_iob2(tags)
    return repair_tags(tags, "IOB2")


def iob2_to_bioes(tags: Sequence[str]) -> list[str]:
    """Return IOB2 tags as BIOES; an I that continues nothing becomes O, as it is no part of an entity.

    Raises:
        ValueError: Something is no tag.
    """
    return tags_of_spans(entity_spans(tags), len(tags), "BIOES")


def bioes_to_iob2(tags: Sequence[str]) -> list[str]:
    """Return BIOES tags as IOB2; what is no whole entity (B without E, a lone I or E) becomes O.

    Raises:
        ValueError: Something is no tag.
    """
    spans: list[WordSpan] = []
    begin, open_label = 0, ""
    for place, (prefix, label) in enumerate(map(split_tag, tags)):
        if prefix == "B":
            begin, open_label = place, label
        elif prefix == "S":
            spans.append((label, place, place + 1))
            open_label = ""
        elif prefix == "E" and label == open_label:
            spans.append((label, begin, place + 1))
            open_label = ""
        elif prefix != "I" or label != open_label:
            open_label = ""
    return tags_of_spans(spans, len(tags), "IOB2")


def entity_spans(tags: Sequence[str]) -> list[WordSpan]:
    """Return the entities that IOB2 tags spell, read strictly.

    An `I-x` that continues no entity of type x begins none and belongs to none, as in seqeval with `mode="strict",
    scheme=IOB2`.

    Args:
        tags: One for each word.

    Returns:
        `(label, first word, word after the last)`, in order.

    Raises:
        ValueError: Something is no tag of IOB2.
    """
    spans: list[WordSpan] = []
    open_label = ""
    for place, tag in enumerate(tags):
        prefix, label = split_tag(tag)
        if prefix == "B":
            spans.append((label, place, place + 1))
            open_label = label
        elif prefix == "I" and label == open_label:
            spans[-1] = (label, spans[-1][1], place + 1)
        elif prefix in "ES":
            raise ValueError("E- and S- are no tags of IOB2")
        else:
            open_label = ""
    return spans


def tags_of_spans(spans: Iterable[WordSpan], length: int, scheme: Scheme = "IOB2") -> list[str]:
    """Return the tags of a sentence that spell these entities.

    Args:
        spans: `(label, first word, word after the last)` in any order.
        length: Words of the sentence.
        scheme: Of the tags.

    Raises:
        ValueError: A span is empty, reaches outside the sentence or overlaps another.
    """
    tags = ["O"] * length
    ordered = sorted(spans, key=lambda span: span[1:])
    before, label_before = 0, ""
    for label, start, end in ordered:
        if not before <= start < end <= length:
            raise ValueError("a span is empty, outside of the sentence or overlaps another")
        tags[start:end] = [f"I-{label}"] * (end - start)
        if scheme in ("IOB2", "BIOES") or (scheme == "IOB1" and start and start == before and label == label_before):
            tags[start] = f"B-{label}"
        if scheme == "BIOES":
            tags[end - 1] = f"{'S' if end - start == 1 else 'E'}-{label}"
        before, label_before = end, label
    return tags


def tag_names(labels: Iterable[str], scheme: Scheme = "IOB2") -> list[str]:
    """Return all tags of a scheme: O first, then by sorted label those of the label (B, I and for BIOES also E, S)."""
    return ["O", *(f"{prefix}-{label}" for label in sorted(labels) for prefix in _PREFIXES[scheme])]


def allowed_starts(tags: Sequence[str], scheme: Scheme = "IOB2") -> NDArray[np.bool_]:
    """Return which tags may begin a sentence.

    Args:
        tags: All tags, for example those of `tag_names`.
        scheme: IOB2 or BIOES.

    Returns:
        `(tags,)` bool.

    Raises:
        ValueError: Another scheme, or something is no tag of it.
    """
    return np.array([prefix in "OBS" for prefix, _ in _parts(tags, scheme)], dtype=bool)


def allowed_transitions(tags: Sequence[str], scheme: Scheme = "IOB2") -> NDArray[np.bool_]:
    """Return which tag may follow which, as a mask for a CRF.

    I-x and E-x follow B-x and I-x only; in BIOES these are also followed by nothing else.

    Args:
        tags: All tags, for example those of `tag_names`.
        scheme: IOB2 or BIOES.

    Returns:
        `(tags, tags)` bool, `[from, to]`.

    Raises:
        ValueError: Another scheme, or something is no tag of it.
    """
    parts = _parts(tags, scheme)
    allowed = np.zeros((len(parts), len(parts)), dtype=bool)
    for row, (prefix, label) in enumerate(parts):
        for column, (next_prefix, next_label) in enumerate(parts):
            if next_prefix in "IE":
                allowed[row, column] = prefix in "BI" and label == next_label
            else:
                allowed[row, column] = scheme == "IOB2" or prefix not in "BI"
    return allowed


def allowed_ends(tags: Sequence[str], scheme: Scheme = "IOB2") -> NDArray[np.bool_]:
    """Return which tags may end a sentence.

    Args:
        tags: All tags, for example those of `tag_names`.
        scheme: IOB2 or BIOES.

    Returns:
        `(tags,)` bool.

    Raises:
        ValueError: Another scheme, or something is no tag of it.
    """
    return np.array([scheme == "IOB2" or prefix not in "BI" for prefix, _ in _parts(tags, scheme)], dtype=bool)


def _parts(tags: Sequence[str], scheme: Scheme) -> list[tuple[str, str]]:
    if scheme not in ("IOB2", "BIOES"):
        raise ValueError(f"no constraints are known for the scheme {scheme}")
    parts = [split_tag(tag) for tag in tags]
    if any(prefix not in "O" + _PREFIXES[scheme] for prefix, _ in parts):
        raise ValueError(f"a tag that {scheme} lacks")
    return parts

"""Documents with marked entities, in character offsets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Entity:
    """A mention of some type in the text of a document.

    Args:
        label: Its type, for example Drug.
        spans: Character offsets `(start, end)` in the document's text, end exclusive; in order of the text, none empty,
            none overlapping another. More than one where the mention is discontinuous.
        entity_id: Its name in the file it came from, for example T7.
        probability: That a model gives it; None where people marked it.

    Raises:
        ValueError: The label is blank, or the spans are not as described.
    """

    label: str
    spans: tuple[tuple[int, int], ...]
    entity_id: str | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        if not self.label.strip():
            raise ValueError("an entity without a label")
        if not self.spans:
            raise ValueError("an entity without a span")
        before = 0
        for start, end in self.spans:
            if start < before or end <= start:
                raise ValueError("the spans of an entity are empty, out of order or overlap")
            before = end

    @property
    def start(self) -> int:
        """First character."""
        return self.spans[0][0]

    @property
    def end(self) -> int:
        """The character after the last."""
        return self.spans[-1][1]

    @property
    def is_discontinuous(self) -> bool:
        """Whether characters between the first and the last do not belong to it."""
        return any(first[1] != second[0] for first, second in pairwise(self.spans))


@dataclass(frozen=True)
class AnnotatedDocument:
    """A text and the entities marked in it.

    Args:
        document_id: Its name in its corpus.
        text: The characters that the offsets count.
        entities: In order of start, then end; `sorted_entities` puts them so.

    Raises:
        ValueError: An entity reaches beyond the text.
    """

    document_id: str
    text: str
    entities: tuple[Entity, ...] = ()

    def __post_init__(self) -> None:
        if any(entity.end > len(self.text) for entity in self.entities):
            raise ValueError("an entity reaches beyond the text")


def sorted_entities(entities: list[Entity]) -> tuple[Entity, ...]:
    """Return entities in order of start, then end, then label; equal ones keep their order."""
    return tuple(sorted(entities, key=lambda entity: (entity.start, entity.end, entity.label)))


def span_problem(spans: Iterable[tuple[int, int]], length: int) -> str | None:
    """Say what is wrong with the spans that a file gives for one entity, or nothing.

    Args:
        spans: Offsets `(start, end)`, in any order.
        length: Characters of the text.
    """
    before = 0
    for start, end in sorted(spans):
        if not 0 <= start < end:
            return f"a span from {start} to {end} holds no character"
        if end > length:
            return f"a span from {start} to {end} reaches beyond the text of {length:,} characters"
        if start < before:
            return "two parts of one entity share characters"
        before = end
    return None


def reads_as(shown: str, text: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Return whether the words that a file shows for an entity are those at its offsets, whatever the white space."""
    return shown.split() == " ".join(text[start:end] for start, end in spans).split()

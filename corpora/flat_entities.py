"""Entities as tags can spell them: contiguous, and no two on one character.

The policy, in this order; whatever it changes or drops is counted by reason and type:

1. An entity that repeats another (same type, same spans) is dropped.
2. A discontinuous entity whose gaps are white space only, as BRAT writes one that runs over a line break, becomes
   contiguous.
3. Any other discontinuous entity: `join` takes the text from its first to its last character, unless another entity
   reaches into a gap, which joining would cut; then, and with `first`, its first part alone stays; `drop` drops it.
4. Of entities that share characters: `longest` keeps the longest, then the longest that is clear of those kept, and so
   on (of equal ones the earlier, then the one given first); `first` the same by the earliest start (of equal ones the
   longest); `error` stops.

The defaults, join and longest, keep the most words marked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from corpora.entities import AnnotatedDocument, Entity, sorted_entities
from corpora.errors import InputError

DiscontinuousPolicy = Literal["join", "first", "drop"]
OverlapPolicy = Literal["longest", "first", "error"]
Reasons = Counter[tuple[str, str]]
"""`(reason, label)` to number of entities."""


@dataclass
class FlatEntities:
    """Contiguous entities that share no character.

    Args:
        entities: In order.
        changed: Entities kept with other offsets than they had, or with a gap filled.
        dropped: Entities left out.
    """

    entities: tuple[Entity, ...]
    changed: Reasons = field(default_factory=Counter)
    dropped: Reasons = field(default_factory=Counter)


def flat_entities(
    document: AnnotatedDocument, discontinuous: DiscontinuousPolicy = "join", overlapping: OverlapPolicy = "longest"
) -> FlatEntities:
    """Apply the policy at the head of this module to the entities of a document.

    Args:
        document: Text and entities.
        discontinuous: join, first or drop.
        overlapping: longest, first or error.

    Raises:
        InputError: Two entities share characters and `overlapping` is error; it names the document.
    """
    result = FlatEntities(())
    different: dict[tuple, Entity] = {}
    for entity in document.entities:
        if different.setdefault((entity.label, entity.spans), entity) is not entity:
            result.dropped["repeats another", entity.label] += 1
    given = list(different.values())
    contiguous, reasons = [], {}
    for entity in given:
        spans, reason = _contiguous(entity, given, document.text, discontinuous)
        if spans is None:
            result.dropped[reason, entity.label] += 1
            continue
        contiguous.append(replace(entity, spans=(spans,)))
        reasons[id(contiguous[-1])] = reason
    if overlapping == "error":
        _refuse_overlap(document.document_id, contiguous)
    result.entities = _clear_of_each_other(contiguous, overlapping, result.dropped)
    for entity in result.entities:
        if reasons[id(entity)]:
            result.changed[reasons[id(entity)], entity.label] += 1
    return result


def _contiguous(
    entity: Entity, others: Sequence[Entity], text: str, policy: DiscontinuousPolicy
) -> tuple[tuple[int, int] | None, str]:
    """Return the one span of an entity, if it stays, and why it differs from what was given, if it does."""
    joined = entity.start, entity.end
    gaps = [(first[1], second[0]) for first, second in pairwise(entity.spans)]
    if all(not text[start:end].strip() for start, end in gaps):
        return joined, "joined over white space" if entity.is_discontinuous else ""
    if policy == "drop":
        return None, "discontinuous"
    cut = any(
        other is not entity and any(start < gap_end and gap_start < end for start, end in other.spans)
        for other in others
        for gap_start, gap_end in gaps
    )
    if policy == "join" and not cut:
        return joined, "discontinuous, joined"
    return entity.spans[0], "discontinuous, first part kept"


def _clear_of_each_other(entities: Sequence[Entity], policy: OverlapPolicy, dropped: Reasons) -> tuple[Entity, ...]:
    if policy == "first":
        ranked = sorted(entities, key=lambda entity: (entity.start, -entity.end))
    else:
        ranked = sorted(entities, key=lambda entity: (entity.start - entity.end, entity.start))
    owner: dict[int, Entity] = {}
    kept = []
    for entity in ranked:
        winner = next((owner[place] for place in range(entity.start, entity.end) if place in owner), None)
        if winner is None:
            owner.update(dict.fromkeys(range(entity.start, entity.end), entity))
            kept.append(entity)
        else:
            dropped[_overlap_reason(entity, winner), entity.label] += 1
    return sorted_entities(kept)


def _overlap_reason(loser: Entity, winner: Entity) -> str:
    if (loser.start, loser.end) == (winner.start, winner.end):
        return "same place as another"
    if winner.start <= loser.start and loser.end <= winner.end:
        return "inside another"
    if loser.start <= winner.start and winner.end <= loser.end:
        return "around another"
    return "crosses another"


def _refuse_overlap(document_id: str, entities: Sequence[Entity]) -> None:
    ordered = sorted_entities(list(entities))
    for first, second in pairwise(ordered):  # the first overlap is one of neighbours
        if second.start < first.end:
            names = [entity.entity_id or f"the one at {entity.start:,}-{entity.end:,}" for entity in (first, second)]
            raise InputError(
                f"document '{document_id}': the entities {names[0]} and {names[1]} share characters",
                remedy="mend them, or pass --overlapping longest or first",
            )

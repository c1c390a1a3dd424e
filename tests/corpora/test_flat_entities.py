import itertools
import random

import pytest

from corpora.entities import AnnotatedDocument, Entity
from corpora.errors import InputError
from corpora.flat_entities import flat_entities

TEXT = "left and right knee pain\nat night today"


def _flat(*entities, text=TEXT, **policy):
    made = tuple(Entity(label, tuple(spans), f"T{number}") for number, (label, *spans) in enumerate(entities, 1))
    found = flat_entities(AnnotatedDocument("note-1", text, made), **policy)
    return [(one.label, one.start, one.end) for one in found.entities], dict(found.changed), dict(found.dropped)


def test_flat_entities_stay_as_they_are_in_order():
    assert _flat(("B", (9, 14)), ("A", (0, 4)), ("A", (4, 9))) == (
        [("A", 0, 4), ("A", 4, 9), ("B", 9, 14)], {}, {},
    )  # fmt: skip
    assert _flat() == ([], {}, {})


def test_a_gap_of_white_space_is_no_gap():
    spans = ("A", (20, 24), (25, 27))  # over the line break
    for policy in ("join", "first", "drop"):
        assert _flat(spans, discontinuous=policy) == ([("A", 20, 27)], {("joined over white space", "A"): 1}, {})
    assert _flat(("A", (20, 22), (22, 24))) == ([("A", 20, 24)], {}, {})


def test_a_discontinuous_entity_is_joined_where_nothing_is_cut():
    entity = ("A", (0, 4), (15, 19))
    assert _flat(entity) == ([("A", 0, 19)], {("discontinuous, joined", "A"): 1}, {})
    first = ([("A", 0, 4)], {("discontinuous, first part kept", "A"): 1}, {})
    assert _flat(entity, discontinuous="first") == first
    assert _flat(entity, discontinuous="drop") == ([], {}, {("discontinuous", "A"): 1})
    # "right knee" reaches into the gap of "left knee".
    found, changed, dropped = _flat(entity, ("A", (9, 19)))
    assert (found, changed, dropped) == ([("A", 0, 4), ("A", 9, 19)], first[1], {})
    # What merely begins where the gap ends is not cut, though it overlaps.
    found, changed, dropped = _flat(entity, ("B", (15, 24)))
    assert found == [("A", 0, 19)] and dropped == {("crosses another", "B"): 1}


def test_what_is_dropped_is_not_counted_as_changed():
    found, changed, dropped = _flat(("A", (0, 4), (15, 19)), ("A", (5, 8)), ("B", (0, 8)))
    assert found == [("B", 0, 8)]
    assert changed == {} and dropped == {("inside another", "A"): 2}


def test_repeats_count_once():
    assert _flat(("A", (0, 4)), ("A", (0, 4)), ("A", (0, 4))) == ([("A", 0, 4)], {}, {("repeats another", "A"): 2})


@pytest.mark.parametrize(
    ("entities", "longest", "first"),
    [
        ([("A", (0, 8)), ("B", (5, 19))], [("B", 5, 19)], [("A", 0, 8)]),
        ([("A", (0, 4)), ("B", (0, 19))], [("B", 0, 19)], [("B", 0, 19)]),
        ([("A", (0, 4)), ("B", (0, 4))], [("A", 0, 4)], [("A", 0, 4)]),
        ([("A", (0, 8)), ("B", (5, 14)), ("C", (9, 19))], [("C", 9, 19), ("A", 0, 8)], [("A", 0, 8), ("C", 9, 19)]),
    ],
)
def test_of_overlapping_entities_one_stays(entities, longest, first):
    found, _, dropped = _flat(*entities, overlapping="longest")
    assert found == sorted(longest, key=lambda one: one[1])
    assert len(found) + sum(dropped.values()) == len(entities)
    assert _flat(*entities, overlapping="first")[0] == first
    with pytest.raises(InputError, match="document 'note-1': the entities T1 and T2 share characters"):
        _flat(*entities, overlapping="error")


def test_reasons_say_how_the_dropped_one_lies():
    assert _flat(("A", (0, 8)), ("B", (0, 8)))[2] == {("same place as another", "B"): 1}
    assert _flat(("A", (0, 8)), ("B", (0, 4)))[2] == {("inside another", "B"): 1}
    assert _flat(("A", (0, 8)), ("B", (5, 12)))[2] == {("crosses another", "B"): 1}
    assert _flat(("A", (0, 4)), ("B", (2, 19)), overlapping="first")[2] == {("crosses another", "B"): 1}
    # Two short ones that start first leave no place for a longer one around the second.
    found, _, dropped = _flat(("A", (0, 6)), ("B", (5, 19)), ("C", (8, 10)), overlapping="first")
    assert found == [("A", 0, 6), ("C", 8, 10)] and dropped == {("crosses another", "B"): 1}


def test_any_annotation_becomes_flat_and_nothing_is_lost_uncounted():
    rng = random.Random(2)
    for _ in range(300):
        entities = []
        for _ in range(rng.randrange(8)):
            places = sorted(rng.sample(range(len(TEXT)), rng.choice([2, 2, 2, 4, 6])))
            entities.append((rng.choice("AB"), *zip(places[::2], places[1::2], strict=True)))
        for discontinuous in ("join", "first", "drop"):
            for overlapping in ("longest", "first"):
                found, changed, dropped = _flat(*entities, discontinuous=discontinuous, overlapping=overlapping)
                assert all(one[2] <= two[1] for one, two in itertools.pairwise(found))
                assert len(found) + sum(dropped.values()) == len(entities)
                given = {(label, *span) for label, *spans in entities for span in spans if len(spans) == 1}
                assert len(set(found) - given) <= sum(changed.values()) <= len(found)


def test_entities_check_themselves():
    for spans in ((), ((3, 3),), ((5, 6), (1, 2)), ((0, 3), (2, 4)), ((-1, 2),)):
        with pytest.raises(ValueError, match="span"):
            Entity("A", spans)
    with pytest.raises(ValueError, match="label"):
        Entity(" ", ((0, 1),))
    with pytest.raises(ValueError, match="beyond the text"):
        AnnotatedDocument("a", "xy", (Entity("A", ((0, 3),)),))

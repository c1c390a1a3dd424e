"""Encounter sets: their columns, selections, alignment and new names."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from corpora.encounters import ConceptState, Encounters, encounters_from_sets, require_both_outcomes
from corpora.errors import InputError

NAMES = {"a": "alpha", "b": "beta", "c": "gamma"}


def made(site="north"):
    said = [
        {("a", "present"), ("b", "absent")},
        {("b", "present"), ("c", "high"), ("x", "present")},
        set(),
        {("a", "present"), ("b", "present")},
    ]
    return encounters_from_sets(["e1", "e2", "e3", "e4"], ["p1", "p1", "p2", "p3"], [1, 0, 0, 1], said, NAMES, site)


def rows(encounters):
    keys = np.array(encounters.keys)
    return [set(keys[row.indices]) for row in encounters.occurs]


def test_columns_are_sorted_and_codes_without_a_name_left_out():
    found = made()
    assert found.keys == ["a=present", "b=absent", "b=present", "c=high"]
    assert [state.name for state in found.states] == ["alpha", "beta", "beta", "gamma"]
    assert rows(found) == [{"a=present", "b=absent"}, {"b=present", "c=high"}, set(), {"a=present", "b=present"}]
    assert (len(found), found.positives, found.without_states) == (4, 2, 1)
    assert found.occurs.dtype == np.float32 and set(found.occurs.data) == {1.0}


@pytest.mark.parametrize("chosen", [[3, 1], np.array([False, True, False, True])])
def test_select(chosen):
    found = made().select(chosen)
    order = ["e2", "e4"] if isinstance(chosen, np.ndarray) else ["e4", "e2"]
    assert found.encounter_ids.tolist() == order
    assert dict(zip(order, rows(found), strict=True)) == {
        "e2": {"b=present", "c=high"},
        "e4": {"a=present", "b=present"},
    }
    assert found.states == made().states and made().select([]).positives == 0


def test_with_states_keeps_encounters_that_are_left_with_none():
    found = made().with_states([2, 0])
    assert found.keys == ["b=present", "a=present"]
    assert rows(found) == [{"a=present"}, {"b=present"}, set(), {"a=present", "b=present"}]
    truth = made().with_states([state.code == "c" for state in made().states])
    assert rows(truth) == [set(), {"c=high"}, set(), set()]


def test_aligned_to_another_vocabulary_and_back():
    other = [ConceptState("z", "zeta"), ConceptState("b", "another name"), ConceptState("a", "alpha")]
    found = made().aligned(other)
    assert found.states == tuple(other)
    assert found.occurs.toarray().tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 1, 1]]
    again = made().aligned(made().states)
    assert (again.occurs != made().occurs).nnz == 0
    assert made().aligned([]).occurs.shape == (4, 0)


def test_renamed_codes_that_meet_become_one():
    found = made().renamed({"b": "a"}, {"b": "new"})
    assert {state.key: state.name for state in found.states} == {
        "a=present": "alpha",
        "a=absent": "new",
        "c=high": "gamma",
    }
    assert rows(found) == [{"a=present", "a=absent"}, {"a=present", "c=high"}, set(), {"a=present"}]
    assert set(found.occurs.data) == {1.0}
    names = made().renamed({}, {"a": "other"})
    assert names.keys == made().keys and names.states[0].name == "other"


def test_digest_changes_with_every_part_but_the_report():
    first = made()
    assert first.digest == made().digest == first.with_report(more=1).digest
    changed = [made("south"), first.select([1, 0, 2, 3]), first.with_states([0, 1, 2]), first.renamed({"a": "q"})]
    changed.append(first.renamed({}, {"a": "other"}))
    assert len({one.digest for one in [first, *changed]}) == 6


@pytest.mark.parametrize(
    ("outcomes", "states", "words"),
    [
        ([0, 1, 1], 1, "3 outcomes"),
        ([0, 2], 1, "neither 0 nor 1"),
        ([0, 1], 2, "shape"),
    ],
)
def test_parts_that_do_not_fit(outcomes, states, words):
    with pytest.raises(ValueError, match=words):
        Encounters(
            np.array(["a", "b"]),
            np.array(["p", "q"]),
            np.array(outcomes),
            tuple(ConceptState(f"c{i}", "name") for i in range(states)),
            csr_matrix((2, 1), dtype=np.float32),
            "north",
        )


def test_a_key_stands_once():
    states = (ConceptState("a", "one"), ConceptState("a", "two"))
    with pytest.raises(ValueError, match="same code and state"):
        Encounters(np.array(["e"]), np.array(["p"]), np.array([1]), states, csr_matrix((1, 2)), "north")


def test_a_single_positive_is_too_few():
    one = made().select([0, 1, 2])
    with pytest.raises(InputError, match="site north: 1 of 3 encounters with the outcome, and at least 2"):
        require_both_outcomes(one)
    with pytest.raises(InputError, match="0 of 2 encounters without the outcome"):
        require_both_outcomes(made().select([0, 3]))
    require_both_outcomes(made())
    require_both_outcomes(one, fewest=1)

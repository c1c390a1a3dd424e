"""Restricted and renamed vocabularies of two sites."""

import itertools

import numpy as np
import pytest

from corpora.encounters import encounters_from_sets
from corpora.errors import InputError
from corpora.vocabulary_overlap import codes_of, overlap_report, rename_codes, restrict_overlap


def made(site, codes, extra=()):
    said = [{(code, state)} for code in codes for state in ("present", "absent")] + [set()]
    names = {code: f"name of {code}" for code in [*codes, *extra]}
    ids = [f"{site}{i}" for i in range(len(said))]
    found = encounters_from_sets(ids, ids, [i % 2 for i in range(len(said))], said, names, site)
    return found


@pytest.fixture
def sites():
    shared = [f"c{i:02d}" for i in range(20)]
    return made("north", [*shared, "n1", "n2"]), made("south", [*shared, "s1", "s2", "s3"])


def test_codes_that_are_used(sites):
    north, _ = sites
    assert len(codes_of(north)) == 22
    # A column that is there but empty is not a code in use.
    assert codes_of(north.select([0, 1])) == {"c00"}


def test_overlaps(sites):
    north, south = sites
    kept = {
        name: [codes_of(one) for one in restrict_overlap(north, south, name, 3)]
        for name in ("full", "shared", "disjoint", "dealt")
    }
    assert kept["full"] == [codes_of(north), codes_of(south)]
    assert kept["shared"][0] == kept["shared"][1] == {f"c{i:02d}" for i in range(20)}
    assert kept["disjoint"] == [{"n1", "n2"}, {"s1", "s2", "s3"}]
    first, second = kept["dealt"]
    assert not first & second and {"n1", "n2"} < first and {"s1", "s2", "s3"} < second
    assert len(first) == 12 and len(second) == 13 and first | second == codes_of(north) | codes_of(south)
    other = restrict_overlap(north, south, "dealt", 4)[0]
    assert codes_of(other) != first


def test_all_encounters_stay(sites):
    north, south = sites
    source, target = restrict_overlap(north, south, "disjoint")
    assert source.encounter_ids.tolist() == north.encounter_ids.tolist()
    assert target.outcomes.tolist() == south.outcomes.tolist()
    assert target.report["without_events"] == target.without_states == len(south) - 6


def test_nothing_left(sites):
    north, _ = sites
    with pytest.raises(InputError, match="site north has no code left with the disjoint vocabulary"):
        restrict_overlap(north, made("south", ["c00", "n1", *[f"c{i:02d}" for i in range(20)], "n2"]), "disjoint")
    with pytest.raises(InputError, match="no code left with the shared vocabulary"):
        restrict_overlap(north, made("south", ["x"]), "shared")


def test_renamed_codes_are_nested_and_keep_names_and_states(sites):
    _, south = sites
    shared = {f"c{i:02d}" for i in range(20)}
    kept = []
    for share, count in ((0, 0), (0.25, 5), (0.5, 10), (1, 20)):
        renamed = rename_codes(south, share, seed=1, among=shared)
        kept.append(codes_of(renamed) & shared)
        assert len(kept[-1]) == 20 - count and renamed.report["renamed"] == {"codes": count, "of": 20, "names": "stay"}
        local = [state for state in renamed.states if state.code.startswith("local:south:")]
        assert len(local) == 2 * count and all(state.name.startswith("name of c") for state in local)
        assert (renamed.occurs.sum(1) == south.occurs.sum(1)).all()
    assert all(less <= more for more, less in itertools.pairwise(kept))
    assert codes_of(rename_codes(south, 0.25, 2, among=shared)) & shared != kept[1]


def test_renaming_moves_columns_with_their_codes(sites):
    _, south = sites
    renamed = rename_codes(south, 0.5, seed=0)
    name_of = {state.name: state.code for state in renamed.states}
    old = {state.key: column for column, state in enumerate(south.states)}
    new = {state.key: column for column, state in enumerate(renamed.states)}
    for state in south.states:
        moved = new[f"{name_of[state.name]}={state.state}"]
        assert (renamed.occurs[:, [moved]] != south.occurs[:, [old[state.key]]]).nnz == 0


def test_synonyms_and_opaque_names(sites):
    _, south = sites
    synonyms = {"c01": "another name", "c02": "a third name", "unused": "x"}
    renamed = rename_codes(south, 1, new_names="synonyms", synonyms=synonyms)
    assert renamed.report["renamed"] == {"codes": 2, "of": 2, "names": "synonyms"}
    assert {state.name for state in renamed.states if state.code.startswith("local")} == {
        "another name",
        "a third name",
    }
    opaque = rename_codes(south, 1, new_names="codes")
    assert all(state.name == state.code for state in opaque.states)
    with pytest.raises(InputError, match="site south: no code has a synonym"):
        rename_codes(south, 1, new_names="synonyms", synonyms={"unused": "x"})


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_share_out_of_range(sites, share):
    with pytest.raises(InputError, match="a share of"):
        rename_codes(sites[0], share)


def test_report(sites):
    north, south = sites
    other = south.renamed({}, {"c00": "a new name"})
    found = overlap_report(north, other)
    assert found == {
        "source_codes": 22,
        "target_codes": 23,
        "shared_codes": 20,
        "shared_codes_of_one_name": 19,
        "share_of_target_said_in_shared_codes": pytest.approx(20 / 23),
        "target_encounters_without_shared_codes": 7,
    }
    assert np.isclose(overlap_report(north, rename_codes(south, 1))["share_of_target_said_in_shared_codes"], 0)

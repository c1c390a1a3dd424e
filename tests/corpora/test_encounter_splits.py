"""Splits and nested samples of encounters."""

import numpy as np
import pytest

from corpora.encounter_splits import nested_samples, split_encounters
from corpora.encounters import encounters_from_sets
from corpora.errors import InputError
from corpora.splitting import SplitOptions


def made(count=600, prevalence=0.2, seed=0):
    rng = np.random.default_rng(seed)
    patients = [f"p{number}" for number in np.sort(rng.integers(0, count * 2 // 3, count))]
    outcomes = (rng.random(count) < prevalence).astype(int)
    return encounters_from_sets(
        [f"e{i}" for i in range(count)],
        patients,
        outcomes,
        [{("a", "present")} for _ in patients],
        {"a": "alpha"},
        "north",
    )


def test_patients_are_whole_and_outcomes_alike():
    site = made()
    parts = split_encounters(site, SplitOptions(validation_share=0.2, test_share=0.3, seed=1))
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(600))
    patients = [set(site.patient_ids[rows]) for rows in parts.values()]
    assert not patients[0] & patients[1] and not patients[0] & patients[2] and not patients[1] & patients[2]
    for name, share in (("train", 0.5), ("validation", 0.2), ("test", 0.3)):
        assert len(parts[name]) == pytest.approx(600 * share, abs=12)
        assert site.outcomes[parts[name]].mean() == pytest.approx(site.outcomes.mean(), abs=0.03)


def test_the_split_depends_on_ids_and_seed_not_on_the_order_of_rows():
    site = made()
    order = np.random.default_rng(3).permutation(600)
    options = SplitOptions(seed=5)
    first, second = split_encounters(site, options), split_encounters(site.select(order), options)
    for name in first:
        assert set(site.encounter_ids[first[name]]) == set(site.encounter_ids[order][second[name]])
    other = split_encounters(site, SplitOptions(seed=6))
    assert set(first["test"].tolist()) != set(other["test"].tolist())


def test_a_part_of_no_share_is_left_out():
    assert set(split_encounters(made(), SplitOptions(validation_share=0.0, test_share=0.5))) == {"train", "test"}


def test_too_few_positives_for_every_part():
    site = made(60)
    few = site.select(np.concatenate([np.flatnonzero(site.outcomes == 0), np.flatnonzero(site.outcomes == 1)[:2]]))
    with pytest.raises(InputError, match=r"site north: the \w+ part of [0-9]+ encounters has 0 with the outcome, of 2"):
        split_encounters(few, SplitOptions(validation_share=0.3, test_share=0.3))


def test_samples_are_nested_and_keep_the_share_of_the_outcome():
    site = made()
    samples = nested_samples(site, [400, 50, 0, 100, 600], seed=2)
    assert [len(rows) for rows in samples.values()] == [0, 50, 100, 400, 600]
    inner = set()
    for size, rows in samples.items():
        assert inner <= set(rows.tolist()) and (np.diff(rows) > 0).all()
        inner = set(rows.tolist())
        if size >= 50:
            assert site.outcomes[rows].mean() == pytest.approx(site.outcomes.mean(), abs=0.06)
    # All patients but the last are whole.
    taken = site.patient_ids[samples[100]]
    split = [name for name in set(taken) if (site.patient_ids == name).sum() > (taken == name).sum()]
    assert len(split) <= 1


def test_patients_stay_together_where_both_kinds_are_as_many():
    ids = [f"e{i}" for i in range(240)]
    patients = [f"p{i // 3}" for i in range(240)]
    said = [{("a", "present")}] * 240
    site = encounters_from_sets(ids, patients, [(i // 3) % 2 for i in range(240)], said, {"a": "alpha"}, "north")
    for size, rows in nested_samples(site, [33, 63, 93], 1).items():
        assert len(set(site.patient_ids[rows])) == size // 3


def test_samples_do_not_depend_on_the_order_of_rows_or_on_other_sizes():
    site = made()
    order = np.random.default_rng(3).permutation(600)
    first = nested_samples(site, [70], 4)[70]
    assert nested_samples(site, [10, 70, 500], 4)[70].tolist() == first.tolist()
    again = nested_samples(site.select(order), [70], 4)[70]
    assert set(site.encounter_ids[order][again]) == set(site.encounter_ids[first])
    assert nested_samples(site, [70], 5)[70].tolist() != first.tolist()


def test_every_encounter_is_drawn_as_often_as_any_other():
    site = made(120)
    times = np.zeros(120)
    for seed in range(300):
        times[nested_samples(site, [40], seed)[40]] += 1
    # About 100 each; patients, not encounters, are drawn, which leaves the mean as it is.
    assert times.min() > 55 and times.max() < 150


@pytest.mark.parametrize(
    ("size", "words"), [(601, "a sample of 601 from 600"), (-1, "a sample of -1"), (1, "only one")]
)
def test_sizes_out_of_range(size, words):
    with pytest.raises(InputError, match=words):
        nested_samples(made(), [size], 0)

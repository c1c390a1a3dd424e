"""Splits: units stay whole, shares and strata are met, the order of rows does not matter."""

import numpy as np
import pytest

from corpora.errors import InputError
from corpora.splitting import SplitOptions, join_units, sample_units, share_warnings, split_units


def made_up(patients=2_000, seed=0):
    random = np.random.default_rng(seed)
    patient = np.repeat(np.arange(patients), random.geometric(0.3, patients))
    group = np.arange(len(patient))
    for _ in range(200):  # near-duplicates within and across patients
        one, other = random.integers(0, len(patient), 2)
        group[one] = group[other]
    category = random.choice(5, len(patient), p=[0.5, 0.3, 0.15, 0.04, 0.01])
    keys = random.integers(0, 2**63, len(patient)).astype(np.uint64)
    return patient, group, category, keys


def plain_units(patient, group):
    unit = list(range(len(group)))
    changed = True
    while changed:
        changed = False
        for values in (patient, group):
            least = {}
            for label, value in zip(unit, values, strict=True):
                least[value] = min(least.get(value, label), label)
            for index, value in enumerate(values):
                if unit[index] != least[value]:
                    unit[index], changed = least[value], True
    return unit


def test_units_are_the_components_of_patients_and_groups():
    patient, group, _, _ = made_up(300)
    units = join_units(group, patient)
    expected = plain_units(patient, group)
    pairs = set(zip(units.tolist(), expected, strict=True))
    assert len(pairs) == len(set(expected)) == len(set(units.tolist()))
    assert len(set(expected)) < len(set(patient.tolist()))  # some patients are joined by a near-duplicate


def test_neither_patients_nor_groups_are_divided_and_shares_and_strata_are_met():
    patient, group, category, keys = made_up()
    units = join_units(group, patient)
    split = split_units(units, category, keys, SplitOptions(validation_share=0.15, test_share=0.25, seed=1))
    for values in (patient, group):
        assert all(len(set(split[values == value])) == 1 for value in np.unique(values))
    assert np.bincount(split) / len(split) == pytest.approx([0.6, 0.15, 0.25], abs=0.005)
    for one in range(5):
        chosen = split[category == one]
        assert np.bincount(chosen, minlength=3) / len(chosen) == pytest.approx([0.6, 0.15, 0.25], abs=0.03)


def test_units_of_each_size_are_spread_over_the_splits():
    patient, group, category, keys = made_up(6_000)
    units = join_units(np.arange(len(group)), patient)
    split = split_units(units, category, keys, SplitOptions())
    size = np.bincount(patient)[patient]
    means = [size[split == one].mean() for one in range(3)]
    assert max(means) / min(means) < 1.15


def test_order_of_rows_does_not_matter_and_the_seed_does():
    patient, group, category, keys = made_up(500)
    units = join_units(group, patient)
    split = split_units(units, category, keys, SplitOptions(seed=3))
    shuffle = np.random.default_rng(9).permutation(len(group))
    again = split_units(
        join_units(group[shuffle], patient[shuffle]), category[shuffle], keys[shuffle], SplitOptions(seed=3)
    )
    assert (again == split[shuffle]).all()
    assert (split_units(units, category, keys, SplitOptions(seed=4)) != split).mean() > 0.1


def test_a_unit_too_large_for_the_small_splits_goes_to_train_with_a_warning():
    units = np.array([0] * 900 + list(range(1, 101)))
    options = SplitOptions()
    split = split_units(units, np.zeros(1_000, int), np.arange(1_000).astype(np.uint64), options)
    assert set(split[:900]) == {0}
    assert np.bincount(split).tolist() == [900, 50, 50]
    (warning,) = share_warnings(split, units, options)
    assert "validation holds 5.0%" in warning and "900 documents" in warning
    assert share_warnings(np.repeat([0, 1, 2], [80, 10, 10]), np.arange(100), options) == []
    warning, _ = share_warnings(np.zeros(6, np.int8), np.repeat(np.arange(3), 2), options)
    assert warning == "validation and test got no documents; prepare more patients, or give a larger share"
    assert len(share_warnings(np.zeros(6, np.int8), np.repeat(np.arange(3), 2), SplitOptions(0, 0.1))) == 2


def test_tiny_and_partial_splits():
    options = SplitOptions(validation_share=0, test_share=0.5)
    split = split_units(np.arange(10), np.zeros(10, int), np.arange(10).astype(np.uint64), options)
    assert np.bincount(split, minlength=3).tolist() == [5, 0, 5]
    assert split_units(np.arange(1), np.zeros(1, int), np.zeros(1, np.uint64), SplitOptions()).tolist() == [0]


@pytest.mark.parametrize(
    "fault", [{"validation_share": -0.1}, {"test_share": 1}, {"validation_share": 0.6, "test_share": 0.4}]
)
def test_impossible_shares_are_refused(fault):
    with pytest.raises(InputError, match="_share"):
        SplitOptions(**fault)


def test_a_sample_holds_whole_units_and_a_larger_one_holds_the_smaller():
    patient, group, _, keys = made_up(6_000)
    units = join_units(group, patient)
    samples = [sample_units(units, keys, SplitOptions(sample_share=share, seed=4)) for share in (0.1, 0.4, 1)]
    assert samples[2].all() and not (samples[0] & ~samples[1]).any()
    count = len(set(units.tolist()))
    for share, sample in zip((0.1, 0.4), samples[:2], strict=True):
        drawn = set(units[sample].tolist())
        assert not drawn & set(units[~sample].tolist())
        assert len(drawn) / count == pytest.approx(share, abs=4 * (share * (1 - share) / count) ** 0.5)
    # Neither the order of rows nor the rest of the corpus decides; the seed does.
    order = np.random.default_rng(0).permutation(len(units))
    again = sample_units(join_units(group[order], patient[order]), keys[order], SplitOptions(sample_share=0.4, seed=4))
    assert (again == samples[1][order]).all()
    assert (sample_units(units, keys, SplitOptions(sample_share=0.4, seed=5)) != samples[1]).any()


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_impossible_samples_are_refused(share):
    with pytest.raises(InputError, match="--sample_share"):
        SplitOptions(sample_share=share)

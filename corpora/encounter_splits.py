"""Splits and samples of encounters, by whole patients, with the outcome alike in all parts."""

from __future__ import annotations

import numpy as np

from corpora.encounters import Encounters
from corpora.errors import InputError
from corpora.splitting import SPLITS, SplitOptions, join_units, split_units


def split_encounters(encounters: Encounters, options: SplitOptions) -> dict[str, np.ndarray]:
    """Divide encounters into train, validation and test, whole patients at a time, stratified by outcome.

    The division depends on ids, outcomes and the seed alone, not on the order of rows.

    Args:
        encounters: Of one site.
        options: Shares and seed.

    Returns:
        Increasing positions by split, only those with a share above 0.

    Raises:
        InputError: A part would lack encounters with the outcome, or without.
    """
    assigned = split_units(
        join_units(np.arange(len(encounters)), _numbers(encounters.patient_ids)),
        encounters.outcomes,
        _keys(encounters.encounter_ids),
        options,
    )
    wanted = [number for number, share in enumerate(options.shares) if share > 0]
    parts = {SPLITS[number]: np.flatnonzero(assigned == number) for number in wanted}
    for name, rows in parts.items():
        positives = int(encounters.outcomes[rows].sum())
        if not 0 < positives < len(rows):
            raise InputError(
                f"site {encounters.site}: the {name} part of {len(rows):,} encounters has {positives:,} with the "
                f"outcome, of {encounters.positives:,} in {len(encounters):,}",
                remedy="give more encounters, or larger shares for the small parts",
            )
    return parts


def nested_samples(encounters: Encounters, sizes: list[int], seed: int) -> dict[int, np.ndarray]:
    """Draw samples of several sizes, each within the next larger, with about the same share of the outcome.

    Patients are drawn whole, in an order that depends on ids and seed alone; the last patient of a sample may give
    only part of the encounters, so that the size is exact.

    Args:
        encounters: To draw from, as a rule the training part of a site.
        sizes: Encounters of each sample; 0 for none.
        seed: Of the order.

    Returns:
        Increasing positions by size.

    Raises:
        InputError: A size is below 0 or above the number of encounters, or a sample lacks an outcome that there is.
    """
    order = _sample_order(encounters, seed)
    samples = {}
    for size in sorted(set(sizes)):
        if not 0 <= size <= len(order):
            raise InputError(
                f"site {encounters.site}: a sample of {size:,} from {len(order):,} encounters",
                remedy="give sizes from 0 to the number of encounters",
            )
        rows = np.sort(order[:size])
        if size and len(set(encounters.outcomes[rows].tolist())) < len(set(encounters.outcomes.tolist())):
            raise InputError(
                f"site {encounters.site}: a sample of {size:,} encounters has only one outcome, as "
                f"{encounters.positives:,} of {len(order):,} are positive",
                remedy="give larger samples",
            )
        samples[size] = rows
    return samples


def _sample_order(encounters: Encounters, seed: int) -> np.ndarray:
    """Order encounters so that every beginning holds patients with and without the outcome in their shares.

    Patients of either kind are shuffled; the n-th of a kind stands at `n - 1/2` of its number, so that both kinds run
    out together.
    """
    patients = _numbers(encounters.patient_ids)
    keys = np.full(patients.max(initial=-1) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(keys, patients, _keys(encounters.patient_ids))
    positive = np.zeros(len(keys), dtype=bool)
    np.logical_or.at(positive, patients, encounters.outcomes > 0)
    place = np.empty(len(keys))
    for kind in (False, True):
        members = np.flatnonzero(positive == kind)
        members = members[np.argsort(keys[members], kind="stable")]
        members = np.random.default_rng([seed, int(kind)]).permutation(members)
        place[members] = (np.arange(len(members)) + 0.5) / max(1, len(members))
    # Ties, of a patient's encounters or of two patients, by the encounter's hash.
    return np.lexsort([_keys(encounters.encounter_ids), patients, place[patients]])


def _numbers(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _keys(values: np.ndarray) -> np.ndarray:
    import xxhash

    return np.fromiter((xxhash.xxh3_64_intdigest(value.encode()) for value in values.tolist()), np.uint64, len(values))

"""Train, validation and test split by whole units: patients joined with their near-duplicates."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from corpora.deduplication import connected, mix_bits
from corpora.errors import InputError

SPLITS = ("train", "validation", "test")
TOLERANCE = 0.02
"""Distance between the share asked for and the share reached that is worth a warning."""


@dataclass
class SplitOptions:
    """How documents are divided; training takes what the two shares leave."""

    _argument_group_name = "Splits"

    validation_share: float = field(default=0.1, metadata={"help": "share of the documents for validation"})
    test_share: float = field(default=0.1, metadata={"help": "share of the documents for the test"})
    seed: int = field(default=0, metadata={"help": "seed of the split and of the sample"})
    sample_share: float = field(
        default=1.0,
        metadata={"help": "share of the patients and groups of near-duplicates to keep, for a first try on few notes"},
    )

    def __post_init__(self) -> None:
        if not 0 < self.sample_share <= 1:
            raise InputError(
                f"--sample_share {self.sample_share} is out of range", remedy="give a share above 0, at most 1"
            )
        for name in ("validation_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"--{name} {getattr(self, name)} is out of range", remedy="give a share in [0, 1)")
        if self.validation_share + self.test_share >= 1:
            raise InputError(
                "--validation_share and --test_share leave nothing for training", remedy="give less than 1 in all"
            )

    def as_dict(self) -> dict[str, float]:
        """Return the options for a report; a job without a sample keeps its fingerprint."""
        return {name: value for name, value in asdict(self).items() if name != "sample_share" or value < 1}

    @property
    def shares(self) -> NDArray[np.float64]:
        """Shares of train, validation and test, `(3,)`."""
        return np.array([1 - self.validation_share - self.test_share, self.validation_share, self.test_share])


def join_units(groups: NDArray[np.int64], patients: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return the unit `(documents,)` of each document: what no split may divide.

    A unit is a connected component of documents that share a patient or a duplicate group.

    Args:
        groups: Duplicate group of each document, from 0.
        patients: Patient of each document, from 0, or None where patients are not known.
    """
    if patients is None:
        return connected(len(groups), [(np.arange(len(groups)), _first_index(groups))])
    documents = np.arange(len(groups))
    return connected(len(groups), [(documents, _first_index(groups)), (documents, _first_index(patients))])


def _first_index(values: NDArray[np.int64]) -> NDArray[np.int64]:
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def sample_units(units: NDArray[np.int64], keys: NDArray[np.uint64], options: SplitOptions) -> NDArray[np.bool_]:
    """Draw whole units with the probability `sample_share`; return which documents `(documents,)` are in the sample.

    Units are drawn from their documents' hashes and the seed, so that a larger share holds the smaller one's documents.

    Args:
        units: Unit of each document, from `join_units`.
        keys: `(documents,)` hashes of the documents.
        options: Share and seed.
    """
    draws = _draws(units, int(units.max()) + 1, keys, f"{options.seed} sample")
    return (draws / 2.0**64 < options.sample_share)[units]


def split_units(
    units: NDArray[np.int64], categories: NDArray[np.int64], keys: NDArray[np.uint64], options: SplitOptions
) -> NDArray[np.int8]:
    """Assign every document to a split, whole units at a time; 0 is train, 1 validation, 2 test.

    Greedy and stratified, after iterative stratification (Sechidis, Tsoumakas and Vlahavas, 2011): large units first,
    in random order among those of like size, each goes to the split that lacks most of the unit's categories, relative
    to what the split should get, rare categories weighing most. A unit goes to validation or test only where it fits;
    training takes any.

    Args:
        units: Unit of each document, from `join_units`.
        categories: Category of each document, from 0.
        keys: `(documents,)` hashes of the documents. The order of units is drawn from them and the seed, so that it
            does not depend on the order of rows.
        options: Shares and seed.

    Returns:
        `(documents,)` index into `SPLITS`.
    """
    documents = len(units)
    if not documents:
        return np.empty(0, np.int8)
    n_units, n_categories = int(units.max()) + 1, int(categories.max()) + 1
    sizes = np.bincount(units, minlength=n_units)
    draws = _draws(units, n_units, keys, options.seed)
    # Sizes within a factor of two count as alike: random order then keeps splits from taking turns by size.
    order = np.lexsort((draws, -np.log2(sizes).astype(np.int64)))
    cells, counts = np.unique(units * n_categories + categories, return_counts=True)
    starts = np.searchsorted(cells, np.arange(n_units + 1) * n_categories)
    totals = np.bincount(categories, minlength=n_categories)
    shares = options.shares
    cell_categories, cell_counts = (cells % n_categories).tolist(), counts.tolist()
    starts, sizes_list, uniform = starts.tolist(), sizes.tolist(), (draws / 2.0**64).tolist()
    open_splits = [split for split in range(len(SPLITS)) if shares[split] > 0]
    lacking = [[1.0] * n_categories for _ in SPLITS]
    room = [share * documents for share in shares]
    quota = [[max(share * total, 1e-9) for total in totals.tolist()] for share in shares]
    weights = [1 / max(total, 1) for total in totals.tolist()]
    cumulative = np.cumsum(shares).tolist()
    assigned = np.zeros(n_units, np.int8)
    for unit in order.tolist():
        inside = range(starts[unit], starts[unit + 1])
        drawn = next(split for split in open_splits if uniform[unit] < cumulative[split] or split == open_splits[-1])
        best, best_score = 0, -np.inf
        for split in open_splits:
            if split and room[split] < sizes_list[unit] - 0.5:
                continue
            score = sum(
                cell_counts[i] * weights[cell_categories[i]] * lacking[split][cell_categories[i]] for i in inside
            )
            if score > best_score + 1e-12 or (split == drawn and score > best_score - 1e-12):
                best, best_score = split, score
        assigned[unit] = best
        room[best] -= sizes_list[unit]
        for i in inside:
            category = cell_categories[i]
            lacking[best][category] -= cell_counts[i] / quota[best][category]
    return assigned[units]


def _draws(units: NDArray[np.int64], n_units: int, keys: NDArray[np.uint64], seed: int | str) -> NDArray[np.uint64]:
    """Draw a number for each unit from the seed and the least of its documents' hashes."""
    least = np.full(n_units, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, units, keys)
    salt = hashlib.blake2b(str(seed).encode(), digest_size=8).digest()
    return mix_bits(least ^ np.frombuffer(salt, np.uint64)[0])


def share_warnings(splits: NDArray[np.int8], units: NDArray[np.int64], options: SplitOptions) -> list[str]:
    """Say which splits got nothing, where the shares reached lie far from those asked for, and the largest unit."""
    documents = max(len(splits), 1)
    reached = np.bincount(splits, minlength=len(SPLITS)) / documents
    missed = [
        f"{name} holds {got:.1%} of the documents instead of {asked:.1%}"
        for name, got, asked in zip(SPLITS, reached, options.shares, strict=True)
        if abs(got - asked) > TOLERANCE or (asked > 0) != (got > 0)
    ]
    if not missed:
        return []
    largest = int(np.bincount(units).max()) if len(units) else 0
    cause = f"the largest group of patients and near-duplicates that belong together has {largest:,} documents"
    empty = " and ".join(
        name for name, got, asked in zip(SPLITS, reached, options.shares, strict=True) if asked and not got
    )
    nothing = [f"{empty} got no documents; prepare more patients, or give a larger share"]
    return [*(nothing if empty else []), "; ".join([*missed, cause])]

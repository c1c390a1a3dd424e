"""A part of the training documents kept aside, whole patients and groups of near-duplicates at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xxhash

from corpora.errors import InputError
from corpora.splitting import SplitOptions, join_units, split_units

if TYPE_CHECKING:
    from datasets import Dataset


def hold_out(documents: Dataset, share: float, seed: int, stratify_by: str | None = None) -> tuple[Dataset, Dataset]:
    """Divide documents into those that stay and those kept aside.

    Neither a patient (`patient_id`) nor a group of near-duplicates (`dup_group`) is divided, where the corpus has them.

    Args:
        documents: The training documents.
        share: Share to keep aside.
        seed: Of the division.
        stratify_by: Column whose values shall be alike in both, as far as whole units allow.

    Raises:
        InputError: One of the two parts would be empty.
    """
    names = documents.column_names
    count = len(documents)
    groups = _numbers(documents["dup_group"][:]) if "dup_group" in names else np.arange(count)
    patients = _numbers(documents["patient_id"][:]) if "patient_id" in names else None
    categories = _numbers(documents[stratify_by][:]) if stratify_by else np.zeros(count, dtype=np.int64)
    keys = np.fromiter(
        (xxhash.xxh3_64_intdigest(name.encode()) for name in documents["document_id"][:]), np.uint64, count
    )
    options = SplitOptions(validation_share=share, test_share=0.0, seed=seed)
    assigned = split_units(join_units(groups, patients), categories, keys, options)
    if not 0 < assigned.sum() < count:
        raise InputError(
            f"a share of {share} of {count:,} training documents cannot be kept for validation",
            remedy="give a corpus with a validation split",
        )
    return documents.select(np.flatnonzero(assigned == 0)), documents.select(np.flatnonzero(assigned == 1))


def _numbers(values: list) -> np.ndarray:
    """Number the values from 0; missing ones and lists by their text, each missing value a number of its own."""
    texts = [f"\0{number}" if value is None else str(value) for number, value in enumerate(values)]
    return np.unique(np.asarray(texts, dtype=np.str_), return_inverse=True)[1].astype(np.int64)

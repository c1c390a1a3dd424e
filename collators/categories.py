"""Document metadata as tensors beside the tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from collators.tokenized import stable_key
from corpora.category_columns import NO_CATEGORY, CategoryColumn


def category_targets(
    features: Sequence[Mapping[str, Any]], columns: Sequence[CategoryColumn]
) -> dict[str, torch.Tensor]:
    """Return the categories of documents, column by column.

    Args:
        features: Documents with a value or None under the name of each column.
        columns: The metadata columns.

    Returns:
        For a column of one category a document `(documents,)` int64, -100 where there is none; for a multi-label
        column `(documents, categories)` float32 of 0 and 1, a row of NaN where there is none.
    """
    return {
        column.name: torch.from_numpy(np.asarray([column.encode(feature.get(column.name)) for feature in features]))
        for column in columns
    }


def category_keys(features: Sequence[Mapping[str, Any]], column: CategoryColumn) -> torch.Tensor:
    """Return `(documents,)` int64 keys, equal where two documents have the same known categories.

    A document without a category equals only itself, which takes its `document_key`. Of a column of lists the whole set
    counts; documents of which no category holds are equal.
    """
    keys = []
    for feature in features:
        code = column.encode(feature.get(column.name))
        missing = code == NO_CATEGORY if np.isscalar(code) else np.isnan(code).any()
        name = " ".join(map(str, np.atleast_1d(code)))
        keys.append(feature["document_key"] if missing else stable_key(f"category {name}"))
    return torch.tensor(keys, dtype=torch.int64)

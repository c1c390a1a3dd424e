"""Rows of token ids to padded tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def pad_rows(
    rows: Sequence[np.ndarray], fill: int, pad_to_multiple_of: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows on the right to the longest.

    Args:
        rows: Integer arrays, one a row.
        fill: Value of the padding.
        pad_to_multiple_of: Round the length up to a multiple of this (8 suits tensor cores).

    Returns:
        The padded rows and the attention mask, both `(rows, length)` int64.
    """
    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    longest = int(lengths.max())
    if pad_to_multiple_of:
        longest = -(-longest // pad_to_multiple_of) * pad_to_multiple_of
    mask = np.arange(longest) < lengths[:, None]
    padded = np.full(mask.shape, fill, dtype=np.int64)
    padded[mask] = np.concatenate(rows)
    return torch.from_numpy(padded), torch.from_numpy(mask.astype(np.int64))

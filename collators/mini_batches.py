"""Mini-batches of rows of like length, cut from a padded batch: less padding, and a bound on memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

ROW_TENSORS = ("input_ids", "attention_mask", "labels")


@dataclass(frozen=True)
class MiniBatch:
    """Some rows of a batch.

    Args:
        rows: `(rows of the mini-batch,)` their places in the batch.
        batch: Their `input_ids`, `attention_mask` and `labels`, `(rows of the mini-batch, length of the longest)`.
    """

    rows: torch.Tensor
    batch: dict[str, torch.Tensor]


def rows_by_length(lengths: Sequence[int], token_budget: int) -> list[list[int]]:
    """Sort rows by length, the longest first, and cut the order into mini-batches.

    Args:
        lengths: Tokens of each row.
        token_budget: Most tokens of a mini-batch, its padding counted; a longer row makes a mini-batch of its own.

    Returns:
        The rows of each mini-batch; every row is in one. The longest come first, so that a budget that does not fit
        into memory shows at once.
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if batches and (len(batches[-1]) + 1) * lengths[batches[-1][0]] <= token_budget:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def split_by_length(
    batch: Mapping[str, torch.Tensor], token_budget: int, pad_to_multiple_of: int | None = None
) -> list[MiniBatch]:
    """Cut a batch whose rows are padded on the right into mini-batches of rows of like length.

    Args:
        batch: `input_ids`, `attention_mask` and `labels`, `(rows, length)`; other entries are left out.
        token_budget: As in `rows_by_length`.
        pad_to_multiple_of: The multiple that the length of the batch was rounded up to.
    """
    multiple = pad_to_multiple_of or 1
    lengths = [-(-length // multiple) * multiple for length in batch["attention_mask"].sum(1).tolist()]
    mini_batches = []
    for chosen in rows_by_length(lengths, token_budget):
        rows = torch.tensor(chosen, device=batch["input_ids"].device)
        mini_batches.append(MiniBatch(rows, {name: batch[name][rows, : lengths[chosen[0]]] for name in ROW_TENSORS}))
    return mini_batches

"""Mini-batches cut from a padded batch: rows of like length for less padding, or even shares; and a bound on memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from collators.masking import IGNORE_INDEX

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
    batch: Mapping[str, torch.Tensor],
    token_budget: int,
    pad_to_multiple_of: int | None = None,
    count: int | None = None,
) -> list[MiniBatch]:
    """Cut a batch whose rows are padded on the right into mini-batches of rows of like length.

    Args:
        batch: `input_ids`, `attention_mask` and `labels`, `(rows, length)`; other entries are left out.
        token_budget: As in `rows_by_length`.
        pad_to_multiple_of: The multiple that the length of the batch was rounded up to.
        count: How many mini-batches (`dealt_to`); as the budget has it when not given.
    """
    multiple = pad_to_multiple_of or 1
    lengths = [-(-length // multiple) * multiple for length in batch["attention_mask"].sum(1).tolist()]
    rows = dealt_to(count, rows_by_length(lengths, token_budget), lengths)
    return [_mini_batch(batch, chosen, lengths[chosen[0]]) for chosen in rows]


def even_rows(lengths: Sequence[int], weights: Sequence[int], token_budget: int) -> list[list[int]]:
    """Deal rows to as few mini-batches as their tokens fill, each with about its share of the weight.

    Rows with a weight go to the mini-batch that has the least of it, the heaviest first; the others then to the one
    with the fewest tokens, the longest first.

    Args:
        lengths: Tokens of each row.
        weights: What else a row costs; here the labels, each of which has logits for the whole vocabulary.
        token_budget: Most tokens of a mini-batch; a longer row makes a mini-batch of its own.

    Returns:
        The rows of each mini-batch, the longest first; every row is in one.
    """
    sizes, costs = np.asarray(lengths, dtype=np.int64), np.asarray(weights, dtype=np.int64)
    batches: list[list[int]] = [[] for _ in range(-(-int(sizes.sum()) // token_budget))]
    tokens, weight = np.zeros(len(batches), dtype=np.int64), np.zeros(len(batches), dtype=np.int64)
    heavy, light = np.flatnonzero(costs), np.flatnonzero(costs == 0)
    order = [*heavy[np.argsort(-costs[heavy], kind="stable")], *light[np.argsort(-sizes[light], kind="stable")]]
    for row in order:
        fits = (tokens == 0) | (tokens + sizes[row] <= token_budget)
        if not fits.any():
            batches.append([])
            tokens, weight, fits = np.append(tokens, 0), np.append(weight, 0), np.append(fits, True)
        load = weight if costs[row] else tokens
        number = int(np.where(fits, load, np.iinfo(np.int64).max).argmin())
        batches[number].append(int(row))
        tokens[number] += sizes[row]
        weight[number] += costs[row]
    return [sorted(batch, key=lambda row: (-lengths[row], row)) for batch in batches if batch]


def dealt_to(count: int | None, batches: Sequence[Sequence[int]], lengths: Sequence[int]) -> list[list[int]]:
    """Halve the largest mini-batches, or join the smallest, until there are so many.

    Args:
        count: How many, at most as many as there are rows; None leaves them as they are.
        batches: The rows of each mini-batch.
        lengths: Tokens of each row.

    Returns:
        The rows of each mini-batch, the longest first.
    """
    found = [list(batch) for batch in batches]
    if count is None:
        return found

    def tokens(batch: list[int]) -> int:
        return sum(lengths[row] for row in batch)

    while len(found) < count:
        largest = max((batch for batch in found if len(batch) > 1), key=tokens)
        place = found.index(largest)
        found[place : place + 1] = [largest[0::2], largest[1::2]]
    while len(found) > count:
        smallest, second = sorted(found, key=tokens)[:2]
        found.remove(smallest)
        found[found.index(second)] = sorted(second + smallest, key=lambda row: (-lengths[row], row))
    return found


def split_evenly(batch: Mapping[str, torch.Tensor], token_budget: int, count: int | None = None) -> list[MiniBatch]:
    """Cut a batch into mini-batches with about equally many tokens and labels, for a model that reads no padding.

    So the memory of a mini-batch is that of any other. Sorted by length, the longest would all be anchors, which alone
    have labels, and hold twice the logits of the mean.

    Args:
        batch: As in `split_by_length`.
        token_budget: Most real tokens of a mini-batch.
        count: How many mini-batches (`dealt_to`); as the budget has it when not given.
    """
    lengths = batch["attention_mask"].sum(1).tolist()
    labels = (batch["labels"] != IGNORE_INDEX).sum(1).tolist()
    rows = dealt_to(count, even_rows(lengths, labels, token_budget), lengths)
    return [_mini_batch(batch, chosen, lengths[chosen[0]]) for chosen in rows]


def _mini_batch(batch: Mapping[str, torch.Tensor], chosen: Sequence[int], length: int) -> MiniBatch:
    rows = torch.tensor(chosen, device=batch["input_ids"].device)
    return MiniBatch(rows, {name: batch[name][rows, :length] for name in ROW_TENSORS})

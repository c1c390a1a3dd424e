"""Mini-batches by length: every row once, within the budget, with nothing but padding cut away."""

import numpy as np
import pytest
import torch

from collators.mini_batches import dealt_to, even_rows, rows_by_length, split_by_length, split_evenly


def test_a_literal_case():
    # Longest first: 9 alone fills 10; 4 + 4 are 8 tokens; 3 + 2 + 2 are padded to 9, and 1 would make it 12.
    assert rows_by_length([4, 9, 2, 4, 3, 1, 2], 10) == [[1], [0, 3], [4, 2, 6], [5]]
    assert rows_by_length([4, 9], 3) == [[1], [0]]
    assert rows_by_length([], 3) == []


@pytest.mark.parametrize("multiple", [None, 8])
def test_rows_keep_their_tokens(multiple):
    random = np.random.default_rng(0)
    lengths = torch.from_numpy(random.integers(1, 33, 50))
    mask = (torch.arange(40) < lengths[:, None]).long()
    ids = torch.from_numpy(random.integers(5, 99, (50, 40))) * mask
    batch = {"input_ids": ids, "attention_mask": mask, "labels": ids + 1000, "anchor_rows": torch.arange(9)}
    parts = split_by_length(batch, 128, multiple)
    assert sorted(torch.cat([part.rows for part in parts]).tolist()) == list(range(50))
    assert len(parts) < 20
    for part in parts:
        count, width = part.batch["input_ids"].shape
        longest = int(lengths[part.rows].max())
        assert count * width <= 128 and width == (longest if multiple is None else -(-longest // 8) * 8)
        assert set(part.batch) == {"input_ids", "attention_mask", "labels"}
        for name, values in part.batch.items():
            assert torch.equal(values, batch[name][part.rows, :width])
            assert batch["attention_mask"][part.rows, width:].sum() == 0
    # Less padding than one padded batch.
    assert sum(part.batch["input_ids"].numel() for part in parts) < 0.8 * 50 * int(lengths.max())


def test_a_literal_case_of_even_shares():
    # 20 tokens fill two mini-batches of 10. By labels: 4 | 3 and 2. Then by tokens: 6 to the second, the rest to the
    # first.
    assert even_rows([5, 2, 2, 6, 4, 1], [4, 3, 2, 0, 0, 0], 10) == [[0, 4, 5], [3, 1, 2]]
    # The second row fits nowhere, and makes a mini-batch of its own.
    assert even_rows([9, 9], [0, 0], 17) == [[0], [1]]
    assert even_rows([4, 9], [1, 1], 3) == [[0], [1]]
    assert even_rows([], [], 3) == []


def test_even_shares_of_anchors_and_positives():
    """Long rows with labels and short ones without: each mini-batch holds about as many of both."""
    random = np.random.default_rng(0)
    lengths = np.concatenate((random.integers(90, 129, 64), random.integers(30, 90, 64)))
    mask = (np.arange(128) < lengths[:, None]).astype(np.int64)
    labels = np.where((random.random(mask.shape) < 0.15) & (mask == 1) & (np.arange(128)[:, None] < 64), 7, -100)
    batch = {"input_ids": mask * 5, "attention_mask": mask, "labels": labels}
    batch = {name: torch.from_numpy(values) for name, values in batch.items()}
    even, sorted_by_length = split_evenly(batch, 1024), split_by_length(batch, 1024)
    assert sorted(torch.cat([part.rows for part in even]).tolist()) == list(range(128))
    tokens = [int(part.batch["attention_mask"].sum()) for part in even]
    counts = [int((part.batch["labels"] != -100).sum()) for part in even]
    assert max(tokens) <= 1024 and len(even) <= -(-sum(tokens) // 1024) + 1
    most = max(int((part.batch["labels"] != -100).sum()) for part in sorted_by_length)
    assert max(counts) < 1.2 * sum(counts) / len(counts) < 0.75 * most
    for part in even:
        for name, values in part.batch.items():
            assert torch.equal(values, batch[name][part.rows, : values.shape[1]])


def test_so_many_mini_batches_as_others_have():
    lengths = [4, 9, 2, 4, 3, 1, 2]
    by_length = [[1], [0, 3], [4, 2, 6], [5]]
    assert dealt_to(None, by_length, lengths) == by_length
    # 0 and 3 hold most tokens of those with two rows.
    assert dealt_to(5, by_length, lengths) == [[1], [0], [3], [4, 2, 6], [5]]
    # 5 (one token) joins 4, 2 and 6 (seven tokens), for 0 and 3 hold eight.
    assert dealt_to(3, by_length, lengths) == [[1], [0, 3], [4, 2, 6, 5]]
    assert dealt_to(1, by_length, lengths) == [[1, 0, 3, 4, 2, 6, 5]]
    assert dealt_to(7, by_length, lengths) == [[1], [0], [3], [4], [6], [2], [5]]


@pytest.mark.parametrize("split", [split_by_length, split_evenly])
@pytest.mark.parametrize("count", [1, 4, 20])
def test_rows_of_a_given_number_of_mini_batches_keep_their_tokens(split, count):
    lengths = torch.from_numpy(np.random.default_rng(1).integers(1, 33, 20))
    mask = (torch.arange(40) < lengths[:, None]).long()
    ids = torch.arange(800).view(20, 40) * mask
    parts = split({"input_ids": ids, "attention_mask": mask, "labels": ids - 100}, 100, count=count)
    assert len(parts) == count
    assert sorted(torch.cat([part.rows for part in parts]).tolist()) == list(range(20))
    for part in parts:
        width = part.batch["input_ids"].shape[1]
        assert width == int(lengths[part.rows].max())
        assert torch.equal(part.batch["input_ids"], ids[part.rows, :width])

"""Mini-batches by length: every row once, within the budget, with nothing but padding cut away."""

import numpy as np
import pytest
import torch

from collators.mini_batches import rows_by_length, split_by_length


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

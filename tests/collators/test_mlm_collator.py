"""Masked-LM batches."""

import torch

from collators import MaskingOptions, MlmCollator
from collators.masking import IGNORE_INDEX


def test_rows_are_masked_by_their_own_randomness_and_padded(bert_tokenizer):
    rows = [
        {
            "input_ids": bert_tokenizer(" ".join(["patient was well"] * count))["input_ids"],
            "document_id": str(count),
            "epoch": 0,
        }
        for count in (3, 9, 1)
    ]
    collator = MlmCollator(bert_tokenizer, MaskingOptions(probability=0.5), seed=1)
    batch = collator(rows)
    alone = [collator([row]) for row in rows]
    for position, (row, single) in enumerate(zip(rows, alone, strict=True)):
        length = len(row["input_ids"])
        restored = torch.where(batch["labels"] != IGNORE_INDEX, batch["labels"], batch["input_ids"])[position]
        assert restored[:length].tolist() == row["input_ids"]
        assert (restored[length:] == bert_tokenizer.pad_token_id).all()
        assert batch["attention_mask"][position].sum() == length
        # The mask of a row does not depend on its neighbours.
        assert torch.equal(batch["input_ids"][position, :length], single["input_ids"][0])
    assert (batch["labels"] != IGNORE_INDEX).any()


def test_each_epoch_masks_anew(bert_tokenizer):
    row = {"input_ids": bert_tokenizer("patient was well " * 20)["input_ids"], "document_id": "x"}
    collator = MlmCollator(bert_tokenizer)
    first, second = (collator([{**row, "epoch": epoch}])["labels"] for epoch in (0, 1))
    assert not torch.equal(first, second)

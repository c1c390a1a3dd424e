"""Losses and ranks of hidden tokens equal a plain loop, one row at a time, with every architecture."""

import numpy as np
import pytest
import torch

from collators.randomness import document_generator
from collators.special_tokens import token_ids
from corpora.errors import InputError
from modeling.masked_scores import MaskedRow, MaskedScorer, check_same_tokenizer


def plain(model, scorer, row):
    """Hide, run the whole model and read off the logits."""
    ids = row.ids.copy()
    ids[row.positions] = scorer.mask_id
    if row.also_hidden is not None:
        ids[row.also_hidden] = scorer.mask_id
    inputs = torch.tensor([[*scorer.prefix, *ids, *scorer.suffix]])
    with torch.no_grad():
        logits = model(input_ids=inputs).logits[0].double()
    losses, ranks = [], []
    for position in row.positions:
        at = logits[len(scorer.prefix) + position]
        losses.append(-torch.log_softmax(at, 0)[row.ids[position]].item())
        ranks.append(int((at > at[row.ids[position]]).sum()))
    return losses, ranks


def test_scores_equal_a_plain_loop(make_model, family, notes):
    model, tokenizer = make_model(family)
    other = make_model(family)[0]
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    scorer = MaskedScorer([model, other], tokenizer, batch_size=3, device="cpu")
    random = np.random.default_rng(0)
    rows = []
    for ids in token_ids(tokenizer, notes["text"][:6]):
        ids = np.array(ids[: int(random.integers(5, scorer.room))])
        positions = random.choice(len(ids), 3, replace=False)  # not in order
        free = np.setdiff1d(np.arange(len(ids)), positions)
        rows.append(MaskedRow(ids, positions, free[:1] if len(rows) % 2 else None))
    for row, (losses, ranks) in zip(rows, scorer.scores(rows), strict=True):
        for number, each in enumerate((model, other)):
            expected_losses, expected_ranks = plain(each, scorer, row)
            assert losses[number] == pytest.approx(expected_losses, abs=1e-4)
            assert ranks[number].tolist() == expected_ranks
    assert not np.allclose(losses[0], losses[1])


def test_document_losses_hide_each_token_once_and_equal_a_plain_loop(make_model, notes):
    model, tokenizer = make_model("bert")
    scorer = MaskedScorer([model], tokenizer, device="cpu", max_length=24)
    documents = list(zip(notes["document_id"][:3], notes["text"][:3], strict=True))
    found = [values[0] for values in scorer.document_losses(documents, folds=5, max_windows=2, seed=7)]
    for (name, text), value in zip(documents, found, strict=True):
        ids = np.array(token_ids(tokenizer, [text])[0])
        generator = document_generator(7, 0, name)
        losses, hidden = [], []
        for start in (0, scorer.room):
            window = ids[start : start + scorer.room]
            order = generator.permutation(len(window))
            for fold in range(5):
                row = MaskedRow(window, order[fold::5])
                losses += plain(model, scorer, row)[0]
                hidden += (start + row.positions).tolist()
        assert sorted(hidden) == list(range(2 * scorer.room))
        assert value == pytest.approx(np.mean(losses), abs=1e-5)


def test_masks_depend_on_the_seed_and_the_id_alone(make_model, notes):
    model, tokenizer = make_model("roberta")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(8)  # untrained weights say the same of every token
    documents = list(zip(notes["document_id"][:6], notes["text"][:6], strict=True))

    def losses(items, seed=0, batch_size=32):
        scorer = MaskedScorer([model], tokenizer, batch_size=batch_size, device="cpu")
        return np.concatenate(list(scorer.document_losses(items, seed=seed)))

    first = losses(documents)
    assert np.array_equal(first, losses(documents))
    assert losses(documents[::-1])[::-1] == pytest.approx(first, abs=1e-5)
    assert losses(documents, batch_size=1) == pytest.approx(first, abs=1e-5)
    assert np.abs(losses(documents, seed=1) - first).min() > 1e-4
    assert np.isnan(losses([("empty", "")])[0])


def test_faults(make_model, bert_tokenizer, roberta_tokenizer):
    model, tokenizer = make_model("bert")
    with pytest.raises(InputError, match="window"):
        MaskedScorer([model], tokenizer, max_length=1_000)
    check_same_tokenizer(bert_tokenizer, bert_tokenizer, "base")
    with pytest.raises(InputError, match="another tokenizer"):
        check_same_tokenizer(bert_tokenizer, roberta_tokenizer, "base")

"""Dropout on a processor: the right share falls, alike for value and gradient, and seeds decide which."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from modeling import processor_dropout
from modeling.processor_dropout import LEVELS, ProcessorDropout, draw, drop_quickly, dropout
from modeling.unpadded_attention import Sequences, unpadded_attention


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.93])
def test_the_share_that_falls_is_the_probability_and_the_mean_stays(probability):
    torch.manual_seed(0)
    values = dropout(torch.ones(1000, 401), probability)
    fell = values.eq(0).double()
    # Six standard deviations, for the whole and for each column.
    deviation = (probability * (1 - probability) / values.numel()) ** 0.5
    assert abs(fell.mean() - probability) < 6 * deviation
    assert ((fell.mean(0) - probability).abs() < 6 * deviation * 401**0.5).all()
    stayed = values[values != 0]
    assert (stayed == stayed[0]).all() and abs(stayed[0] * (1 - round(probability * LEVELS) / LEVELS) - 1) < 1e-6
    # Neighbours, which come from one draw of 64 bits, fall independently of each other.
    flat = fell.flatten()
    for distance in (1, 2, 3, 4):
        both = (flat[:-distance] * flat[distance:]).mean()
        assert abs(both - probability**2) < 6 * (probability**2 / len(flat)) ** 0.5


def test_every_level_is_as_likely_as_another():
    torch.manual_seed(1)
    counts = torch.stack([draw(400_000, levels).sum() for levels in (1, LEVELS // 4, LEVELS // 2, LEVELS - 1)])
    shares = 1 - torch.tensor([1, LEVELS // 4, LEVELS // 2, LEVELS - 1]) / LEVELS
    deviations = (shares * (1 - shares) * 400_000).sqrt()
    assert ((counts - shares * 400_000).abs() < 6 * deviations).all()
    assert [len(draw(count, 100)) for count in (0, 1, 3, 4, 5)] == [0, 1, 3, 4, 5]


def test_the_gradient_falls_where_the_value_fell():
    torch.manual_seed(2)
    values = torch.randn(7, 31, dtype=torch.float64, requires_grad=True)
    output = dropout(values, 0.25)
    weights = torch.randn_like(output)
    (gradient,) = torch.autograd.grad(output, values, weights)
    stays = output != 0
    assert 0.5 < stays.double().mean() < 0.95
    torch.testing.assert_close(output, values * stays * (4 / 3), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient, weights * stays * (4 / 3), rtol=1e-12, atol=0)


def test_seeds_decide_and_checkpointing_draws_the_same_again():
    layer = nn.Sequential(nn.Linear(8, 8), ProcessorDropout(0.5))
    rows = torch.randn(5, 8, requires_grad=True)
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(torch.autograd.grad(layer(rows).square().sum(), rows)[0])
    torch.manual_seed(3)
    found.append(torch.autograd.grad(checkpoint(layer, rows, use_reentrant=False).square().sum(), rows)[0])
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all() and found[0].abs().sum() > 0
    assert not (layer(rows) == layer(rows)).all()
    layer.eval()
    assert (layer(rows) == layer[0](rows)).all()


@pytest.mark.parametrize("probability", [0.0, 1e-7, 1.0])
def test_probabilities_without_a_level_are_left_to_torch(probability, monkeypatch):
    monkeypatch.setattr(processor_dropout, "draw", None)
    rows = torch.randn(3, 4)
    torch.testing.assert_close(dropout(rows, probability), rows if probability < 1 else torch.zeros(3, 4))


def test_models_change_their_modules_and_nothing_else():
    class Own(nn.Dropout):
        pass

    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3), nn.ModuleDict({"own": Own(0.1)}), nn.Dropout(0.2, True))
    names, weights = [name for name, _ in model.named_modules()], model.state_dict()
    assert drop_quickly(model) == 1 and drop_quickly(model) == 0
    assert type(model[1]) is ProcessorDropout and model[1].p == 0.3
    assert type(model[2]["own"]) is Own and type(model[3]) is nn.Dropout
    assert [name for name, _ in model.named_modules()] == names and model.state_dict().keys() == weights.keys()


@pytest.mark.parametrize("scaling", [None, 0.3])
def test_attention_weights_are_dropped_after_the_softmax(scaling, monkeypatch):
    torch.manual_seed(4)
    lengths, heads, size = (5, 3, 3), 2, 4
    offsets = torch.tensor([0, 5, 8, 11])
    query, key, value = (torch.randn(1, heads, 11, size, dtype=torch.float64, requires_grad=True) for _ in range(3))
    masks = []

    def remembered(count, levels):
        masks.append(torch.rand(count) > levels / LEVELS)
        return masks[-1]

    monkeypatch.setattr(processor_dropout, "draw", remembered)
    output, _ = unpadded_attention(
        None, query, key, value, None, 0.25, scaling, Sequences(lengths, offsets), is_causal=False
    )
    # Rows of equal length are read in one call.
    stays = [masks[0].view(1, heads, 5, 5), *masks[1].view(2, heads, 3, 3).split(1)]
    expected = []
    for row, start in enumerate(offsets[:-1].tolist()):
        part = [one[0, :, start : start + lengths[row]] for one in (query, key, value)]
        scores = part[0] @ part[1].mT * (size**-0.5 if scaling is None else scaling)
        expected.append((F.softmax(scores, -1) * stays[row][0] / 0.75) @ part[2])
    expected = torch.cat(expected, dim=1).transpose(0, 1).unsqueeze(0)
    torch.testing.assert_close(output, expected)
    weights = torch.randn_like(output)
    inputs = (query, key, value)
    for one, other in zip(
        torch.autograd.grad(output, inputs, weights), torch.autograd.grad(expected, inputs, weights), strict=True
    ):
        torch.testing.assert_close(one, other)

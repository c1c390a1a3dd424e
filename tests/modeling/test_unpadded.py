"""Rows laid end to end give what padded rows give, and see nothing of each other."""

import json

import pytest
import torch
from transformers import AutoModelForMaskedLM, BertConfig, BertForMaskedLM

from modeling import unpadded_attention
from modeling.from_scratch import EncoderSize, scratch_config, untrained_model
from modeling.masked_positions import forward_masked_positions
from modeling.unpadded import KNOWN_ENCODERS, is_unpadded, run_unpadded, unpadded_inputs, why_padded

LENGTHS = (20, 7, 7, 13, 1)
MASK = (torch.arange(20) < torch.tensor(LENGTHS)[:, None]).long()


@pytest.fixture
def spread_model(bert_tokenizer):
    """Make an encoder whose attention is far from even, in float64."""

    def make(family, dropout=0.0):
        torch.manual_seed(0)
        model = untrained_model(scratch_config(family, EncoderSize(16, 2, 2, 32, 64, dropout), bert_tokenizer))
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.4)
        return model.double()

    return make


@pytest.fixture
def batch(bert_tokenizer):
    """Token ids of five rows, two of equal length, and some positions of the first four."""
    torch.manual_seed(1)
    ids = torch.randint(5, len(bert_tokenizer), MASK.shape).where(MASK.bool(), bert_tokenizer.pad_token_id)
    return ids, (torch.rand(MASK.shape) < 0.3) & MASK.bool()


def loss_and_gradients(model, ids, chosen):
    """A loss of all real hidden states and of the logits, and what it gives each parameter."""
    hidden, logits = forward_masked_positions(model, ids, MASK, chosen)
    hidden = hidden * MASK.unsqueeze(-1)
    parameters = [one for name, one in model.named_parameters() if "pooler" not in name]
    gradients = torch.autograd.grad(hidden.sin().sum() + logits.square().sum(), parameters, materialize_grads=True)
    return hidden, logits, gradients


@pytest.mark.parametrize("kernel", ["each row", "nested"])
@pytest.mark.parametrize("family", KNOWN_ENCODERS)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_unpadded_equals_padded(spread_model, batch, family, kernel, monkeypatch):
    model = spread_model(family).train()
    padded = loss_and_gradients(model, *batch)
    assert run_unpadded(model) and is_unpadded(model)
    if kernel == "nested":
        monkeypatch.setattr(unpadded_attention, "_each_row", unpadded_attention._nested)
    seen = []
    for layer in model.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].shape[1]))
    unpadded = loss_and_gradients(model, *batch)
    assert seen[0] == sum(LENGTHS) and max(seen) == sum(LENGTHS)
    for one, other in zip(padded[:2], unpadded[:2], strict=True):
        assert one.shape == other.shape and one.abs().max() > 0.1
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    assert max(one.abs().max() for one in padded[2]) > 1
    for one, other in zip(padded[2], unpadded[2], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_float32_is_equal_within_rounding(spread_model, batch, family):
    model = spread_model(family).float()
    padded = loss_and_gradients(model, *batch)
    run_unpadded(model)
    unpadded = loss_and_gradients(model, *batch)
    torch.testing.assert_close(padded[0], unpadded[0], rtol=1e-4, atol=1e-5)
    for one, other in zip(padded[2], unpadded[2], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_a_row_sees_no_other(spread_model, batch, family):
    """Bit for bit; and told apart by positions alone, as plain `sdpa` has it, rows do see each other."""
    model = spread_model(family).eval()
    ids, chosen = batch
    changed = ids.clone()
    changed[1, :7] = changed[1, :7].flip(0)
    config = model.config
    run_unpadded(model)
    with torch.inference_mode():
        first, second = (forward_masked_positions(model, one, MASK, chosen)[0] for one in (ids, changed))
        for row in (0, 2, 3, 4):
            assert torch.equal(first[row], second[row])
        assert (first[1] - second[1]).abs().max() > 1e-2
        leaking = []
        for one in (ids, changed):
            inputs = unpadded_inputs(config, one, MASK)
            del inputs["sequences"]
            leaking.append(model(**inputs).logits)
    assert (leaking[0] - leaking[1])[0, :20].abs().max() > 1e-3


def test_padded_batches_are_read_as_before(spread_model, batch):
    model = spread_model("roberta").eval()
    ids, _ = batch
    before = model(input_ids=ids, attention_mask=MASK).logits
    run_unpadded(model)
    assert torch.equal(model(input_ids=ids, attention_mask=MASK).logits, before)


def test_checkpointed_activations_are_computed_again_without_padding(spread_model, batch):
    model = spread_model("bert").train()
    run_unpadded(model)
    plain = loss_and_gradients(model, *batch)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    for one, other in zip(plain[2], loss_and_gradients(model, *batch)[2], strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("kernel", [unpadded_attention._each_row, unpadded_attention._nested])
def test_dropout_of_attention_has_its_share(kernel):
    """All values are one: without dropout so is the result; with it the mean stays, and single results scatter."""
    torch.manual_seed(0)
    ones = torch.ones(1, 4, 96, 8)
    sequences = unpadded_attention.Sequences((32, 64), torch.tensor([0, 32, 96]))
    torch.testing.assert_close(kernel(ones, ones, ones, sequences, 0.0, None), torch.ones(1, 96, 4, 8))
    dropped = kernel(ones, ones, ones, sequences, 0.5, None)[..., 0]
    # Each is the mean of L kept-or-not weights of 2: variance 1/L.
    for part, length in ((dropped[:, :32], 32), (dropped[:, 32:], 64)):
        assert abs(part.mean() - 1) < 5 / (length * part.numel()) ** 0.5
        assert part.var() == pytest.approx(1 / length, rel=0.5)


def test_a_model_with_dropout_repeats_by_its_seed(spread_model, batch):
    model = spread_model("bert", dropout=0.3).train()
    run_unpadded(model)
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(forward_masked_positions(model, batch[0], MASK, batch[1])[0])
    assert torch.equal(results[0], results[1]) and not torch.allclose(results[0], results[2])


def test_other_encoders_are_read_padded(make_model, bert_tokenizer):
    model, _ = make_model("modernbert")
    assert not run_unpadded(model) and not is_unpadded(model)
    assert why_padded(model.config).startswith("encoders of type modernbert are read padded")
    config = scratch_config("bert", EncoderSize(16, 1, 2), bert_tokenizer)
    config._attn_implementation = "eager"
    assert "eager" in why_padded(config)
    assert "decoder" in why_padded(BertConfig(is_decoder=True))
    assert "relative" in why_padded(BertConfig(position_embedding_type="relative_key"))


def test_a_saved_model_knows_nothing_of_it(spread_model, tmp_path):
    model = spread_model("bert")
    run_unpadded(model)
    model.save_pretrained(tmp_path)
    assert "unpadded" not in json.dumps(json.loads((tmp_path / "config.json").read_text()))
    loaded = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert isinstance(loaded, BertForMaskedLM) and loaded.config._attn_implementation == "sdpa"

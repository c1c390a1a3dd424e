"""The sparse masked-LM forward equals the dense one: hidden states, logits and gradients, in every family."""

import pytest
import torch

from modeling.adapters import add_lora, merged
from modeling.head import head_modules, head_parameters
from modeling.masked_positions import forward_masked_positions, inner_model


@pytest.fixture
def batch():
    torch.manual_seed(0)
    input_ids = torch.randint(10, 60, (3, 12))
    attention_mask = torch.ones_like(input_ids)
    attention_mask[1, 8:] = 0
    chosen = (torch.rand(3, 12) < 0.3) & attention_mask.bool()
    return input_ids, attention_mask, chosen


def test_equals_the_dense_forward(make_model, batch, family):
    model, _ = make_model(family)
    input_ids, attention_mask, chosen = batch
    hidden, logits = forward_masked_positions(model, input_ids, attention_mask, chosen)
    (logits.square().sum() + hidden.sum()).backward()
    sparse = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    dense_hidden = model.base_model(input_ids=input_ids, attention_mask=attention_mask)[0]
    dense = model(input_ids=input_ids, attention_mask=attention_mask)["logits"][chosen]
    (dense.square().sum() + dense_hidden.sum()).backward()
    torch.testing.assert_close(hidden, dense_hidden)
    torch.testing.assert_close(logits, dense)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(sparse[name], parameter.grad, rtol=1e-4, atol=1e-5)


def test_the_hook_is_gone_afterwards_even_after_an_error(make_model, batch):
    model, _ = make_model()
    input_ids, attention_mask, chosen = batch
    with pytest.raises(IndexError):
        forward_masked_positions(model, input_ids, attention_mask, chosen[:, :5])
    output = model(input_ids=input_ids, attention_mask=attention_mask)
    assert output["logits"].shape[:2] == input_ids.shape


def test_nothing_chosen_gives_no_logits_and_zero_gradients_for_the_head(make_model, batch):
    model, _ = make_model()
    input_ids, attention_mask, chosen = batch
    hidden, logits = forward_masked_positions(model, input_ids, attention_mask, torch.zeros_like(chosen))
    assert logits.shape == (0, model.config.vocab_size)
    (hidden.sum() + logits.sum()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_head_and_encoder_share_nothing(make_model, family):
    model, _ = make_model(family)
    head = head_parameters(model)
    assert head and not any(name.startswith(model.base_model_prefix + ".") for name in head)
    assert not any("word_embeddings" in name or name.endswith("decoder.weight") for name in head)
    assert head_modules(model)


def test_lora_merges_into_an_equal_plain_model(make_model, batch, family):
    model, _ = make_model(family)
    adapted = add_lora(model, rank=2)
    trained = {name for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert any("lora_" in name for name in trained) and not any("embeddings.weight" in name for name in trained)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if name in trained:
                parameter.add_(0.1 * torch.randn_like(parameter))
    adapted.eval()
    input_ids, attention_mask, chosen = batch
    hidden, logits = forward_masked_positions(adapted, input_ids, attention_mask, chosen)
    plain = merged(adapted).eval()
    assert inner_model(plain) is plain and not any("lora" in name for name, _ in plain.named_parameters())
    plain_hidden, plain_logits = forward_masked_positions(plain, input_ids, attention_mask, chosen)
    torch.testing.assert_close(plain_hidden, hidden, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(plain_logits, logits, rtol=1e-4, atol=1e-5)
    assert any("lora_" in name for name, _ in adapted.named_parameters())  # the trained one is left as it was

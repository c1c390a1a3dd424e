"""The cross-entropy that writes its gradient over the logits equals the plain one."""

import pytest
import torch
from torch.nn import functional as F

from trainers import masked_lm_loss
from trainers.masked_lm_loss import summed_cross_entropy


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 1e-2), (torch.float16, 1e-3)],
)
@pytest.mark.parametrize("rows", [1, 7, 0])
def test_loss_and_gradient_equal_those_of_torch(monkeypatch, dtype, tolerance, rows):
    monkeypatch.setattr(masked_lm_loss, "ELEMENTS_AT_ONCE", 40)  # three rows at a time
    torch.manual_seed(0)
    start, targets = (5 * torch.randn(rows, 13)).to(dtype), torch.randint(0, 13, (rows,))
    precise = torch.float64 if dtype == torch.float64 else torch.float32
    plain = start.clone().requires_grad_()
    expected = F.cross_entropy(plain.to(precise), targets, reduction="sum")
    (0.25 * expected).backward()
    leaf = start.clone().requires_grad_()
    logits = leaf * 1
    total, hits = summed_cross_entropy(logits, targets)
    assert torch.equal(logits, start)  # until the backward pass
    (0.25 * total).backward()
    assert total.dtype == precise
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(leaf.grad, plain.grad, rtol=tolerance, atol=tolerance)
    assert int(hits) == int((start.argmax(1) == targets).sum())
    if rows:
        assert leaf.grad.abs().max() > 1e-3
        # Written over the logits: that is what saves the memory.
        torch.testing.assert_close(logits, leaf.grad)


def test_small_probabilities_keep_their_gradient_under_loss_scaling():
    """A gradient of 1e-8 is zero in fp16 unless the scale comes first."""
    leaf = torch.tensor([[0.0, -18.0]], dtype=torch.float16, requires_grad=True)
    total, _ = summed_cross_entropy(leaf * 1, torch.tensor([0]))
    (total * 1024).backward()
    assert leaf.grad[0, 1].item() == pytest.approx(1024 * 1.523e-8, rel=1e-2)


def test_a_second_backward_pass_is_refused():
    logits = torch.randn(2, 5, requires_grad=True) * 1
    total, _ = summed_cross_entropy(logits, torch.tensor([1, 2]))
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()

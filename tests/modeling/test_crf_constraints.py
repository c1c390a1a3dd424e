"""Decoding keeps to the tag scheme, whatever the scores; and without constraints all equals pytorch-crf."""

import numpy as np
import pytest
import torch

from corpora.tag_schemes import allowed_ends, allowed_starts, allowed_transitions, tag_names
from modeling.crf import LinearChainCRF

LABELS = ["chemical", "disease", "gene"]


def breaks_iob2(tags):
    """I-x stands behind B-x or I-x only."""
    return any(
        tag[0] == "I" and previous not in (f"B-{tag[2:]}", f"I-{tag[2:]}")
        for previous, tag in zip(["O", *tags], tags, strict=False)
    )


def breaks_bioes(tags):
    """B-x or I-x is followed by I-x or E-x; all else by O, B or S, or by nothing."""
    opened = None
    for tag in [*tags, "O"]:
        if (tag[0] in "IE") if opened is None else (tag not in (f"I-{opened}", f"E-{opened}")):
            return True
        opened = tag[2:] if tag[0] in "BI" else None
    return False


@pytest.mark.parametrize(("scheme", "breaks"), [("IOB2", breaks_iob2), ("BIOES", breaks_bioes)])
def test_10_000_decodings_never_break_the_scheme(scheme, breaks):
    names = tag_names(LABELS, scheme)
    crf = LinearChainCRF(
        len(names), allowed_starts(names, scheme), allowed_transitions(names, scheme), allowed_ends(names, scheme)
    )
    free = LinearChainCRF(len(names))
    generator = torch.Generator().manual_seed(0)
    broken = decoded = 0
    for scale in (0.1, 1, 10, 1e3, 1e4):
        for _ in range(4):
            with torch.no_grad():
                for parameter in crf.parameters():
                    parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            emissions = scale * torch.randn(500, 12, len(names), generator=generator)
            mask = torch.rand(500, 12, generator=generator) < torch.rand(500, 1, generator=generator)
            for row, kept in zip(crf.decode(emissions, mask), mask, strict=True):
                assert not breaks([names[tag] for tag in row[kept]])
                decoded += 1
            broken += sum(breaks([names[tag] for tag in row]) for row in free.decode(emissions[:5]))
            marginals = crf.marginals(emissions[:20], mask[:20])
            torch.testing.assert_close(marginals.sum(2), mask[:20].float())
            first = mask[:20].float().argmax(1)
            assert marginals[torch.arange(20), first][:, ~crf.allowed_starts].sum() == 0
    assert decoded == 10_000
    # Without constraints the same scores break it.
    assert broken > 50


@pytest.mark.parametrize("shape", [(4, 20, 5), (3, 2, 7), (2, 300, 3)])
def test_equals_pytorch_crf(shape):
    torchcrf = pytest.importorskip("torchcrf")
    rows, length, tags = shape
    torch.manual_seed(0)
    theirs, ours = torchcrf.CRF(tags, batch_first=True), LinearChainCRF(tags)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_()
        ours.start.copy_(theirs.start_transitions)
        ours.end.copy_(theirs.end_transitions)
        ours.transitions.copy_(theirs.transitions)
    emissions = torch.randn(shape, requires_grad=True)
    gold = torch.randint(tags, shape[:2])
    # It needs masks without gaps that begin with a word.
    mask = torch.arange(length) < torch.randint(1, length + 1, (rows, 1))
    expected = theirs(emissions, gold, mask, reduction="none")
    expected.sum().backward()
    wanted = emissions.grad.clone()
    for ours.algorithm in ("loop", "tree"):
        emissions.grad = None
        ours.zero_grad()
        found = ours(emissions, gold, mask)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-4)
        found.sum().backward()
        np.testing.assert_allclose(emissions.grad, wanted, atol=1e-4)
        np.testing.assert_allclose(ours.transitions.grad, theirs.transitions.grad, atol=2e-3)
        np.testing.assert_allclose(ours.start.grad, theirs.start_transitions.grad, atol=1e-4)
        np.testing.assert_allclose(ours.end.grad, theirs.end_transitions.grad, atol=1e-4)
    decoded = [row[kept].tolist() for row, kept in zip(ours.decode(emissions, mask), mask, strict=True)]
    assert decoded == theirs.decode(emissions, mask)

"""The loop, its form for large scores and the tree give the same numbers, in every precision and at any length."""

import numpy as np
import pytest
import torch

from modeling import crf_expectations, crf_partition, crf_tree
from modeling.crf import LinearChainCRF


def make(tags, forbidden=0.0, seed=0, scale=1.0):
    """A CRF whose tag 0 may always be taken, so that no constraint leaves a sequence without a path."""
    generator = torch.Generator().manual_seed(seed)
    starts, ends = torch.rand(2, tags, generator=generator) >= forbidden
    transitions = torch.rand(tags, tags, generator=generator) >= forbidden
    starts[0] = ends[0] = transitions[0, 0] = True
    crf = LinearChainCRF(tags, starts, transitions, ends)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return crf


def batch(rows, length, tags, seed=1, scale=1.0, kept=0.8):
    generator = torch.Generator().manual_seed(seed)
    emissions = scale * torch.randn(rows, length, tags, generator=generator)
    return emissions, torch.rand(rows, length, generator=generator) < kept


def results(crf, emissions, mask, algorithm="auto"):
    """Log Z, marginals (the gradient) and the gradients of the parameters."""
    crf.algorithm = algorithm
    crf.zero_grad()
    leaf = emissions.detach().clone().requires_grad_()
    partition = crf.log_partition(leaf, mask)
    partition.sum().backward()
    return [partition.detach(), leaf.grad, *(parameter.grad.clone() for parameter in crf.parameters())]


def assert_same(found, expected, **tolerance):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), **tolerance)
        assert other.isfinite().all()


@pytest.fixture
def logarithms_only(monkeypatch):
    """The loop as it runs where scaled probabilities lose something."""
    monkeypatch.setattr(crf_partition, "from_probabilities", lambda *arguments: None)


SIZES = [
    (1, 1, 1),
    (3, 1, 4),
    (2, 2, 3),
    (3, 3, 2),
    (2, 7, 5),
    (4, 8, 3),
    (3, 9, 4),
    (2, 64, 5),
    (1, 101, 7),
    (5, 33, 1),
]


@pytest.mark.parametrize("forbidden", [0.0, 0.4, 0.8])
@pytest.mark.parametrize("size", SIZES)
def test_loop_and_tree_agree(size, forbidden):
    crf = make(size[2], forbidden).double()
    emissions, mask = batch(*size, scale=3)
    emissions = emissions.double()
    assert_same(results(crf, emissions, mask, "tree"), results(crf, emissions, mask, "loop"), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", SIZES)
def test_logarithms_agree_with_scaled_probabilities(size, logarithms_only, monkeypatch):
    crf, (emissions, mask) = make(size[2], 0.4).double(), batch(*size, scale=3)
    emissions = emissions.double()
    # Chunks of a few pairs, and of sequences cut in two.
    monkeypatch.setattr(crf_expectations, "CHUNK_NUMBERS", 5 * size[2] ** 2)
    slow = results(crf, emissions, mask, "loop")
    monkeypatch.undo()
    assert_same(slow, results(crf, emissions, mask, "loop"), rtol=1e-10, atol=1e-10)


def test_a_tree_in_chunks_is_the_same_tree(monkeypatch):
    crf, (emissions, mask) = make(4, 0.3).double(), batch(3, 50, 4)
    emissions = emissions.double()
    whole = results(crf, emissions, mask, "tree")
    for steps in (2, 3, 7, 48, 49):
        monkeypatch.setattr(crf_tree, "CHUNK_BYTES", steps * 3 * 16 * 8)
        assert_same(results(crf, emissions, mask, "tree"), whole, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("algorithm", ["loop", "tree"])
@pytest.mark.parametrize("forbidden", [0.0, 0.5])
@pytest.mark.parametrize("scale", [30, 1e3, 1e4])
def test_large_scores(scale, forbidden, algorithm):
    """In float32 against float64 logarithms; scores of +-10,000 are far beyond what an exponential holds."""
    crf = make(5, forbidden, scale=scale)
    emissions, mask = batch(4, 40, 5, scale=scale)
    found = results(crf, emissions, mask, algorithm)
    expected = results(crf.double(), emissions.double(), mask, "loop")
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)
    # A float32 score of 10,000 is known to 0.001, so a probability to a few thousandths.
    assert_same(found[1:], expected[1:], rtol=0, atol=max(1e-4, 1e-6 * scale))
    assert torch.equal(crf.decode(emissions.double(), mask)[mask], crf.float().decode(emissions, mask)[mask])


@pytest.mark.parametrize("algorithm", ["loop", "tree"])
def test_a_favoured_tag_behind_a_forbidden_one(algorithm):
    """Tag 2 scores best by 200 at each of 21 words but stands behind tag 1 only: what is unlikely so far must stay."""
    crf = LinearChainCRF(3, [True, True, False], [[True, True, False], [False, False, True], [True, True, False]])
    crf.algorithm = algorithm
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.zero_()
    emissions = torch.zeros(1, 21, 3)
    emissions[0, :, 2] = 200
    # Ten pairs and one word alone at any of 11 places; alone at the end it may have tag 1 as well.
    assert crf.log_partition(emissions).item() == pytest.approx(2_000 + np.log(12), rel=1e-6)
    assert crf.decode(emissions).tolist() == [[*[1, 2] * 10, 0]]
    marginals = crf.marginals(emissions)[0]
    np.testing.assert_allclose(marginals[0], [1 / 12, 11 / 12, 0], atol=1e-4)
    np.testing.assert_allclose(marginals[20], [1 / 12, 1 / 12, 10 / 12], atol=1e-4)


def test_all_ends_where_the_last_word_wants_to_go_on():
    """The last word wants tag 1 by 300, with which no sequence may end."""
    crf = LinearChainCRF(2, allowed_ends=[True, False])
    emissions = torch.zeros(1, 6, 2)
    emissions[0, -1, 1] = 300
    for algorithm in ("loop", "tree"):
        crf.algorithm = algorithm
        assert crf.marginals(emissions)[0, -1].tolist() == [1, 0]
        likelihood = crf(emissions, torch.zeros(1, 6, dtype=torch.long))
        assert -6 < likelihood.item() < 0


@pytest.mark.parametrize("algorithm", ["loop", "tree"])
def test_tags_that_never_mix(algorithm):
    """Two pairs of tags without a way between them drift apart by 5 a word: no scaling holds both."""
    allowed = torch.zeros(4, 4, dtype=torch.bool)
    allowed[:2, :2] = allowed[2:, 2:] = True
    crf = LinearChainCRF(4, allowed_transitions=allowed)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.zero_()
    emissions = torch.zeros(1, 80, 4)
    emissions[0, :40, :2], emissions[0, 40:, 2:] = 5, 5
    crf.algorithm = algorithm
    # Both halves score 200 and have 2**80 paths each.
    assert crf.log_partition(emissions).item() == pytest.approx(200 + 81 * np.log(2), rel=1e-6)
    torch.testing.assert_close(crf.marginals(emissions), torch.full((1, 80, 4), 0.25), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("algorithm", ["loop", "tree"])
def test_rounding_does_not_grow_with_the_length(algorithm):
    """Scores of about 1,000 a word sum to 3 million, of which float32 knows no more than a quarter."""
    crf = make(3, seed=2, scale=0.5)
    emissions, mask = batch(1, 3_000, 3, kept=2)
    emissions += 1_000
    found = results(crf, emissions, mask, algorithm)
    path = crf.decode(emissions)
    expected = results(crf.double(), emissions.double(), mask, "loop")
    assert found[0].item() == pytest.approx(expected[0].item(), rel=1e-6)
    assert_same(found[1:2], expected[1:2], rtol=0, atol=1e-5)
    best = crf(emissions.double(), crf.decode(emissions.double()))
    assert crf(emissions.double(), path).item() == pytest.approx(best.item(), abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("algorithm", ["loop", "tree"])
def test_half_precision_and_autocast_compute_in_float32(dtype, algorithm):
    crf = make(5, 0.3)
    crf.algorithm = algorithm
    emissions, mask = batch(3, 30, 5)
    emissions = emissions.to(dtype).requires_grad_()
    tags = crf.decode(emissions, mask)
    expected = crf(emissions.float(), tags, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = crf(emissions, tags, mask)
        assert torch.equal(crf.marginals(emissions, mask), crf.marginals(emissions.float(), mask))
        found.sum().backward()
    assert found.dtype == torch.float32 and torch.equal(found, expected)
    assert emissions.grad.dtype == dtype and emissions.grad.abs().sum() > 0
    assert crf.transitions.grad.dtype == torch.float32
    # Parameters of half precision are raised too.
    assert crf.to(dtype)(emissions, tags, mask).dtype == torch.float32


def test_rounded_matrix_products_are_not_used():
    crf = make(5)
    emissions, mask = batch(2, 50, 5)
    expected = results(crf, emissions, mask, "loop")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        assert crf_partition.working_dtype(emissions.device, torch.float32) == torch.float64
        found = results(crf, emissions, mask, "loop")
    finally:
        torch.set_float32_matmul_precision(before)
    assert [tensor.dtype for tensor in found] == [torch.float32] * 5
    assert_same(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("algorithm", ["loop", "tree"])
def test_training_on_10_000_words_and_83_tags_in_bounded_memory(algorithm, monkeypatch):
    """All tensors of the pass together stay below what one matrix a word would take."""
    length, tags = (10_000, 83) if algorithm == "loop" else (1_000, 83)
    crf = make(tags, 0.3)
    crf.algorithm = algorithm
    emissions = torch.randn(1, length, tags, generator=torch.Generator().manual_seed(0), requires_grad=True)
    gold = crf.decode(emissions)
    sizes = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: sizes.append(tensor.numel()) or tensor, lambda x: x):
        loss = -crf(emissions, gold).mean()
    assert max(sizes) <= length * tags and sum(sizes) <= 4 * length * tags
    loss.backward()
    assert loss.isfinite() and emissions.grad.isfinite().all() and emissions.grad.abs().sum() > 0


@pytest.mark.parametrize("algorithm", ["loop", "tree"])
@pytest.mark.parametrize("scale", [1, 1e4])
def test_log_z_is_the_same_without_gradient(scale, algorithm):
    crf, (emissions, mask) = make(4, 0.3, scale=scale), batch(3, 20, 4, scale=scale)
    expected = results(crf, emissions, mask, algorithm)[0]
    with torch.no_grad():
        found = crf.log_partition(emissions, mask)
    assert not found.requires_grad and torch.equal(found, expected)


def test_the_choice_by_size():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert crf_partition.chosen_algorithm(cpu, 10_000, 1, 9) == "tree"
    assert crf_partition.chosen_algorithm(cpu, 100, 1, 9) == "loop"
    assert crf_partition.chosen_algorithm(cpu, 512, 8, 19) == "loop"
    assert crf_partition.chosen_algorithm(gpu, 512, 8, 19) == "tree"
    assert crf_partition.chosen_algorithm(gpu, 20, 8, 19) == "loop"

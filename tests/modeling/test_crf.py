"""The CRF equals the enumeration of all paths, with and without constraints, and masks with gaps."""

import itertools
import math

import numpy as np
import pytest
import torch

from modeling.crf import LinearChainCRF

# A tag that begins a pair (1) must be followed by its second half (2), which stands nowhere else.
STARTS = np.array([True, True, False])
TRANSITIONS = np.array([[True, True, False], [False, False, True], [True, True, False]])
ENDS = np.array([True, False, True])


def make(tags=3, constrained=False, seed=0, algorithm="auto", dtype=torch.float64):
    torch.manual_seed(seed)
    crf = LinearChainCRF(tags, *((STARTS, TRANSITIONS, ENDS) if constrained else ())).to(dtype)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.normal_()
    crf.algorithm = algorithm
    return crf


def all_paths(crf, emissions):
    """Every legal path of a list of words with its score, one after the other."""
    start, transitions, end = (p.detach().double().numpy() for p in (crf.start, crf.transitions, crf.end))
    found = {}
    for path in itertools.product(range(crf.number_of_tags), repeat=len(emissions)):
        if not path:
            return {(): 0.0}
        if not (crf.allowed_starts[path[0]] and crf.allowed_ends[path[-1]]):
            continue
        if not all(crf.allowed_transitions[a, b] for a, b in itertools.pairwise(path)):
            continue
        score = start[path[0]] + sum(row[tag] for row, tag in zip(emissions, path, strict=True)) + end[path[-1]]
        found[path] = float(score + sum(transitions[a, b] for a, b in itertools.pairwise(path)))
    return found


def log_sum(scores):
    peak = max(scores)
    return peak + math.log(sum(math.exp(score - peak) for score in scores))


def gapped_batch(crf, seed=1):
    """Sequences of 0 to 5 words among 7 places; what stands at masked places must not matter."""
    random = np.random.default_rng(seed)
    lengths = [0, 1, 2, 3, 4, 5, 5]
    mask = np.zeros((len(lengths), 7), dtype=bool)
    for row, length in enumerate(lengths):
        mask[row, random.choice(7, length, replace=False)] = True
    emissions = random.normal(size=(*mask.shape, crf.number_of_tags)) * 2
    emissions[~mask] = np.nan
    tags = np.full(mask.shape, -100)
    for row in range(len(lengths)):
        paths = list(all_paths(crf, emissions[row][mask[row]]))
        tags[row][mask[row]] = paths[random.integers(len(paths))]
    return torch.tensor(emissions), torch.tensor(tags), torch.tensor(mask)


@pytest.mark.parametrize("algorithm", ["auto", "loop", "tree"])
@pytest.mark.parametrize("constrained", [False, True])
def test_everything_equals_the_enumeration_of_all_paths(constrained, algorithm):
    crf = make(constrained=constrained, algorithm=algorithm)
    emissions, tags, mask = gapped_batch(crf)
    emissions.requires_grad_()
    likelihood = crf(emissions, tags, mask)
    weights = torch.arange(1.0, len(mask) + 1, dtype=torch.float64)
    (likelihood * weights).sum().backward()
    partition, marginals, decoded = (f(emissions, mask) for f in (crf.log_partition, crf.marginals, crf.decode))
    assert likelihood.dtype == marginals.dtype == torch.float64 and decoded.dtype == torch.int64
    expected = {name: torch.zeros_like(parameter) for name, parameter in crf.named_parameters()}
    for row, kept in enumerate(mask):
        paths = all_paths(crf, emissions.detach()[row][kept].numpy())
        log_z = log_sum(list(paths.values()))
        gold = tuple(tags[row][kept].tolist())
        assert partition[row].item() == pytest.approx(log_z, abs=1e-12)
        assert likelihood[row].item() == pytest.approx(paths[gold] - log_z, abs=1e-12)
        assert tuple(decoded[row][kept].tolist()) == max(paths, key=paths.get)
        assert (decoded[row][~kept] == -100).all()
        probability = np.zeros((len(gold), 3))
        for path, score in [*paths.items(), (gold, None)]:
            # The gradient of a log-likelihood: what the gold path has less what is expected.
            share = -math.exp(score - log_z) if score is not None else 1.0
            for slot, tag in enumerate(path):
                probability[slot, tag] -= share if score is not None else 0
            if path:
                expected["start"][path[0]] += weights[row] * share
                expected["end"][path[-1]] += weights[row] * share
            for a, b in itertools.pairwise(path):
                expected["transitions"][a, b] += weights[row] * share
        np.testing.assert_allclose(marginals[row][kept], probability, atol=1e-12)
        assert (marginals[row][~kept] == 0).all()
        one_hot = np.eye(3)[list(gold)] if gold else np.zeros((0, 3))
        wanted = weights[row].item() * (one_hot - probability)
        np.testing.assert_allclose(emissions.grad[row][kept], wanted, atol=1e-12)
        assert (emissions.grad[row][~kept] == 0).all()
    for name, parameter in crf.named_parameters():
        np.testing.assert_allclose(parameter.grad, expected[name], atol=1e-12, err_msg=name)
    assert crf.transitions.grad.abs().max() > 0.1
    if constrained:
        assert (crf.transitions.grad[~crf.allowed_transitions] == 0).all() and crf.start.grad[2] == 0


@pytest.mark.parametrize("algorithm", ["loop", "tree"])
def test_gradients_equal_finite_differences(algorithm):
    crf = make(constrained=True, algorithm=algorithm)
    emissions, tags, mask = gapped_batch(crf, seed=3)
    emissions = emissions.nan_to_num(0).requires_grad_()

    def likelihood(emissions, start, transitions, end):
        parameters = {"start": start, "transitions": transitions, "end": end}
        return torch.func.functional_call(crf, parameters, (emissions, tags, mask))

    inputs = (emissions, *(p.detach().clone().requires_grad_() for p in (crf.start, crf.transitions, crf.end)))
    assert torch.autograd.gradcheck(likelihood, inputs)


def test_a_gap_is_as_if_the_word_was_not_there():
    crf = make(dtype=torch.float32)
    emissions, tags, mask = (x[6:7] for x in gapped_batch(crf))
    emissions, kept = emissions.float(), mask[0]
    close = emissions[:, kept]
    torch.testing.assert_close(crf(emissions, tags, mask), crf(close, tags[:, kept]))
    assert torch.equal(crf.decode(emissions, mask)[:, kept], crf.decode(close))
    torch.testing.assert_close(crf.marginals(emissions, mask)[:, kept], crf.marginals(close))


@pytest.mark.parametrize("shape", [(2, 0), (0, 4), (3, 5)])
def test_a_batch_without_a_word(shape):
    crf = make(dtype=torch.float32)
    emissions = torch.full((*shape, 3), torch.nan, requires_grad=True)
    mask, tags = torch.zeros(shape, dtype=torch.bool), torch.full(shape, -100)
    likelihood = crf(emissions, tags, mask)
    assert torch.equal(likelihood, torch.zeros(shape[0])) and likelihood.dtype == torch.float32
    likelihood.sum().backward()
    assert (emissions.grad == 0).all() and all((p.grad == 0).all() for p in crf.parameters())
    assert (crf.decode(emissions, mask) == -100).all() and crf.decode(emissions, mask).shape == shape
    assert (crf.marginals(emissions, mask) == 0).all()


def test_exact_ties_take_the_lowest_tags_from_the_end():
    crf = LinearChainCRF(3, STARTS, TRANSITIONS, ENDS)
    with torch.no_grad():
        for parameter in crf.parameters():
            parameter.zero_()
    assert crf.decode(torch.zeros(2, 4, 3)).tolist() == [[0, 0, 0, 0]] * 2
    # Both (0, 1, 2) and (1, 2, 0) score 1: the lower last tag wins.
    emissions = torch.zeros(1, 3, 3)
    emissions[0, 1, 1] = emissions[0, 0, 1] = 1
    assert crf.decode(emissions).tolist() == [[1, 2, 0]]


def test_saved_weights_keep_the_constraints(tmp_path):
    from safetensors.torch import load_file, save_file

    crf = make(constrained=True)
    save_file(crf.state_dict(), tmp_path / "crf.safetensors")
    again = LinearChainCRF(3).double()
    again.load_state_dict(load_file(tmp_path / "crf.safetensors"))
    emissions, tags, mask = gapped_batch(crf)
    assert torch.equal(again.allowed_transitions, torch.tensor(TRANSITIONS))
    assert torch.equal(again(emissions, tags, mask), crf(emissions, tags, mask))


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([2, 0, 0], r"sequence 1 .* word 1 \(tag 2\)"),
        ([0, 1, 0], r"sequence 1 .* word 3 \(tag 1 to tag 0 to the end\)"),
        ([0, 0, 1], r"word 3 \(tag 0 to tag 1 to the end\)"),
        ([0, 3, 0], "from 0 to 2"),
        ([0, -100, 0], "from 0 to 2"),
    ],
)
def test_forbidden_gold_tags_are_an_error(tags, message):
    crf = make(constrained=True)
    with pytest.raises(ValueError, match=message):
        crf(torch.zeros(2, 3, 3), torch.tensor([[0, 1, 2], tags]))


def test_constraints_that_leave_no_path():
    # From tag 1, where every sequence begins, nothing may follow.
    crf = LinearChainCRF(2, [False, True], [[True, True], [False, False]])
    short, long = torch.zeros(1, 1, 2), torch.zeros(2, 3, 2)
    mask = torch.tensor([[False, True, False], [True, True, False]])
    for crf.algorithm in ("loop", "tree"):
        assert crf.decode(short).tolist() == [[1]] and crf.marginals(short).tolist() == [[[0, 1]]]
        assert crf(short, torch.tensor([[1]])).tolist() == [0]
        assert crf.log_partition(long, mask)[1] == -torch.inf and crf.log_partition(long, mask)[0].isfinite()
        for method in (crf.decode, crf.marginals):
            with pytest.raises(ValueError, match="path"):
                method(long, mask)
    with pytest.raises(ValueError, match="finite"):
        crf.decode(torch.full((1, 1, 2), torch.nan))


def test_what_does_not_fit_is_an_error():
    crf = make(dtype=torch.float32)
    emissions, tags = torch.zeros(2, 4, 3), torch.zeros(2, 4, dtype=torch.long)
    with pytest.raises(ValueError, match="at least 1 tag"):
        LinearChainCRF(0)
    with pytest.raises(ValueError, match=r"allowed_transitions must have shape \(3, 3\), not \(3,\)"):
        LinearChainCRF(3, allowed_transitions=STARTS)
    with pytest.raises(ValueError, match="allowed_ends allows no tag"):
        LinearChainCRF(3, allowed_ends=[False] * 3)
    with pytest.raises(ValueError, match=r"\(batch, length, 3\)"):
        crf(emissions[:, :, :2], tags)
    with pytest.raises(ValueError, match="tags must have shape"):
        crf(emissions, tags[:, :3])
    with pytest.raises(ValueError, match="mask must have shape"):
        crf.decode(emissions, tags[:, :3].bool())
    with pytest.raises(ValueError, match="floating"):
        crf.decode(tags.unsqueeze(2).expand(-1, -1, 3))
    crf.algorithm = "spiral"
    with pytest.raises(ValueError, match="choose from auto, loop, tree"):
        crf(emissions, tags)


def test_a_second_derivative_is_refused():
    crf = make()
    emissions = torch.zeros(1, 3, 3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        torch.autograd.grad(crf.log_partition(emissions).sum(), emissions, create_graph=True)

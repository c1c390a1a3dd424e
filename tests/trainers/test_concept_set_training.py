"""Fits of the concept-set classifier: what is chosen, what moves, what is repeated."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score

from modeling.concept_set_classifier import ConceptSetClassifier, ConceptSetConfig, bags
from trainers.concept_set_training import FitPlan, LabelledSets, _batches, _steps, fit_concept_sets, scores_by_epoch


def made(count=300, states=20, seed=0):
    """Encounters whose first three states raise the odds of the outcome."""
    generator = np.random.default_rng(seed)
    said = generator.random((count, states)) < 0.3
    odds = 2.5 * said[:, :3].sum(1) - 2.2
    return LabelledSets(csr_matrix(said.astype(np.float32)), (generator.random(count) < 1 / (1 + np.exp(-odds))) * 1)


@pytest.fixture
def model():
    found = ConceptSetClassifier(ConceptSetConfig(embedding_size=20, filters=16))
    found.start_from(torch.eye(20), seed=0)
    return found


VECTORS = torch.eye(20) * 5


def fit(model, plan, seed=0):
    return fit_concept_sets(model, VECTORS, made(), made(200, seed=1), plan, seed)


def auroc(model, sets):
    with torch.no_grad():
        logits = model.eval()(VECTORS, *bags(sets.occurs)).logits
    return roc_auc_score(sets.outcomes, logits[:, 1] - logits[:, 0])


def test_it_learns_and_keeps_the_best_epoch(model):
    test = made(2000, seed=2)
    before = auroc(model, test)
    result = fit(model, FitPlan(1e-2, epochs=15, patience=None))
    assert auroc(model, test) > 0.82 > before
    scores = [record["validation_auroc"] for record in result.trajectory]
    assert [record["epoch"] for record in result.trajectory] == list(range(16))
    assert result.best["validation_auroc"] == max(scores) and result.best_epoch == int(np.argmax(scores))
    assert auroc(model, made(200, seed=1)) == pytest.approx(max(scores))
    assert result.trajectory[0]["validation_auroc"] == pytest.approx(0.5, abs=0.3)


def test_the_test_trajectory_describes_and_changes_nothing(model):
    test = made(500, seed=2)
    result = fit(model, FitPlan(1e-2, epochs=4, patience=None))
    after = [weight.detach().clone() for weight in model.parameters()]
    by_epoch = scores_by_epoch(model, VECTORS, test, result)
    assert len(by_epoch) == 5
    assert by_epoch[result.best_epoch] == pytest.approx(auroc(model, test))
    for epoch in (0, 3):
        result.give(model, epoch)
        assert auroc(model, test) == pytest.approx(by_epoch[epoch])
    result.give(model)
    assert all(torch.equal(a, b) for a, b in zip(after, model.parameters(), strict=True))


def test_a_fit_is_repeated_bit_for_bit_and_leaves_the_random_state_alone(model):
    from copy import deepcopy

    start = deepcopy(model)
    state = torch.random.get_rng_state()
    first = fit(model, FitPlan(1e-2, epochs=3))
    assert torch.equal(state, torch.random.get_rng_state())
    torch.rand(5)
    second_model, other = deepcopy(start), deepcopy(start)
    assert fit(second_model, FitPlan(1e-2, epochs=3)).trajectory == first.trajectory
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), second_model.parameters(), strict=True))
    assert fit(other, FitPlan(1e-2, epochs=3), seed=1).trajectory != first.trajectory


def test_a_tuned_head_leaves_the_rest_and_equals_training_with_the_rest_frozen(model):
    from copy import deepcopy

    slow = deepcopy(model)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    result = fit(model, FitPlan(1e-2, epochs=3, patience=None, part="head"))
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    assert moved == {"classifier.weight", "classifier.bias"} and result.best_epoch > 0
    for weight in slow.concept_map.parameters():
        weight.requires_grad_(False)
    # Frozen weights have no gradient, which the optimizer passes over.
    other = fit(slow, FitPlan(1e-2, epochs=3, patience=None))
    for one, two in zip(result.trajectory, other.trajectory, strict=True):
        assert one == pytest.approx(two, abs=1e-6)


def test_all_weights_move(model):
    before = [weight.detach().clone() for weight in model.parameters()]
    fit(model, FitPlan(1e-2, epochs=2, patience=None))
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_it_stops_when_nothing_gets_better_and_may_keep_the_start(model):
    result = fit(model, FitPlan(1e-9, epochs=50, patience=3))
    assert len(result.trajectory) - 1 <= result.best_epoch + 3 < 50
    before = [weight.detach().clone() for weight in model.parameters()]
    ruined = fit(model, FitPlan(1e4, epochs=1, patience=None))
    if ruined.best_epoch == 0:
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert ruined.score >= fit(model, FitPlan(1e-9, epochs=1)).score


def test_equal_ranks_are_told_apart_by_the_loss(model):
    # One encounter of each outcome is ranked perfectly from the first epochs on; the loss goes on falling.
    said = np.zeros((2, 20), dtype=np.float32)
    said[0, 0] = said[1, 10] = 1
    tiny = LabelledSets(csr_matrix(said), np.array([1, 0]))
    result = fit_concept_sets(model, VECTORS, made(), tiny, FitPlan(1e-2, epochs=6, patience=None), 0)
    perfect = [record for record in result.trajectory if record["validation_auroc"] == 1]
    assert len(perfect) > 1 and result.best == min(perfect, key=lambda record: record["validation_loss"])
    one_class = LabelledSets(csr_matrix(said), np.array([0, 0]))
    result = fit_concept_sets(model, VECTORS, made(), one_class, FitPlan(1e-2, epochs=2), 0)
    assert result.best["validation_auroc"] is None
    assert result.best["validation_loss"] == min(record["validation_loss"] for record in result.trajectory)


def test_steps_are_whole_passes_and_at_least_so_many():
    assert _steps(1000, FitPlan(1, batch_size=100)) == 10
    assert _steps(1050, FitPlan(1, batch_size=100)) == 11
    assert _steps(150, FitPlan(1, batch_size=100, least_steps=5)) == 6
    assert _steps(150, FitPlan(1, batch_size=100, steps=7)) == 7
    stream = _batches(10, FitPlan(1, batch_size=4), np.random.default_rng(0))
    rows = [next(stream) for _ in range(6)]
    assert [len(part) for part in rows] == [4, 4, 2, 4, 4, 2]
    passes = [np.concatenate(rows[:3]), np.concatenate(rows[3:])]
    assert all(sorted(one) == list(range(10)) for one in passes) and list(passes[0]) != list(passes[1])


def test_sgd_is_that_of_the_study(model):
    """Two steps recomputed by hand: Nesterov momentum of 0.9, weight decay in the gradient."""
    from copy import deepcopy

    sets, rate, decay = made(40), 0.05, 0.1
    model.config.dropout = model.dropout.p = 0.0
    slow = deepcopy(model)
    plan = FitPlan(rate, epochs=1, batch_size=40, steps=2, optimizer="sgd", weight_decay=decay, patience=None)
    result = fit_concept_sets(model, VECTORS, sets, sets, plan, 0)
    labels = torch.from_numpy(sets.outcomes)
    momentum = [torch.zeros_like(weight) for weight in slow.parameters()]
    for _ in range(2):
        slow.zero_grad()
        slow(VECTORS, *bags(sets.occurs), labels=labels).loss.backward()
        with torch.no_grad():
            for weight, speed in zip(slow.parameters(), momentum, strict=True):
                gradient = weight.grad + decay * weight
                speed.mul_(0.9).add_(gradient)
                weight.sub_(rate * (gradient + 0.9 * speed))
    result.give(model, 1)
    for one, two in zip(model.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


def test_a_fit_that_diverges_loses_and_stops_nothing(model):
    done = fit(model, FitPlan(1e10, epochs=2, optimizer="adamw"))
    assert done.trajectory[-1]["validation_auroc"] is None

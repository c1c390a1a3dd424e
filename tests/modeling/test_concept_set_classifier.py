"""Pooling over sets against plain loops, and the classifier against the study's convolution."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

from corpora.encounters import ConceptState, Encounters
from corpora.errors import InputError
from modeling.concept_embeddings import random_vectors
from modeling.concept_set_classifier import ConceptSetClassifier, ConceptSetConfig, bags
from modeling.concept_table import ConceptTable
from modeling.set_pooling import _max_by_rank, attention_over_sets, max_over_sets, mean_over_sets

STATES = tuple(ConceptState(f"C{number}", f"concept {number}") for number in range(12))


def occurs(rows=9, share=0.5, seed=0):
    said = np.random.default_rng(seed).random((rows, len(STATES))) < share
    said[3] = False  # an encounter of which nothing is said
    return csr_matrix(said.astype(np.float32))


def encounters(matrix):
    ids = np.array([f"e{number}" for number in range(matrix.shape[0])])
    outcomes = np.arange(matrix.shape[0]) % 2
    return Encounters(ids, ids, outcomes, STATES, matrix, "north")


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_poolings_equal_plain_loops(share):
    matrix = occurs(share=share)
    values = torch.randn(len(STATES), 5, generator=torch.Generator().manual_seed(1)).relu().double()
    scores = torch.randn(len(STATES), generator=torch.Generator().manual_seed(2)).double()
    indices, offsets = bags(matrix)
    largest, mean, weighted = (torch.zeros(matrix.shape[0], 5).double() for _ in range(3))
    for row, said in enumerate(matrix.toarray() > 0):
        if said.any():
            members = values[torch.from_numpy(said)]
            largest[row], mean[row] = members.amax(0), members.mean(0)
            weighted[row] = scores[torch.from_numpy(said)].softmax(0) @ members
    torch.testing.assert_close(max_over_sets(values, indices, offsets), largest)
    torch.testing.assert_close(_max_by_rank(values, indices, offsets), largest)
    torch.testing.assert_close(mean_over_sets(values, indices, offsets), mean)
    torch.testing.assert_close(attention_over_sets(values, scores, indices, offsets), weighted)


def test_the_search_by_rank_has_the_gradient_of_the_maximum():
    matrix = occurs(rows=40)
    indices, offsets = bags(matrix)
    start = torch.randn(len(STATES), 7, generator=torch.Generator().manual_seed(3)).double()
    gradients = []
    for pool in (_max_by_rank, lambda v, i, o: torch.nn.functional.embedding_bag(i, v, o, mode="max")):
        values = start.clone().requires_grad_()
        pool(values.relu(), indices, offsets).square().sum().backward()
        gradients.append(values.grad)
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().sum() > 0


def test_more_vectors_than_a_byte_counts():
    values = torch.rand(600, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    indices, offsets = torch.arange(600), torch.tensor([0, 1, 599])
    expected = torch.stack([values[:1].amax(0), values[1:599].amax(0), values[599:].amax(0)])
    torch.testing.assert_close(_max_by_rank(values, indices, offsets), expected)
    torch.testing.assert_close(_max_by_rank(values * 0, indices, offsets), expected * 0)


def test_the_classifier_is_the_convolution_of_the_study():
    model = ConceptSetClassifier(ConceptSetConfig(embedding_size=6, filters=10)).eval()
    vectors = torch.from_numpy(random_vectors(STATES, 6))
    matrix = occurs()
    convolution = torch.nn.Conv1d(6, 10, kernel_size=1)
    with torch.no_grad():
        convolution.weight.copy_(model.concept_map.weight.unsqueeze(2))
        convolution.bias.copy_(model.concept_map.bias)
        found = model(vectors, *bags(matrix)).logits
        for row, said in enumerate(matrix.toarray() > 0):
            if said.any():
                mapped = convolution(vectors[torch.from_numpy(said)].T.unsqueeze(0)).relu()
                torch.testing.assert_close(found[row : row + 1], model.classifier(mapped.amax(2)))
            else:
                torch.testing.assert_close(found[row], model.classifier.bias)


def test_sparse_vectors_give_the_same():
    model = ConceptSetClassifier(ConceptSetConfig(embedding_size=12, filters=10)).eval()
    vectors, gradients = torch.eye(12) * 3, []
    for kind in (vectors, vectors.to_sparse()):
        model.zero_grad()
        out = model(kind, *bags(occurs()), labels=torch.arange(9) % 2)
        out.loss.backward()
        gradients.append([out.logits, *(weight.grad for weight in model.parameters())])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_loss_and_tuple():
    model = ConceptSetClassifier(ConceptSetConfig(embedding_size=6, filters=4, pooling="mean")).eval()
    vectors, labels = torch.from_numpy(random_vectors(STATES, 6)), torch.arange(9) % 2
    out = model(vectors, *bags(occurs()), labels=labels)
    expected = -out.logits.log_softmax(1)[torch.arange(9), labels].mean()
    torch.testing.assert_close(out.loss, expected)
    loss, logits = model(vectors, *bags(occurs()), labels=labels, return_dict=False)
    assert torch.equal(loss, out.loss) and torch.equal(logits, out.logits)


@pytest.mark.parametrize("pooling", ["max", "mean", "attention"])
def test_every_weight_learns_and_a_saved_model_is_the_same(pooling, tmp_path):
    model = ConceptSetClassifier(ConceptSetConfig(embedding_size=6, filters=8, pooling=pooling, dropout=0.0))
    table = ConceptTable.build(STATES, random_vectors(STATES, 6))
    site = encounters(occurs(rows=30))
    labels = torch.from_numpy(site.outcomes)
    model(torch.from_numpy(table.vectors), *bags(site.occurs), labels=labels).loss.backward()
    assert all(weight.grad.abs().sum() > 0 for weight in model.parameters())
    model.save_pretrained(tmp_path)
    loaded = ConceptSetClassifier.from_pretrained(tmp_path)
    assert loaded.config.pooling == pooling
    np.testing.assert_array_equal(loaded.predict(site, table), model.predict(site, table))
    whole = model.predict(site, table)
    np.testing.assert_allclose(model.predict(site, table, batch_size=7), whole, atol=1e-6)
    assert model.training and whole.shape == (30,)


def test_unseen_concepts_need_vectors_and_nothing_else():
    model = ConceptSetClassifier(ConceptSetConfig(embedding_size=6, filters=8)).eval()
    known = ConceptTable.build(STATES[:8], random_vectors(STATES[:8], 6))
    site = encounters(occurs())
    with pytest.raises(InputError, match="4 of 12 concept states have no vector"):
        model.predict(site, known)
    table = known.extended(STATES, random_vectors(STATES, 6))
    found = model.predict(site, table)
    logits = model(torch.from_numpy(table.vectors), *bags(site.occurs)).logits
    np.testing.assert_allclose(found, logits.softmax(1)[:, 1].detach().numpy(), atol=1e-6)


def test_a_start_is_seeded_and_leaves_unused_dimensions_at_zero():
    vectors = torch.eye(6)[:4]
    one, two, other = (ConceptSetClassifier(ConceptSetConfig(embedding_size=6, filters=5)) for _ in range(3))
    state = torch.random.get_rng_state()
    one.start_from(vectors, seed=1)
    assert torch.equal(state, torch.random.get_rng_state())
    two.start_from(vectors, seed=1)
    other.start_from(vectors, seed=2)
    assert torch.equal(one.concept_map.weight, two.concept_map.weight)
    assert not torch.equal(one.concept_map.weight, other.concept_map.weight)
    assert (one.concept_map.weight[:, 4:] == 0).all() and (one.concept_map.weight[:, :4] != 0).all()
    # As torch draws them, uniform within 1/sqrt(inputs).
    assert one.concept_map.weight.abs().max() <= 1 / np.sqrt(6) and one.classifier.weight.abs().max() > 0.1


def test_an_unknown_pooling_is_refused():
    with pytest.raises(ValueError, match="pooling must be one of max, mean, attention"):
        ConceptSetConfig(pooling="sum")

"""Probes on frozen features: what is chosen, and that rotated features change nothing."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

import classification_probes as probes

DOCUMENTS, CLASSES = 90, 3


@pytest.fixture
def targets():
    return np.arange(DOCUMENTS) % CLASSES


def _informed(targets, width, seed):
    """Return features with a class in them, each row of length 1."""
    generator = np.random.default_rng(seed)
    rows = np.eye(width)[targets] + generator.normal(0, 0.1, (len(targets), width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _noise(documents, width, seed):
    rows = np.random.default_rng(seed).normal(size=(documents, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _hybrid(words, embeddings, targets):
    half = DOCUMENTS // 2
    bag = probes.Features(csr_matrix(words[:half]), csr_matrix(words[half:]))
    both = probes.side_by_side(bag, probes.Features(embeddings[:half], embeddings[half:]))
    return probes.fit_probe("hybrid", both, np.arange(half), targets[:half], CLASSES, seed=0)


def test_an_embedding_beside_words_has_the_weight_that_the_labels_ask_for(targets):
    half = DOCUMENTS // 2
    wrong = _noise(DOCUMENTS, 8, 1)
    found, settings = _hybrid(0.3 * _informed(targets, 200, 0), wrong, targets)
    assert settings["embedding_weight"] == min(probes.WEIGHTS) and settings["C"] in probes.PENALTIES
    assert (found.argmax(1) == targets[half:]).mean() > 0.9
    # At equal weight the embedding drowns the words.
    alone = LogisticRegression(C=settings["C"], class_weight="balanced", max_iter=2000)
    x = np.hstack([0.3 * _informed(targets, 200, 0), wrong])
    plain = alone.fit(x[:half], targets[:half]).predict(x[half:])
    assert (plain == targets[half:]).mean() < (found.argmax(1) == targets[half:]).mean()

    faint = 0.1 * _informed(targets, 8, 2)
    found, settings = _hybrid(_noise(DOCUMENTS, 200, 3), faint, targets)
    assert settings["embedding_weight"] == max(probes.WEIGHTS)


@pytest.mark.parametrize("words", [200, 20])  # with fewer words than documents, features stay sparse
def test_the_basis_of_the_training_documents_changes_no_probability(words, targets):
    half = DOCUMENTS // 2
    words, embeddings = _informed(targets, words, 0), _informed(targets, 8, 1)
    found, settings = _hybrid(words, embeddings, targets)
    plain = LogisticRegression(C=settings["C"], class_weight="balanced", max_iter=2000)
    x = np.hstack([words, settings["embedding_weight"] * embeddings])
    plain.fit(x[:half], targets[:half])
    np.testing.assert_allclose(found, plain.predict_proba(x[half:]), atol=2e-3)


def test_one_document_a_class_leaves_nothing_to_choose(targets):
    words, embeddings = _informed(targets, 20, 0), _informed(targets, 8, 1)
    both = probes.side_by_side(
        probes.Features(csr_matrix(words), csr_matrix(words)), probes.Features(embeddings, embeddings)
    )
    found, settings = probes.fit_probe("hybrid", both, np.arange(CLASSES), targets[:CLASSES], CLASSES, seed=0)
    assert settings == {"C": 10.0, "embedding_weight": 1.0} and found.shape == (DOCUMENTS, CLASSES)
    dense = probes.Features(embeddings, embeddings)
    for method, chosen in (("logistic_regression", {"C": 10.0}), ("knn", {"n_neighbors": 1})):
        _, settings = probes.fit_probe(method, dense, np.arange(CLASSES), targets[:CLASSES], CLASSES, seed=0)
        assert settings == chosen

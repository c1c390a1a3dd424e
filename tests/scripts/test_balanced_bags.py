"""Balanced bagging: the same model faster, the mean over its bags, and a rare class found where weights do not help."""

import numpy as np
import pytest
import sklearn.model_selection
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score

import classification_probes as probes
from balanced_bags import BalancedBags, RotatedRegression
from classification_cells import all_cells
from corpora.few_shot import few_shot_sample


def _features(sizes, width, seed, signal=1.0):
    """Return rows of noise with a class each, the first columns of which say a little of it."""
    generator = np.random.default_rng(seed)
    targets = np.repeat(np.arange(len(sizes)), sizes)
    rows = generator.normal(size=(len(targets), width)) / np.sqrt(width)
    rows[np.arange(len(targets)), targets] += signal
    return rows, targets


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("width", [80, 12])  # more features than documents, and fewer
@pytest.mark.parametrize("form", [np.asarray, csr_matrix])
def test_a_rotated_regression_is_the_plain_one(form, width, classes):
    x, y = _features([10] * classes, width, 0)
    new, _ = _features([5] * classes, width, 1)
    found = RotatedRegression(C=3.0, max_iter=2000, tol=1e-8).fit(form(x), y)
    plain = LogisticRegression(C=3.0, max_iter=2000, tol=1e-8).fit(x, y)
    np.testing.assert_allclose(found.coef_, plain.coef_, atol=1e-4)
    np.testing.assert_allclose(found.predict_proba(form(new)), plain.predict_proba(new), atol=1e-5)


def test_probabilities_are_the_mean_over_bags_of_as_many_documents_a_class():
    x, y = _features([40, 20, 6], 30, 0)
    new, _ = _features([4, 4, 4], 30, 1)
    found = BalancedBags(C=3.0, times_rarest=2, bags=4, seed=7).fit(x, y)
    expected = np.zeros((12, 3))
    for bag in range(4):
        rows = few_shot_sample(y, 12, 7 + bag)
        assert np.bincount(y[rows]).tolist() == [12, 12, 6]
        plain = LogisticRegression(C=3.0, class_weight="balanced", max_iter=2000).fit(x[rows], y[rows])
        expected += plain.predict_proba(new) / 4
    np.testing.assert_allclose(found.predict_proba(new), expected, atol=2e-4)
    np.testing.assert_array_equal(found.predict(new), found.predict_proba(new).argmax(1))


def test_classes_of_one_size_need_one_bag():
    x, y = _features([5, 5], 9, 0)
    assert len(BalancedBags(bags=4).fit(x, y).models_) == 1
    assert len(BalancedBags(bags=4).fit(x[1:], y[1:]).models_) == 4
    assert len(BalancedBags(times_rarest=2, bags=4).fit(x[1:], y[1:]).models_) == 1


def test_bags_find_a_rare_class_that_weights_leave_among_the_many(monkeypatch):
    monkeypatch.setattr(probes, "PENALTIES", (30.0,))
    monkeypatch.setattr(probes, "TIMES_RAREST", (1, 2))
    x, y = _features([150, 150, 12], 300, 0, signal=0.2)
    new, truth = _features([50, 50, 50], 300, 1, signal=0.2)
    features = probes.Features(x, new)
    recall, found, settings = {}, {}, {}
    for method in ("logistic_regression", "bagged_regression"):
        found, settings = probes.fit_probe(method, features, np.arange(len(y)), y, 3, seed=0)
        recall[method] = recall_score(truth, found.argmax(1), average=None)
        np.testing.assert_allclose(found.sum(1), 1)
    assert settings.keys() == {"C", "times_rarest"} and settings["times_rarest"] in probes.TIMES_RAREST
    assert recall["bagged_regression"][2] > recall["logistic_regression"][2] + 0.2
    assert recall["bagged_regression"].mean() > recall["logistic_regression"].mean()
    again, _ = probes.fit_probe("bagged_regression", features, np.arange(len(y)), y, 3, seed=0)
    np.testing.assert_array_equal(found, again)
    other, _ = probes.fit_probe("bagged_regression", features, np.arange(len(y)), y, 3, seed=1)
    assert np.abs(found - other).max() > 1e-6


def test_bags_of_words_beside_embeddings_choose_their_weight(monkeypatch):
    monkeypatch.setattr(probes, "PENALTIES", (3.0, 30.0))
    monkeypatch.setattr(probes, "RAREST_SEEN", 9)  # of 8 documents: twice
    seen = []
    cross_validation = "sklearn.model_selection.RepeatedStratifiedKFold"
    folds = sklearn.model_selection.RepeatedStratifiedKFold
    monkeypatch.setattr(cross_validation, lambda **options: seen.append(options["n_repeats"]) or folds(**options))
    monkeypatch.setattr(probes, "TIMES_RAREST", (1, 2))
    bags = []
    fit = BalancedBags.fit
    monkeypatch.setattr(BalancedBags, "fit", lambda self, x, y: bags.append(self.bags) or fit(self, x, y))
    x, y = _features([30, 30, 8], 40, 0)
    words, embeddings = probes.Features(csr_matrix(x), csr_matrix(x)), probes.Features(x[:, :6], x[:, :6])
    both = probes.side_by_side(words, embeddings)
    found, settings = probes.fit_probe("bagged_hybrid", both, np.arange(len(y)), y, 4, seed=0)
    assert settings.keys() == {"C", "times_rarest", "embedding_weight"}
    assert (found[:, 3] == 0).all()  # a class that no training document has
    assert seen == [2]
    assert set(bags[:-1]) == {probes.BAGS_IN_SEARCH} and bags[-1] == probes.BAGS
    _, settings = probes.fit_probe("bagged_hybrid", both, np.array([0, 40, 62]), y[[0, 40, 62]], 4, seed=0)
    assert settings == {"C": 10.0, "times_rarest": 1, "embedding_weight": 1.0}


def test_bags_are_drawn_for_every_seed_and_have_their_baseline():
    cells = list(all_cells(["m"], ["hybrid", "bagged_hybrid"], ["windows"], ["none"], [None], range(3), baselines=True))
    seeds = {}
    for cell in cells:
        seeds.setdefault((cell.model, cell.method), []).append(cell.seed)
    assert seeds == {
        (None, "majority"): [0],
        (None, "tfidf"): [0],
        (None, "bagged_tfidf"): [0, 1, 2],
        ("m", "hybrid"): [0],
        ("m", "bagged_hybrid"): [0, 1, 2],
    }

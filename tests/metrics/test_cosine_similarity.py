"""Cosines within and between categories against plain loops, scikit-learn, and bootstraps over all pairs."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from metrics import blocks, category_moments, cosine_similarity
from metrics.cosine_similarity import cosine_by_category, mean_cosine


def all_pairs(embeddings, categories):
    rows = [row / np.linalg.norm(row) if np.linalg.norm(row) else None for row in embeddings.astype(np.float64)]
    within, between = [], []
    for i, first in enumerate(rows):
        for j in range(i):
            if first is None or rows[j] is None or categories[i] < 0 or categories[j] < 0:
                continue
            (within if categories[i] == categories[j] else between).append(first @ rows[j])
    return np.array(within), np.array(between)


def sample(documents=80, hidden=6, seed=0):
    rng = np.random.default_rng(seed)
    categories = rng.integers(-1, 4, documents) * 3
    categories[categories < 0] = -1
    embeddings = rng.normal(size=(documents, hidden)) + np.eye(12, hidden)[categories] + 0.3
    embeddings[[1, 40]] = 0
    categories[5] = 17  # alone
    return embeddings, categories


@pytest.mark.parametrize("tile", [11, 2_048])
@pytest.mark.parametrize("whole", [3, 2_048])
def test_equal_to_plain_loops(tile, whole, monkeypatch):
    monkeypatch.setattr(blocks, "TILE_ROWS", tile)
    monkeypatch.setattr(category_moments, "_WHOLE_CATEGORY", whole)
    embeddings, categories = sample()
    within, between = all_pairs(embeddings, categories)
    found = cosine_by_category(embeddings, categories, bins=20)
    assert found.categories.tolist() == [0, 3, 6, 9, 17]
    assert found.edges == pytest.approx(np.linspace(-1, 1, 21))
    assert found.within.tolist() == np.histogram(within, found.edges)[0].tolist()
    assert found.between.tolist() == np.histogram(between, found.edges)[0].tolist()
    assert found.within_mean.value == pytest.approx(within.mean())
    assert found.between_mean.value == pytest.approx(between.mean())
    assert found.within_sd == pytest.approx(within.std(ddof=1))
    assert found.between_sd == pytest.approx(between.std(ddof=1))
    freedom = len(within) + len(between) - 2
    pooled = ((len(within) - 1) * within.var(ddof=1) + (len(between) - 1) * between.var(ddof=1)) / freedom
    assert found.effect_size.value == pytest.approx((within.mean() - between.mean()) / math.sqrt(pooled))
    truth = np.repeat([1, 0], [len(within), len(between)])
    assert found.superiority.value == pytest.approx(roc_auc_score(truth, np.r_[within, between]), abs=1e-4)
    for measure in (found.within_mean, found.between_mean, found.effect_size, found.superiority):
        assert measure.low < measure.value < measure.high


def test_mean_cosine_of_each_two_categories():
    embeddings, categories = sample()
    found = cosine_by_category(embeddings, categories).class_cosine
    names = [0, 3, 6, 9, 17]
    for a, first in enumerate(names):
        for b, second in enumerate(names):
            keep = np.isin(categories, [first, second])
            within, between = all_pairs(embeddings[keep], categories[keep])
            if a != b:
                assert found[a, b] == pytest.approx(between.mean())
            elif first == 17:
                assert math.isnan(found[a, b])
            else:
                assert found[a, b] == pytest.approx(within.mean())


def test_cosines_that_lie_close_together_keep_their_spread():
    embeddings, categories = sample(seed=1)
    embeddings = embeddings + 3e3
    categories[[1, 40]] = -1
    within, between = all_pairs(embeddings, categories)
    found = cosine_by_category(embeddings.astype(np.float64), categories)
    assert within.std() < 1e-6
    assert math.isnan(found.effect_size.value) or found.effect_size.value == pytest.approx(
        (within.mean() - between.mean()) / between.std(), rel=0.2
    )
    narrow, categories = sample(seed=2)
    narrow = narrow + 40
    categories[[1, 40]] = -1
    within, between = all_pairs(narrow, categories)
    found = cosine_by_category(narrow, categories)
    assert found.within_sd == pytest.approx(within.std(ddof=1), rel=1e-6)


def resampled(embeddings, categories, statistic, resamples=1_000):
    """Draw documents anew and look at all their pairs again."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    upper = np.triu_indices(len(unit), 1)
    cosines, same = (unit @ unit.T)[upper], (categories[:, None] == categories)[upper]
    rng = np.random.default_rng(9)
    values = []
    for _ in range(resamples):
        times = np.bincount(rng.integers(0, len(unit), len(unit)), minlength=len(unit))
        values.append(statistic(cosines, same, np.outer(times, times)[upper].astype(float)))
    return np.percentile(values, [2.5, 97.5])


def effect_size(cosines, same, weights):
    parts = []
    for chosen in (same, ~same):
        w, c = weights[chosen], cosines[chosen]
        mean = (w * c).sum() / w.sum()
        parts.append((w.sum(), mean, (w * (c - mean) ** 2).sum()))
    (n, a, s), (m, b, r) = parts
    return (a - b) / math.sqrt((s + r) / (n + m))


def superiority(cosines, same, weights):
    order = np.argsort(cosines)
    within, between = (weights * same)[order], (weights * ~same)[order]
    return within @ np.cumsum(between) / within.sum() / between.sum()


def within_mean(cosines, same, weights):
    return (weights * same * cosines).sum() / (weights * same).sum()


@pytest.mark.parametrize(
    ("name", "statistic", "resamples"),
    [("effect_size", effect_size, 1_000), ("superiority", superiority, 400), ("within_mean", within_mean, 1_000)],
)
def test_intervals_are_those_of_a_bootstrap_over_all_pairs(name, statistic, resamples):
    rng = np.random.default_rng(3)
    categories = rng.integers(0, 3, 150)
    embeddings = rng.normal(size=(150, 6)) + np.eye(3, 6)[categories]
    low, high = resampled(embeddings, categories, statistic, resamples)
    found = getattr(cosine_by_category(embeddings, categories), name)
    assert found.high - found.low == pytest.approx(high - low, rel=0.15)
    assert (found.low + found.high) / 2 == pytest.approx((low + high) / 2, abs=0.15 * (high - low))


def test_a_sample_as_reference_hardly_touches_the_interval(monkeypatch):
    rng = np.random.default_rng(4)
    categories = rng.integers(0, 3, 400)
    embeddings = rng.normal(size=(400, 6)) + np.eye(3, 6)[categories]
    exact = cosine_by_category(embeddings, categories).superiority
    monkeypatch.setattr(cosine_similarity, "_REFERENCE_DOCUMENTS", 100)
    found = cosine_by_category(embeddings, categories).superiority
    assert found.value == exact.value
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.15 * (exact.high - exact.low))
    assert found.low != exact.low


@pytest.mark.parametrize("centred", [False, True])
def test_mean_cosine_by_loops(centred):
    embeddings = np.random.default_rng(5).normal(size=(40, 5)) + 1
    if not centred:
        embeddings[3] = 0
    rows = embeddings - embeddings.mean(0) if centred else embeddings
    within, _ = all_pairs(rows, np.zeros(40))
    found = mean_cosine(embeddings, centred)
    assert found.value == pytest.approx(within.mean())
    assert found.low < found.value < found.high
    assert mean_cosine(embeddings.astype(np.float32), centred).value == pytest.approx(within.mean(), abs=1e-6)


def test_literal_cases():
    cross = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    assert mean_cosine(cross).value == pytest.approx(-1 / 3)
    found = cosine_by_category(cross, np.array([0, 1, 0, 1]))
    assert found.within_mean.value == pytest.approx(-1) and found.between_mean.value == pytest.approx(0)
    assert found.superiority.value == 0
    assert found.class_cosine == pytest.approx(np.array([[-1, 0], [0, -1]]))


def test_all_embeddings_equal():
    same, categories = np.full((20, 4), 0.3, dtype=np.float32), np.arange(20) % 2
    found = cosine_by_category(same, categories)
    assert found.within_mean.value == found.between_mean.value == pytest.approx(1)
    assert math.isnan(found.effect_size.value) and found.effect_size.low is None
    assert found.superiority.value == pytest.approx(0.5)
    assert found.within[-1] == 90 and found.between[-1] == 100
    assert mean_cosine(same).value == pytest.approx(1)
    assert math.isnan(mean_cosine(same, centred=True).value)


@pytest.mark.parametrize(
    ("categories", "within", "between"),
    [
        ([0, 0, 0, 0], 6, 0),
        ([0, 1, 2, 3], 0, 6),
        ([-1, -1, -1, -1], 0, 0),
        ([5, -1, -1, -1], 0, 0),
        ([5, 5, -1, 2], 1, 2),
    ],
)
def test_pairs_of_one_kind_alone(categories, within, between):
    embeddings = np.random.default_rng(6).normal(size=(4, 3))
    found = cosine_by_category(embeddings, np.array(categories))
    assert (found.within.sum(), found.between.sum()) == (within, between)
    assert math.isnan(found.within_mean.value) == (not within)
    assert math.isnan(found.between_mean.value) == (not between)
    assert math.isnan(found.superiority.value) == (not within or not between)
    assert math.isnan(found.effect_size.value) == (not within or not between)


@pytest.mark.parametrize("documents", [0, 1])
def test_too_few_documents(documents):
    embeddings = np.ones((documents, 3))
    assert math.isnan(mean_cosine(embeddings).value) and math.isnan(mean_cosine(embeddings, True).value)
    found = cosine_by_category(embeddings, np.zeros(documents, dtype=np.int64))
    assert found.class_cosine.shape == (documents, documents) and not found.within.any()


def test_no_table_of_very_many_categories(monkeypatch):
    monkeypatch.setattr(category_moments, "MOST_NAMED_CATEGORIES", 3)
    embeddings = np.random.default_rng(7).normal(size=(10, 3))
    assert cosine_by_category(embeddings, np.arange(10) % 4).class_cosine is None
    assert cosine_by_category(embeddings, np.arange(10) % 3).class_cosine.shape == (3, 3)
    with pytest.raises(ValueError, match="0 bins"):
        cosine_by_category(embeddings, np.arange(10), bins=0)

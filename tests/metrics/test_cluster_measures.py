"""Cluster measures against scikit-learn and plain loops."""

import math
import warnings

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    normalized_mutual_info_score,
    silhouette_samples,
    v_measure_score,
)

from metrics.clusters import agreement_of_counts, cluster_measures, silhouettes
from metrics.measures import MEASURES
from metrics.neighbours import nearest_neighbours

NAMES = {name for name, measure in MEASURES.items() if measure.group == "clusters"}


def sample(documents=120, hidden=6, seed=0, strength=1.5):
    rng = np.random.default_rng(seed)
    categories = rng.integers(0, 4, documents)
    categories[0] = 9  # alone
    embeddings = rng.normal(size=(documents, hidden)) + strength * np.eye(10, hidden)[categories]
    return embeddings.astype(np.float32), categories


def test_silhouettes_are_those_of_scikit_learn(monkeypatch):
    monkeypatch.setattr("metrics.blocks._BLOCK_NUMBERS", 50)
    embeddings, categories = sample()
    embeddings[7] = 0
    expected = silhouette_samples(embeddings.astype(np.float64), categories, metric="cosine")
    assert silhouettes(embeddings, categories) == pytest.approx(expected, abs=1e-9)
    assert expected.std() > 0.1 and expected[0] == 0


def test_equal_to_scikit_learn_and_loops():
    embeddings, categories = sample()
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = cluster_measures(embeddings, categories, seeds=3, k=7)
    assert set(found) == NAMES
    assert found["silhouette"].value == pytest.approx(
        silhouette_samples(embeddings, categories, metric="cosine").mean(), abs=1e-6
    )
    assert found["davies_bouldin"].value == pytest.approx(davies_bouldin_score(unit, categories), rel=1e-4)
    assert found["calinski_harabasz"].value == pytest.approx(calinski_harabasz_score(unit, categories), rel=1e-4)
    runs = [KMeans(5, n_init=1, random_state=seed).fit_predict(unit) for seed in range(3)]
    for name, score in {
        "kmeans_v_measure": v_measure_score,
        "kmeans_ari": adjusted_rand_score,
        "kmeans_nmi": lambda a, b: normalized_mutual_info_score(a, b, average_method="geometric"),
    }.items():
        assert found[name].value == pytest.approx(np.mean([score(categories, run) for run in runs]), abs=1e-6)
    assert found["kmeans_nmi"].value != found["kmeans_v_measure"].value
    shares = []
    for row in range(120):
        near = sorted((place for place in range(120) if place != row), key=lambda place: -unit[row] @ unit[place])[:7]
        shares.append(sum(categories[place] == categories[row] for place in near) / 7)
    assert found["knn_purity"].value == pytest.approx(np.mean(shares))
    for measure in found.values():
        assert measure.low < measure.value < measure.high


def test_documents_without_category_or_direction_are_left_out():
    embeddings, categories = sample()
    expected = cluster_measures(embeddings, categories, seeds=1)
    more = np.concatenate([np.random.default_rng(1).normal(size=(9, 6)), np.zeros((3, 6)), embeddings])
    left_out = np.concatenate([np.full(9, -1), [0, 1, 2], categories])
    # Neighbours among all documents are of no use there.
    neighbours = nearest_neighbours(more, 10).indices
    found = cluster_measures(more.astype(np.float32), left_out, seeds=1, neighbours=neighbours)
    assert found == expected


def test_known_neighbours_are_used():
    embeddings, categories = sample()
    neighbours = nearest_neighbours(embeddings, 12).indices
    expected = cluster_measures(embeddings, categories, seeds=1, k=4)["knn_purity"]
    assert cluster_measures(embeddings, categories, seeds=1, k=4, neighbours=neighbours)["knn_purity"] == expected
    wrong = np.roll(neighbours, 1, axis=0)
    assert cluster_measures(embeddings, categories, seeds=1, k=4, neighbours=wrong)["knn_purity"] != expected


def test_agreement_of_counts_is_that_of_scikit_learn():
    rng = np.random.default_rng(2)
    for rows, columns in ((3, 4), (1, 3), (4, 1), (1, 1)):
        true, said = rng.integers(0, rows, 50), rng.integers(0, columns, 50)
        said[:20] = true[:20] % columns
        cells = np.bincount(true * columns + said, minlength=rows * columns)
        found = agreement_of_counts(*(c[None].astype(float) for c in (cells, np.bincount(true), np.bincount(said))))
        assert found["kmeans_v_measure"][0] == pytest.approx(v_measure_score(true, said), abs=1e-9)
        assert found["kmeans_ari"][0] == pytest.approx(adjusted_rand_score(true, said), abs=1e-9)
        expected = normalized_mutual_info_score(true, said, average_method="geometric")
        assert found["kmeans_nmi"][0] == pytest.approx(expected, abs=1e-9)


def test_intervals_are_as_wide_as_values_differ_between_samples(monkeypatch):
    monkeypatch.setattr("metrics.clusters.RESAMPLES", 20)  # of k-means, which is not looked at
    draws = [cluster_measures(*sample(150, seed=seed), seeds=1) for seed in range(8)]
    for name in ("silhouette", "davies_bouldin", "calinski_harabasz", "knn_purity"):
        spread = 2 * 1.96 * np.std([draw[name].value for draw in draws], ddof=1)
        width = np.mean([draw[name].high - draw[name].low for draw in draws])
        assert 0.4 * spread < width < 2.5 * spread


@pytest.mark.parametrize("documents", [0, 1, 2, 6])
@pytest.mark.parametrize("kind", ["one category", "each its own", "no category"])
def test_what_is_not_defined_is_not_a_number(documents, kind):
    embeddings = np.random.default_rng(documents).normal(size=(documents, 3))
    categories = {"one category": np.zeros(documents, int), "each its own": np.arange(documents)}.get(
        kind, np.full(documents, -1)
    )
    found = cluster_measures(embeddings, categories)
    assert set(found) == NAMES
    purity = found.pop("knn_purity")
    assert all(math.isnan(measure.value) and measure.low is None for measure in found.values())
    if documents < 2 or kind == "no category":
        assert math.isnan(purity.value)
    else:
        assert purity.value == (kind == "one category")


def test_embeddings_that_coincide():
    categories = np.arange(40) % 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = cluster_measures(np.full((40, 5), 0.3, dtype=np.float32), categories, seeds=1)
        tight = cluster_measures(np.eye(4, 6)[categories], categories, seeds=1)
    assert same["silhouette"].value == 0
    assert math.isnan(same["davies_bouldin"].value) and math.isnan(same["calinski_harabasz"].value)
    assert same["kmeans_v_measure"].value == pytest.approx(0) and same["kmeans_ari"].value == pytest.approx(0)
    assert tight["silhouette"].value == pytest.approx(1) and tight["davies_bouldin"].value == pytest.approx(0)
    assert math.isnan(tight["calinski_harabasz"].value)
    assert tight["knn_purity"].value == pytest.approx(9 / 10)  # nine others, and one of the next category
    assert tight["kmeans_ari"].value == pytest.approx(1)


def test_faults_are_refused():
    embeddings, categories = sample()
    for options in ({"seeds": 0}, {"k": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            cluster_measures(embeddings, categories, **options)
    with pytest.raises(ValueError, match="categories of shape"):
        cluster_measures(embeddings, categories[1:])
    embeddings[3, 0] = np.nan
    with pytest.raises(ValueError, match="row 3 "):
        cluster_measures(embeddings, categories)


def test_no_interval_leaves_what_a_measure_can_be():
    embeddings = np.random.default_rng(0).normal(size=(60, 8))
    found = cluster_measures(embeddings, np.arange(60) % 3)
    for name, least in (("kmeans_v_measure", 0.0), ("kmeans_nmi", 0.0), ("kmeans_ari", -0.5)):
        assert least <= found[name].low <= found[name].value <= found[name].high <= 1, name

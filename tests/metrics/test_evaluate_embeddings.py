"""The measures of embeddings as `evaluate` runs them, without a network."""

import numpy as np
import pytest

from metrics.alignment import alignment
from metrics.clusters import cluster_measures
from metrics.evaluate_embeddings import (
    AlignmentMetric,
    ClusterMetric,
    GeometryMetric,
    RatedSimilarityMetric,
    RetrievalMetric,
)
from metrics.geometry import geometry
from metrics.measures import MEASURES
from metrics.retrieval import category_retrieval
from metrics.text_similarity import spearman_of_cosines


@pytest.mark.parametrize(
    ("metric", "function", "group", "options"),
    [
        (GeometryMetric, geometry, "geometry", {"k": 5}),
        (ClusterMetric, cluster_measures, "clusters", {"seeds": 2, "k": 5, "seed": 3}),
        (RetrievalMetric, category_retrieval, "retrieval", {"ks": (1, 10), "seed": 1}),
    ],
)
def test_in_batches(metric, function, group, options, tmp_path):
    rng = np.random.default_rng(0)
    categories = rng.integers(-1, 3, 60)
    embeddings = (rng.normal(size=(60, 4)) + np.eye(4)[categories]).astype(np.float32)
    gathered = metric(cache_dir=str(tmp_path))
    for start, stop in ((0, 25), (25, 60)):
        gathered.add_batch(embeddings=embeddings[start:stop], categories=categories[start:stop])
    found = gathered.compute(**options)
    expected = function(embeddings, categories, **options)
    assert {name for name in expected if MEASURES[name].group != group} == set()
    values = {name: measure.value for name, measure in expected.items()}
    for name, measure in expected.items():
        if measure.low is not None:
            values |= {f"{name}_low": measure.low, f"{name}_high": measure.high}
    assert len(values) > len(expected)
    assert found == pytest.approx(values)


def test_pairs_in_batches(tmp_path):
    rng = np.random.default_rng(0)
    first = rng.normal(size=(40, 4)).astype(np.float32)
    second = (first + rng.normal(size=(40, 4))).astype(np.float32)
    ratings = rng.normal(size=40)
    parts = AlignmentMetric(cache_dir=str(tmp_path))
    rated = RatedSimilarityMetric(cache_dir=str(tmp_path))
    for rows in (slice(0, 15), slice(15, 40)):
        parts.add_batch(first=first[rows], second=second[rows])
        rated.add_batch(first=first[rows], second=second[rows], ratings=ratings[rows])
    expected = alignment(first, second, seed=2)
    found = parts.compute(seed=2)
    assert found == pytest.approx(
        {"alignment": expected.value, "alignment_low": expected.low, "alignment_high": expected.high}
    )
    score = spearman_of_cosines(first, second, ratings)
    assert rated.compute()["similarity_spearman"] == pytest.approx(score.value)

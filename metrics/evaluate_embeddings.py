"""Measures of embeddings as `evaluate.Metric`: accumulate with `add_batch`, then `compute`.

Importing this module imports `evaluate`, which takes seconds. The metrics are made directly, without `evaluate.load`,
which would look for a script on the Hub:

    metric = ClusterMetric()
    metric.add_batch(embeddings=embeddings, categories=categories)
    metric.compute(k=10)

Each gives its measures by their names in `metrics.measures`, with `NAME_low` and `NAME_high` where there are intervals.
Categories are whole numbers, -1 for a document that has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import evaluate
import numpy as np

from metrics.alignment import alignment
from metrics.clusters import cluster_measures
from metrics.geometry import geometry
from metrics.measured import Measured
from metrics.retrieval import category_retrieval
from metrics.text_similarity import spearman_of_cosines


def named_values(measures: Mapping[str, Measured]) -> dict[str, float]:
    """Return values by name, and the ends of their intervals as `NAME_low` and `NAME_high`."""
    found: dict[str, float] = {}
    for name, measure in measures.items():
        found[name] = measure.value
        if measure.low is not None and measure.high is not None:
            found[f"{name}_low"], found[f"{name}_high"] = measure.low, measure.high
    return found


def embedding_info(description: str) -> evaluate.MetricInfo:
    """Describe a metric that takes embeddings and categories."""
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description="Embeddings, and categories as whole numbers, -1 where there is none.",
        features=datasets.Features(
            {"embeddings": datasets.Sequence(datasets.Value("float32")), "categories": datasets.Value("int64")}
        ),
    )


class GeometryMetric(evaluate.Metric):
    """Geometry of the embeddings; see `metrics.geometry.geometry`.

    `compute(embeddings, categories, k=10, seed=0)`.
    """

    def _info(self) -> evaluate.MetricInfo:
        return embedding_info("Uniformity, cosines, isotropy, intrinsic dimension and hubness of embeddings.")

    def _compute(self, embeddings: Any, categories: Any, k: int = 10, seed: int = 0) -> dict[str, float]:
        numbers = np.asarray(categories, dtype=np.int64)
        return named_values(geometry(_matrix(embeddings), numbers, k=k, seed=seed))


class ClusterMetric(evaluate.Metric):
    """Separation of the categories; see `metrics.clusters.cluster_measures`.

    `compute(embeddings, categories, seeds=5, k=10, seed=0)`.
    """

    def _info(self) -> evaluate.MetricInfo:
        return embedding_info("Silhouette, Davies-Bouldin, Calinski-Harabasz, k-means agreement and neighbour purity.")

    def _compute(
        self, embeddings: Any, categories: Any, seeds: int = 5, k: int = 10, seed: int = 0
    ) -> dict[str, float]:
        numbers = np.asarray(categories, dtype=np.int64)
        return named_values(cluster_measures(_matrix(embeddings), numbers, seeds, k, seed))


class RetrievalMetric(evaluate.Metric):
    """Retrieval within categories; see `metrics.retrieval.category_retrieval`.

    `compute(embeddings, categories, ks=(1, 10), seed=0)`.
    """

    def _info(self) -> evaluate.MetricInfo:
        return embedding_info("Mean average precision, recall and nDCG of documents of the same category.")

    def _compute(
        self, embeddings: Any, categories: Any, ks: Sequence[int] = (1, 10), seed: int = 0
    ) -> dict[str, float]:
        numbers = np.asarray(categories, dtype=np.int64)
        return named_values(category_retrieval(_matrix(embeddings), numbers, ks, seed))


class AlignmentMetric(evaluate.Metric):
    """Alignment of two parts of a document; see `metrics.alignment.alignment`.

    `compute(first, second, alpha=2.0, seed=0)`.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _pair_info("Mean distance of the unit embeddings of two parts of a document.", rated=False)

    def _compute(self, first: Any, second: Any, alpha: float = 2.0, seed: int = 0) -> dict[str, float]:
        return named_values({"alignment": alignment(_matrix(first), _matrix(second), alpha, seed)})


class RatedSimilarityMetric(evaluate.Metric):
    """Cosine against people's ratings of text pairs; see `metrics.text_similarity.spearman_of_cosines`.

    `compute(first, second, ratings, seed=0)`.
    """

    def _info(self) -> evaluate.MetricInfo:
        return _pair_info("Rank correlation of cosine and ratings.", rated=True)

    def _compute(self, first: Any, second: Any, ratings: Any, seed: int = 0) -> dict[str, float]:
        found = spearman_of_cosines(_matrix(first), _matrix(second), np.asarray(ratings, dtype=np.float64), seed=seed)
        return named_values({"similarity_spearman": found})


def _pair_info(description: str, *, rated: bool) -> evaluate.MetricInfo:
    """Describe a metric that takes pairs of embeddings."""
    vector = datasets.Sequence(datasets.Value("float32"))
    features = {"first": vector, "second": vector} | ({"ratings": datasets.Value("float64")} if rated else {})
    return evaluate.MetricInfo(
        description=description,
        citation="",
        inputs_description="Embeddings of the first and the second text of each pair.",
        features=datasets.Features(features),
    )


def _matrix(embeddings: Any) -> np.ndarray:
    return np.asarray(embeddings, dtype=np.float32)

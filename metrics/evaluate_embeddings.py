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

from metrics.clusters import cluster_measures
from metrics.geometry import geometry
from metrics.measured import Measured
from metrics.retrieval import category_retrieval


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


def _matrix(embeddings: Any) -> np.ndarray:
    return np.asarray(embeddings, dtype=np.float32)

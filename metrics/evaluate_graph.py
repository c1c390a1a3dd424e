"""Measures of a similarity graph as an `evaluate.Metric`; see `metrics.evaluate_metrics` for how those are used.

metric = GraphMetric("knn")
metric.add_batch(predictions=embeddings, references=categories)
metric.compute(k=10)
"""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np

from metrics.graph import graph_measures
from metrics.similarity_graph import density_graph, knn_graph, threshold_graph

KINDS = ("knn", "mutual_knn", "threshold", "density")


class GraphMetric(evaluate.Metric):
    """What the graph of similar documents is like (`metrics.graph.graph_measures`).

    `GraphMetric("knn")` and `GraphMetric("mutual_knn")` join each document to its `k` nearest,
    `GraphMetric("threshold")` all pairs whose cosine is at or above `threshold`, `GraphMetric("density")` the share
    `density` of all pairs.
    `compute(predictions, references, k=10, threshold=0.5, density=0.01, seed=0)` takes embeddings and category numbers
    (-1 for none) and gives `graph_edges`, `graph_components`, ..., not a number where undefined.
    """

    def _info(self) -> evaluate.MetricInfo:
        if self.config_name not in (*KINDS, "default"):
            raise ValueError(f"no graph {self.config_name!r}; choose from {', '.join(KINDS)}")
        return evaluate.MetricInfo(
            description="Components, degrees, clustering, assortativity and communities of a similarity graph.",
            citation="",
            inputs_description="Embeddings, and category numbers with -1 for none.",
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float32")), "references": datasets.Value("int64")}
            ),
        )

    def _compute(
        self,
        predictions: Any,
        references: Any,
        k: int = 10,
        threshold: float = 0.5,
        density: float = 0.01,
        seed: int = 0,
    ) -> dict[str, float]:
        embeddings, categories = np.asarray(predictions, dtype=np.float32), np.asarray(references)
        if self.config_name == "threshold":
            graph = threshold_graph(embeddings, threshold)
        elif self.config_name == "density":
            graph = density_graph(embeddings, density)
        else:
            graph = knn_graph(embeddings, k, mutual=self.config_name == "mutual_knn")
        return {name: measured.value for name, measured in graph_measures(graph, categories, seed).items()}

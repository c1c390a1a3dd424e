"""How a graph of similar documents changes with its threshold, its number of neighbours, or its density.

All pairs of documents are passed over once for a sweep of thresholds, whatever their number, once for a sweep of
neighbours and three times for one of densities. What can be counted pair by pair (edges, degrees, categories at both
ends) or read from the maximum spanning tree (components) is exact at every value; what needs the graph itself is not a
number where the graph exceeds `GraphLimits`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from metrics.graph import (
    EXPENSIVE,
    LIMITS,
    SWEEP_LIMITS,
    GraphLimits,
    category_codes,
    category_measures,
    component_measures,
    degree_measures,
    expensive_measures,
    graph_measures,
)
from metrics.neighbours import Neighbours, nearest_neighbours
from metrics.percolation import Percolation, SpanningTree
from metrics.similarity_graph import (
    density_thresholds,
    edges_of_density,
    neighbour_graph,
    symmetric_graph,
)
from metrics.similarity_pairs import EdgeCollector, ThresholdCounts, reachable, scan_pairs, unit_documents

Kind = Literal["threshold", "knn", "mutual_knn", "density"]


@dataclass(frozen=True)
class Sweep:
    """Measures of a series of graphs.

    Args:
        kind: What is varied.
        values: Thresholds, numbers of neighbours, or densities, in the given order.
        measures: By name (`metrics.measures`) one number for each value, not a number where undefined or left out.
        percolation: Of the same documents; of threshold and density sweeps.
    """

    kind: Kind
    values: list[float]
    measures: dict[str, list[float]]
    percolation: Percolation | None = field(default=None, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return values and measures for JSON, null for not a number."""
        measures = {
            name: [None if math.isnan(number) else number for number in numbers]
            for name, numbers in self.measures.items()
        }
        return {"values": self.values, "measures": measures}


def threshold_sweep(
    embeddings: np.ndarray,
    thresholds: Sequence[float],
    categories: np.ndarray | None = None,
    seed: int = 0,
    limits: GraphLimits = SWEEP_LIMITS,
) -> Sweep:
    """Measure the graphs of all pairs at or above each cosine threshold.

    Args:
        embeddings: `(documents, hidden)`; vectors of length zero are joined to none.
        thresholds: From -1 to 1.
        categories: `(documents,)` numbers, -1 for none.
        seed: Of Louvain's method.
        limits: Above which the expensive measures are left out.

    Raises:
        ValueError: Not a matrix of finite values, not one category a document, or a threshold that is not a number.
    """
    thresholds = [float(threshold) for threshold in thresholds]
    if any(math.isnan(threshold) for threshold in thresholds):
        raise ValueError("a threshold is not a number")
    unit, rows = unit_documents(embeddings)
    codes = category_codes(categories, len(embeddings))
    reached = list(map(reachable, thresholds))
    measures, percolation = _at_thresholds(unit, rows, len(embeddings), reached, codes, seed, limits)
    return Sweep("threshold", thresholds, measures, percolation)


def density_sweep(
    embeddings: np.ndarray,
    densities: Sequence[float],
    categories: np.ndarray | None = None,
    seed: int = 0,
    limits: GraphLimits = SWEEP_LIMITS,
) -> Sweep:
    """Measure the graphs of the most similar pairs, each a share of all pairs; see `threshold_sweep`.

    Args:
        embeddings: `(documents, hidden)`.
        densities: From 0 to 1; pairs as similar as the last one are joined too.
        categories: `(documents,)` numbers, -1 for none.
        seed: Of Louvain's method.
        limits: Above which the expensive measures are left out.
    """
    densities = [float(density) for density in densities]
    edges = [edges_of_density(len(embeddings), density) for density in densities]
    unit, rows = unit_documents(embeddings)
    codes = category_codes(categories, len(embeddings))
    # In the order of the later scan, so that it meets the same cosines to the last bit.
    order = _category_order(codes, rows)
    unit, rows = unit[order], rows[order]
    thresholds = density_thresholds(unit, edges)
    measures, percolation = _at_thresholds(unit, rows, len(embeddings), thresholds, codes, seed, limits)
    return Sweep("density", densities, measures, percolation)


def knn_sweep(
    embeddings: np.ndarray,
    ks: Sequence[int],
    categories: np.ndarray | None = None,
    mutual: bool = False,
    seed: int = 0,
    limits: GraphLimits = LIMITS,
) -> Sweep:
    """Measure the graphs that join each document to its `k` nearest, for several `k`.

    Args:
        embeddings: `(documents, hidden)`; vectors of length zero are joined to none.
        ks: Numbers of neighbours; all others when there are fewer.
        categories: `(documents,)` numbers, -1 for none.
        mutual: Only where each is among the nearest of the other.
        seed: Of Louvain's method.
        limits: Above which the expensive measures are left out.
    """
    ks = [int(k) for k in ks]
    if min(ks, default=1) < 1:
        raise ValueError(f"k is {min(ks)}; a document needs at least one neighbour")
    neighbours = nearest_neighbours(embeddings, max(ks, default=1))
    columns: dict[str, list[float]] = {}
    for k in ks:
        graph = neighbour_graph(Neighbours(neighbours.indices[:, :k], neighbours.scores[:, :k]), mutual)
        for name, measured in graph_measures(graph, categories, seed, limits).items():
            columns.setdefault(name, []).append(measured.value)
    return Sweep("mutual_knn" if mutual else "knn", [float(k) for k in ks], columns)


def _category_order(codes: np.ndarray | None, rows: np.ndarray) -> np.ndarray:
    """Return the order of the documents that `ThresholdCounts` wants: by category, without one last."""
    if codes is None:
        return np.arange(len(rows))
    of_rows = codes[rows]
    return np.argsort(np.where(of_rows < 0, np.iinfo(np.int64).max, of_rows), kind="stable")


def _at_thresholds(
    unit: np.ndarray,
    rows: np.ndarray,
    documents: int,
    thresholds: list[float],
    codes: np.ndarray | None,
    seed: int,
    limits: GraphLimits,
) -> tuple[dict[str, list[float]], Percolation]:
    order = _category_order(codes, rows)
    unit, rows = unit[order], rows[order]
    of_rows = np.full(len(rows), -1) if codes is None else codes[rows]
    rising = sorted(set(np.maximum(thresholds, -1.0).astype(np.float32).tolist()))
    tree, counts = SpanningTree(len(unit)), ThresholdCounts(rising, of_rows)
    collector = EdgeCollector(rising, limits.edges)
    scan_pairs(unit, [tree, counts, collector])
    percolation = tree.percolation(rows, documents)
    first, second, cosines = collector.edges()
    columns: dict[float, dict[str, float]] = {}
    for place, threshold in enumerate(rising):
        degrees = np.zeros(documents, dtype=np.int64)
        degrees[rows] = counts.degrees[place]
        found = degree_measures(degrees) | component_measures(percolation.component_sizes(threshold), documents)
        if codes is not None:
            sums = np.bincount(of_rows[: counts.known], counts.known_degrees[place]).astype(np.int64)
            found |= category_measures(int(counts.within[place]), sums)
        found |= dict.fromkeys(EXPENSIVE if codes is not None else EXPENSIVE[:4], math.nan)
        if threshold >= collector.threshold:
            kept = cosines >= np.float32(threshold)
            graph = symmetric_graph(rows[first[kept]], rows[second[kept]], cosines[kept], documents)
            found |= expensive_measures(graph, codes, seed, limits)
        columns[threshold] = found
    given = np.maximum(thresholds, -1.0).astype(np.float32).tolist()
    names = columns[given[0]] if given else ()
    return {name: [columns[threshold][name] for threshold in given] for name in names}, percolation

"""What a graph of similar documents is like: components, degrees, triangles, categories, communities.

All measures are those of the unweighted graph and equal networkx's; counts and closed formulas on the sparse matrix do
what networkx would loop over. Only Louvain's method is networkx's own. The names are those of `metrics.measures`.

There are no intervals: resampling documents puts copies beside each other, which any graph of similar documents joins,
so a bootstrap would describe other graphs than this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metrics.blocks import checked_categories
from metrics.measured import Measured
from metrics.similarity_graph import MAX_EDGES
from metrics.triangles import local_clustering, triangles, wedge_work

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class GraphLimits:
    """Above which size the expensive measures are left out: not a number, rather than those of a sample.

    Args:
        edges: Edges of a graph that a sweep holds in memory; above it only what can be counted pair by pair is given.
        triangle_steps: Steps to count triangles (the sum of the squared degrees); some 300 million a second.
        louvain_edges: Edges for Louvain's method; some 5,000 a second.
    """

    edges: int = MAX_EDGES
    triangle_steps: int = 3_000_000_000
    louvain_edges: int = 200_000


LIMITS = GraphLimits()
# For sweeps over thresholds, where dozens of graphs may come near the limit.
SWEEP_LIMITS = GraphLimits(louvain_edges=50_000)
EXPENSIVE = (
    "graph_clustering",
    "graph_transitivity",
    "graph_communities",
    "graph_louvain_modularity",
    "graph_community_nmi",
    "graph_community_ari",
)


def graph_measures(
    graph: csr_array, categories: np.ndarray | None = None, seed: int = 0, limits: GraphLimits = LIMITS
) -> dict[str, Measured]:
    """Measure a graph of similar documents.

    Args:
        graph: `(documents, documents)` symmetric without loops, as `metrics.similarity_graph` makes it; every stored
            value is an edge.
        categories: `(documents,)` numbers, -1 for none. Documents without one are left out of what concerns categories.
            Without categories those measures are missing.
        seed: Of Louvain's method.
        limits: Above which size measures are not a number.

    Returns:
        By name. Not a number is also what the graph leaves undefined: densities and shares of no document, modularity
        without edges, assortativity without edges between categories that could differ.

    Raises:
        ValueError: Not a square matrix, or not one category a document.
    """
    documents = graph.shape[0]
    if graph.shape != (documents, documents):
        raise ValueError(f"a graph is a square matrix, not one of shape {graph.shape}")
    codes = category_codes(categories, documents)
    pattern = _pattern(graph)
    found = degree_measures(np.diff(pattern.indptr)) | component_measures(component_sizes(pattern), documents)
    if codes is not None:
        within, degrees = _category_counts(pattern, codes)
        found |= category_measures(within, degrees)
    found |= expensive_measures(pattern, codes, seed, limits)
    return {name: Measured(float(value)) for name, value in found.items()}


def category_codes(categories: np.ndarray | None, documents: int) -> np.ndarray | None:
    """Return the categories as `(documents,)` int64 with -1 for none, or None when there are none at all.

    Raises:
        ValueError: They are not whole numbers, one for each document.
    """
    return None if categories is None else np.maximum(checked_categories(categories, documents), -1)


def degree_measures(degrees: np.ndarray) -> dict[str, float]:
    """Return edges, density and the degree distribution from `(documents,)` degrees."""
    documents, total = len(degrees), int(degrees.sum())
    found = {"graph_edges": total / 2, "graph_density": math.nan}
    if documents > 1:
        found["graph_density"] = total / (documents * (documents - 1))
    summaries = {
        "graph_isolated_share": lambda values: (values == 0).mean(),
        "graph_mean_degree": np.mean,
        "graph_median_degree": np.median,
        "graph_max_degree": np.max,
        "graph_degree_gini": _gini,
    }
    return found | {name: float(summary(degrees)) if documents else math.nan for name, summary in summaries.items()}


def component_sizes(graph: csr_array) -> np.ndarray:
    """Return the sizes of the components, falling."""
    from scipy.sparse.csgraph import connected_components

    if not graph.shape[0]:
        return np.empty(0, dtype=np.int64)
    labels = connected_components(_pattern(graph), directed=False)[1]
    return np.sort(np.bincount(labels))[::-1]


def component_measures(sizes: np.ndarray, documents: int) -> dict[str, float]:
    """Return what the sizes of the components, falling, say."""
    first, second = (float(sizes[place]) if len(sizes) > place else 0.0 for place in (0, 1))
    return {
        "graph_components": float(len(sizes)),
        "graph_giant_share": first / documents if documents else math.nan,
        "graph_second_share": second / documents if documents else math.nan,
    }


def category_measures(within: int, degrees: np.ndarray) -> dict[str, float]:
    """Return assortativity (Newman 2003, eq. 2) and modularity (Newman and Girvan 2004, eq. 5) of the categories.

    Args:
        within: Edges within a category.
        degrees: `(categories,)` sum of the degrees of the documents of each, counting partners with a category only.
    """
    shares = _modularity_parts(within, degrees)
    modularity = shares[0] - shares[1]
    # Shares of whole numbers: exactly 1 when all ends of edges lie in one category.
    assortativity = modularity / (1 - shares[1]) if shares[1] < 1 else math.nan
    return {"graph_assortativity": assortativity, "graph_category_modularity": modularity}


def expensive_measures(
    graph: csr_array, codes: np.ndarray | None = None, seed: int = 0, limits: GraphLimits = LIMITS
) -> dict[str, float]:
    """Return what needs triangles (Watts and Strogatz 1998; Newman 2010, eq. 7.41) or Louvain's method.

    Args:
        graph: As in `graph_measures`.
        codes: Of `category_codes`.
        seed: Of Louvain's method.
        limits: Above which they are not a number.
    """
    found = dict.fromkeys(EXPENSIVE if codes is not None else EXPENSIVE[:4], math.nan)
    if not graph.shape[0]:
        return found
    degrees = np.diff(graph.indptr).astype(np.int64)
    if wedge_work(degrees) <= limits.triangle_steps:
        counts = triangles(graph)
        found["graph_clustering"] = float(local_clustering(counts, degrees).mean())
        triples = int((degrees * (degrees - 1) // 2).sum())
        found["graph_transitivity"] = int(counts.sum()) / triples if triples else 0.0
    if graph.nnz // 2 <= limits.louvain_edges:
        labels = communities(graph, seed)
        within, sums = _category_counts(graph, labels)
        shares = _modularity_parts(within, sums)
        found["graph_communities"] = float(labels.max() + 1)
        found["graph_louvain_modularity"] = shares[0] - shares[1]
        if codes is not None and (codes >= 0).any():
            from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

            known = codes >= 0
            found["graph_community_nmi"] = float(normalized_mutual_info_score(codes[known], labels[known]))
            found["graph_community_ari"] = float(adjusted_rand_score(codes[known], labels[known]))
    return found


def communities(graph: csr_array, seed: int = 0) -> np.ndarray:
    """Return the number of each document's community by Louvain's method (Blondel et al. 2008), by networkx.

    Args:
        graph: As in `graph_measures`; unweighted.
        seed: Of the order in which documents are moved.
    """
    import networkx

    documents = graph.shape[0]
    rows, columns = _ends(graph)
    upper = rows < columns
    made = networkx.Graph()
    made.add_nodes_from(range(documents))
    made.add_edges_from(zip(rows[upper].tolist(), columns[upper].tolist(), strict=True))
    labels = np.empty(documents, dtype=np.int64)
    for number, members in enumerate(networkx.community.louvain_communities(made, weight=None, seed=seed)):
        labels[list(members)] = number
    return labels


def _pattern(graph: csr_array) -> csr_array:
    """Return the graph with 1 for each edge: a cosine of zero would be no edge to scipy."""
    from scipy.sparse import csr_array

    return csr_array((np.ones(graph.nnz, dtype=np.int32), graph.indices, graph.indptr), shape=graph.shape)


def _ends(graph: csr_array) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr)), graph.indices


def _category_counts(graph: csr_array, codes: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the edges within categories and the degree sums of the categories, among documents that have one."""
    first, second = (codes[end] for end in _ends(graph))
    known = (first >= 0) & (second >= 0)
    degrees = np.bincount(first[known])
    return int((first[known] == second[known]).sum()) // 2, degrees


def _modularity_parts(within: int, degrees: np.ndarray) -> tuple[float, float]:
    """Return the share of edges within groups and its expectation from the degrees; not a number without edges."""
    total = int(degrees.sum())
    if not total:
        return math.nan, math.nan
    return 2 * within / total, sum(int(degree) ** 2 for degree in degrees) / total**2


def _gini(degrees: np.ndarray) -> float:
    """Return the Gini coefficient: 0 when all degrees are equal; not a number when all are 0."""
    count, total = len(degrees), int(degrees.sum())
    if not total:
        return math.nan
    ranks = np.arange(1, count + 1)
    return float(2 * (ranks * np.sort(degrees)).sum() / (count * total) - (count + 1) / count)

"""Maps of an embedding space: the first principal components, t-SNE, and a drawing of its similarity graph."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from metrics.blocks import unit_rows

# t-SNE on so many principal components (van der Maaten and Hinton 2008, section 4.2): less noise, and faster.
COMPONENTS = 50
DRAWN_NEIGHBOURS = 4
FEWEST = 5  # documents without which there is nothing to lay out


def principal_components(embeddings: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the first principal components of unit embeddings, each with its largest coordinate positive.

    Returns:
        `(documents, count)` float32; zeros for components that there are not.
    """
    from sklearn.decomposition import PCA

    unit = unit_rows(np.asarray(embeddings), np.float32)
    found = np.zeros((len(unit), count), dtype=np.float32)
    kept = min(count, *unit.shape)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        # Embeddings that all coincide have no share of variance to explain.
        warnings.simplefilter("ignore", RuntimeWarning)
        solver = "covariance_eigh" if unit.shape[0] > unit.shape[1] else "full"
        found[:, :kept] = PCA(kept, svd_solver=solver, random_state=seed).fit_transform(unit)
    largest = np.abs(found).argmax(0)
    return found * np.where(found[largest, np.arange(count)] < 0, -1, 1).astype(np.float32)


def tsne_map(components: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """Return the t-SNE map (van der Maaten and Hinton 2008) of principal components.

    Returns:
        `(documents, 2)` float32; not a number with fewer than five documents, or where all coincide.
    """
    from sklearn.manifold import TSNE

    documents = len(components)
    if documents < FEWEST or not np.ptp(components, axis=0).any():
        return np.full((documents, 2), np.nan, dtype=np.float32)
    return TSNE(perplexity=min(perplexity, (documents - 1) / 3), init="pca", random_state=seed, n_jobs=1).fit_transform(
        components
    )


def drawn_documents(documents: int, count: int, seed: int) -> np.ndarray:
    """Return the documents that a drawing or a map shows, in their order; the same for all models."""
    if documents <= count:
        return np.arange(documents)
    return np.sort(np.random.default_rng([seed, 6]).choice(documents, count, replace=False))


def graph_drawing(embeddings: np.ndarray, rows: np.ndarray, seed: int) -> dict[str, Any] | None:
    """Lay out the graph that joins each of some documents to its nearest among them (Fruchterman and Reingold 1991).

    Args:
        embeddings: `(documents, hidden)`.
        rows: Documents to draw.
        seed: Of the layout.

    Returns:
        What result files hold; None with fewer than five documents.
    """
    import networkx

    from metrics.similarity_graph import knn_graph

    if len(rows) < FEWEST:
        return None
    joined = knn_graph(np.asarray(embeddings[rows]), DRAWN_NEIGHBOURS).tocoo()
    edges = [(int(a), int(b)) for a, b in zip(joined.row, joined.col, strict=True) if a < b]
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(rows)))
    graph.add_edges_from(edges)
    places = networkx.spring_layout(graph, k=1.6 / np.sqrt(len(rows)), iterations=120, seed=seed)
    layout = np.array([places[node] for node in range(len(rows))], dtype=np.float32)
    return {
        "kind": "knn",
        "neighbours": DRAWN_NEIGHBOURS,
        "documents": rows.tolist(),
        "x": [round(float(value), 4) for value in layout[:, 0]],
        "y": [round(float(value), 4) for value in layout[:, 1]],
        "edges": [list(edge) for edge in edges],
    }

"""All that is measured of one embedding space."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.clusters import cluster_measures
from metrics.geometry import geometry, pair_statistics
from metrics.graph_sweep import density_sweep, knn_sweep, threshold_sweep
from metrics.measured import Measured
from metrics.retrieval import category_retrieval
from space_maps import COMPONENTS, drawn_documents, graph_drawing, principal_components, tsne_map
from space_options import MeasureOptions

RETRIEVED = (1, 10)


@dataclass(frozen=True, eq=False)
class Space:
    """What is known of a model's embedding space.

    Args:
        name: Of the model.
        embeddings: `(documents, hidden)`.
        categories: `(documents,)` places of categories, -1 for none; None without.
        halves: Embeddings of the first and the second halves of documents; None without.
        rated: Embeddings of the first and the second texts of pairs, and their ratings; None without.
    """

    name: str
    embeddings: np.ndarray
    categories: np.ndarray | None
    halves: tuple[np.ndarray, np.ndarray] | None = None
    rated: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None


def measure_space(
    space: Space, categories: int, options: MeasureOptions, seed: int
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Measure a space.

    Args:
        space: Which.
        categories: Number of categories.
        options: How.
        seed: Of all draws.

    Returns:
        What `results.json` says of the model, and its maps, `(documents, 2)` each.
    """
    vectors, labels = space.embeddings, space.categories
    seconds: dict[str, float] = {}
    with _timed(seconds, "geometry"):
        statistics = pair_statistics(vectors, labels, max(options.neighbours, *RETRIEVED), seed=seed)
        measures = geometry(vectors, labels, space.halves, options.neighbours, seed, statistics)
    nearest = statistics.neighbours.indices
    if labels is not None:
        with _timed(seconds, "clusters"):
            measures |= cluster_measures(
                vectors, labels, options.cluster_seeds, options.neighbours, seed, neighbours=nearest
            )
        with _timed(seconds, "retrieval"):
            measures |= category_retrieval(vectors, labels, RETRIEVED, seed, neighbours=nearest)
    if space.rated is not None:
        from metrics.text_similarity import spearman_of_cosines

        measures["similarity_spearman"] = spearman_of_cosines(*space.rated, seed=seed)
    with _timed(seconds, "graphs"):
        sweeps = {
            "threshold": threshold_sweep(vectors, options.thresholds, labels, seed),
            "knn": knn_sweep(vectors, options.ks, labels, seed=seed),
            "mutual_knn": knn_sweep(vectors, options.ks, labels, mutual=True, seed=seed),
            "density": density_sweep(vectors, options.densities, labels, seed),
        }
    percolation = sweeps["threshold"].percolation
    if percolation is not None:
        measures["graph_percolation_threshold"] = Measured(percolation.threshold)
    place = sweeps["density"].values.index(options.graph_density)
    measures |= {name: Measured(numbers[place]) for name, numbers in sweeps["density"].measures.items()}
    with _timed(seconds, "maps"):
        maps = _maps(vectors, options, seed)
        drawn = drawn_documents(len(vectors), options.drawing_documents, seed)
        drawing = graph_drawing(vectors, drawn, seed)
    record = {
        "name": space.name,
        "hidden": int(vectors.shape[1]),
        "zero_vectors": _zero_vectors(vectors),
        "measures": {name: measured.as_dict() for name, measured in measures.items()},
        "cosines": _cosines(statistics.cosines),
        "category_cosine": _category_cosine(statistics.cosines, categories),
        "sweeps": {kind: sweep.as_dict() for kind, sweep in sweeps.items()},
        "percolation": None if percolation is None else percolation.as_dict(),
        "drawing": drawing,
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
    }
    return record, maps


def _maps(vectors: np.ndarray, options: MeasureOptions, seed: int) -> dict[str, np.ndarray]:
    components = principal_components(vectors, COMPONENTS, seed)
    found = {"pca": components[:, :2], "tsne": np.full((len(vectors), 2), np.nan, dtype=np.float32)}
    shown = drawn_documents(len(vectors), options.map_documents, seed)
    if len(shown):
        found["tsne"][shown] = tsne_map(components[shown], options.perplexity, seed)
    return found


def _zero_vectors(vectors: np.ndarray) -> int:
    from metrics.blocks import zero_rows

    return int(zero_rows(vectors).sum())


def _cosines(found: Any) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"edges": found.edges.tolist(), "within": found.within.tolist(), "between": found.between.tolist()}


def _category_cosine(found: Any, categories: int) -> list[list[float | None]] | None:
    """Return the mean cosines of all categories, null for one none of whose documents has a direction."""
    if found is None or found.class_cosine is None:
        return None
    full = np.full((categories, categories), np.nan)
    full[np.ix_(found.categories, found.categories)] = found.class_cosine
    return [[None if np.isnan(value) else round(float(value), 6) for value in row] for row in full]


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started

"""How well known categories separate in an embedding space."""

from __future__ import annotations

import math

import numpy as np


def silhouette(
    embeddings: np.ndarray, categories: np.ndarray, max_documents: int | None = 5_000, seed: int = 0
) -> float:
    """Return the mean silhouette coefficient (Rousseeuw 1987) of known categories, by cosine distance.

    Args:
        embeddings: `(documents, hidden)`.
        categories: `(documents,)`.
        max_documents: Draw so many at most; time and memory grow with their square.
        seed: Of that draw.

    Returns:
        A number from -1 (documents nearer to another category) to 1; not a number with fewer than two categories,
        when every document has its own, or when an embedding is not finite.
    """
    from sklearn.metrics import silhouette_score

    if max_documents is not None and len(embeddings) > max_documents:
        chosen = np.random.default_rng(seed).choice(len(embeddings), max_documents, replace=False)
        embeddings, categories = embeddings[chosen], categories[chosen]
    embeddings = np.asarray(embeddings, dtype=np.float32)
    if not 2 <= len(np.unique(categories)) < len(categories) or not np.isfinite(embeddings).all():
        return math.nan
    return float(silhouette_score(embeddings, categories, metric="cosine"))

"""All measures of the geometry of an embedding space, from one look at all pairs of documents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metrics.alignment import PotentialSums, alignment, category_alignment
from metrics.blocks import UnitVectors, pair_tiles
from metrics.category_moments import CategoryMoments, category_moments
from metrics.cosine_similarity import CosineByCategory, CosineHistogram, mean_cosine
from metrics.intrinsic_dimension import hubness, two_nn
from metrics.isotropy import covariance_measures
from metrics.measured import Measured
from metrics.neighbours import Neighbours, NeighbourSearch


@dataclass(frozen=True)
class PairStatistics:
    """What one pass over all pairs of documents gave.

    Args:
        uniformity: See `metrics.alignment.uniformity`.
        neighbours: See `metrics.neighbours.nearest_neighbours`.
        cosines: See `metrics.cosine_similarity.cosine_by_category`; None without categories.
        moments: See `metrics.category_moments`; None without categories.
    """

    uniformity: Measured
    neighbours: Neighbours
    cosines: CosineByCategory | None
    moments: CategoryMoments | None


def pair_statistics(
    embeddings: np.ndarray, categories: np.ndarray | None = None, k: int = 10, bins: int = 100, seed: int = 0
) -> PairStatistics:
    """Look at all pairs of documents once, for everything that needs them.

    Time is that of `documents^2 x hidden / 2` products and about as much for large numbers of documents with short
    embeddings; memory beyond the embeddings is bounded.

    Args:
        embeddings: `(documents, hidden)`, any real dtype, in memory or memory-mapped.
        categories: `(documents,)`, negative where there is none.
        k: Nearest neighbours to find; at least the two that the intrinsic dimension needs.
        bins: Of the histograms of cosines.
        seed: Of the intervals.

    Raises:
        ValueError: `k` is below 1, the categories do not fit, or an embedding is not finite.
    """
    if k < 1:
        raise ValueError(f"k is {k}, but at least one neighbour is needed")
    vectors = UnitVectors(embeddings)
    potentials, search = PotentialSums(len(vectors)), NeighbourSearch(vectors, max(k, 2))
    moments = histogram = None
    if categories is not None:
        moments = category_moments(embeddings, categories)
        position = np.full(len(vectors.embeddings), -1)
        position[moments.vectors.rows] = np.arange(len(moments.vectors))
        histogram = CosineHistogram(moments, bins, seed, position[vectors.rows])
    for tile in pair_tiles(vectors):
        potentials.add(tile)
        search.add(tile)
        if histogram is not None:
            histogram.add(tile)
    return PairStatistics(
        uniformity=potentials.result(seed),
        neighbours=search.result(),
        cosines=None if histogram is None else histogram.result(),
        moments=moments,
    )


def geometry(
    embeddings: np.ndarray,
    categories: np.ndarray | None = None,
    pairs: tuple[np.ndarray, np.ndarray] | None = None,
    k: int = 10,
    seed: int = 0,
    statistics: PairStatistics | None = None,
) -> dict[str, Measured]:
    """Return the measures of the group `geometry` in `metrics.measures`.

    The intrinsic dimension is that of the embeddings scaled to unit length, whose neighbours are those by cosine.

    Args:
        embeddings: `(documents, hidden)`, any real dtype, in memory or memory-mapped.
        categories: `(documents,)`, negative where there is none; without it there are no measures of categories.
        pairs: Embeddings of two parts of each of some documents, `(documents, hidden)` both; without them there is no
            alignment.
        k: Nearest neighbours that count towards hubness.
        seed: Of the intervals.
        statistics: Of these documents, with this `k` or more, if they are known.

    Returns:
        Measures by name, with intervals over documents.

    Raises:
        ValueError: `k` is below 1, categories or pairs do not fit, or an embedding is not finite.
    """
    statistics = statistics or pair_statistics(embeddings, categories, k, seed=seed)
    neighbours = statistics.neighbours.indices
    found = {} if pairs is None else {"alignment": alignment(*pairs, seed=seed)}
    if categories is not None:
        found["category_alignment"] = category_alignment(embeddings, categories, seed=seed, moments=statistics.moments)
    found["uniformity"] = statistics.uniformity
    found["mean_cosine"] = mean_cosine(embeddings, seed=seed)
    found["mean_cosine_centred"] = mean_cosine(embeddings, centred=True, seed=seed)
    if categories is not None and statistics.cosines is not None:
        found["cosine_within"] = statistics.cosines.within_mean
        found["cosine_between"] = statistics.cosines.between_mean
        found["cosine_effect_size"] = statistics.cosines.effect_size
        found["cosine_superiority"] = statistics.cosines.superiority
    found |= covariance_measures(embeddings, seed)
    found["intrinsic_dimension"] = two_nn(embeddings, "cosine", neighbours, seed)
    found["hubness"] = hubness(embeddings, k, neighbours, seed)
    return found

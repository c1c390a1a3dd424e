"""How well known categories separate in an embedding space, by cosine."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from metrics.blocks import UnitVectors, row_blocks, unit_rows
from metrics.category_moments import categorised
from metrics.document_intervals import GROUPS, jackknife, mean_over_documents, random_groups
from metrics.intervals import ResampledScores, percentile_interval
from metrics.measured import Measured
from metrics.neighbours import nearest_neighbours

RESAMPLES = 1_000
_NO_DISTANCE = 1e-12
_NO_SPREAD = 1e-10


def silhouette(
    embeddings: np.ndarray, categories: np.ndarray, max_documents: int | None = 5_000, seed: int = 0
) -> float:
    """Return the mean silhouette coefficient (Rousseeuw 1987) of known categories, by cosine distance.

    Args:
        embeddings: `(documents, hidden)`.
        categories: `(documents,)`.
        max_documents: Draw so many at most.
        seed: Of that draw.

    Returns:
        A number from -1 (documents nearer to another category) to 1; not a number with fewer than two categories,
        when every document has its own, or when an embedding is not finite.
    """
    if max_documents is not None and len(embeddings) > max_documents:
        chosen = np.random.default_rng(seed).choice(len(embeddings), max_documents, replace=False)
        embeddings, categories = embeddings[chosen], categories[chosen]
    if not 2 <= len(np.unique(categories)) < len(categories) or not np.isfinite(embeddings).all():
        return math.nan
    return float(silhouettes(embeddings, categories).mean())


def silhouettes(embeddings: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Return the silhouette coefficient of each document, by cosine distance.

    The mean cosine with the documents of a category is the product with the mean of their unit vectors, so no pair is
    looked at; the same numbers as scikit-learn's `silhouette_samples(metric="cosine")`.

    Args:
        embeddings: `(documents, hidden)`, finite; one of length zero lies at distance 1 from all others.
        categories: `(documents,)`, at least two different ones.

    Returns:
        `(documents,)` from -1 to 1; 0 for a document alone in its category.
    """
    from scipy.sparse import csr_array

    names, places, counts = np.unique(categories, return_inverse=True, return_counts=True)
    centres = np.zeros((len(names), embeddings.shape[1]))
    for start, stop in row_blocks(embeddings):
        members = (np.ones(stop - start), (places[start:stop], np.arange(stop - start)))
        centres += csr_array(members, shape=(len(names), stop - start)) @ unit_rows(embeddings[start:stop])
    found = np.zeros(len(embeddings))
    step = max(1, 2**22 // max(len(names), embeddings.shape[1]))
    for start, stop in row_blocks(embeddings, step):
        block, own, rows = unit_rows(embeddings[start:stop]), places[start:stop], np.arange(stop - start)
        cosines = block @ centres.T
        others = 1 - cosines / counts
        others[rows, own] = np.inf
        outside = others.min(1)
        partners = counts[own] - 1
        inside = 1 - (cosines[rows, own] - np.einsum("ij,ij->i", block, block)) / np.maximum(partners, 1)
        larger = np.maximum(inside, outside)
        defined = (partners > 0) & (larger > _NO_DISTANCE)
        np.divide(outside - inside, larger, out=found[start:stop], where=defined)
    return found


def cluster_measures(
    embeddings: np.ndarray,
    categories: np.ndarray,
    seeds: int = 5,
    k: int = 10,
    seed: int = 0,
    neighbours: np.ndarray | None = None,
) -> dict[str, Measured]:
    """Return the measures of the group `clusters` in `metrics.measures`.

    All on embeddings scaled to unit length, where squared Euclidean distances are twice the cosine distances.
    Davies-Bouldin and Calinski-Harabasz are scikit-learn's, with the interval of a grouped jackknife. k-means looks for
    as many clusters as there are categories, from one start a seed; its scores are averaged over the seeds, and their
    intervals draw documents and seeds anew with the clusters as they are. NMI is normalised by the geometric mean of
    the entropies (Strehl and Ghosh 2002); by their arithmetic mean it would be the V-measure.

    Args:
        embeddings: `(documents, hidden)`; those of length zero are left out. One float32 copy is made.
        categories: `(documents,)`; documents with negative numbers are left out, as neighbours too.
        seeds: Runs of k-means.
        k: Nearest neighbours that count towards purity; cut to the documents there are.
        seed: Of the intervals and the first of the runs.
        neighbours: `(documents, k or more)` rows of the nearest neighbours by cosine among all documents, if they are
            known; used where no document is left out.

    Returns:
        Measures by name. `knn_purity` needs two documents; a document alone in its category has purity 0. The others
        need two categories, and fewer categories than documents; Davies-Bouldin that not all embeddings coincide,
        Calinski-Harabasz that they vary within the categories. Not a number otherwise.

    Raises:
        ValueError: See `checked` and `checked_categories`; or `seeds` or `k` is below 1.
    """
    if seeds < 1 or k < 1:
        raise ValueError("seeds and k are at least 1")
    vectors, numbers = categorised(embeddings, categories)
    if neighbours is not None and (len(vectors) < len(vectors.embeddings) or neighbours.shape[1] < k):
        neighbours = None
    purity = neighbour_purity(vectors, numbers, k, seed, neighbours)
    names = ("silhouette", "davies_bouldin", "calinski_harabasz", "kmeans_v_measure", "kmeans_ari", "kmeans_nmi")
    found = {name: Measured(math.nan) for name in names}
    places = np.unique(numbers, return_inverse=True)[1]
    count = int(places.max(initial=-1)) + 1
    if 2 <= count < len(vectors):
        unit = vectors.block(0, len(vectors))
        found["silhouette"] = mean_over_documents(silhouettes(unit, places), seed)
        found |= _centre_measures(unit, places, seed) | kmeans_agreement(unit, places, count, seeds, seed)
    return found | {"knn_purity": purity}


def neighbour_purity(
    vectors: UnitVectors, categories: np.ndarray, k: int = 10, seed: int = 0, neighbours: np.ndarray | None = None
) -> Measured:
    """Return the share of documents' nearest neighbours that have their category.

    Args:
        vectors: The documents.
        categories: `(documents,)`.
        k: How many neighbours.
        seed: Of the interval.
        neighbours: `(documents, k or more)` positions, if they are known.
    """
    if neighbours is None:
        neighbours = nearest_neighbours(vectors.embeddings[vectors.rows], k).indices
    found = neighbours[:, :k]
    if not found.shape[1]:
        return Measured(math.nan)
    return mean_over_documents((categories[found] == categories[:, None]).mean(1), seed)


def _centre_measures(unit: np.ndarray, places: np.ndarray, seed: int) -> dict[str, Measured]:
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

    def scores(rows: np.ndarray | slice) -> tuple[float, float]:
        part, own = unit[rows], places[rows]
        if not 2 <= len(np.unique(own)) < len(own):
            return math.nan, math.nan
        about, within = _spread(part, own)
        return (
            float(davies_bouldin_score(part, own)) if about > _NO_SPREAD else math.nan,
            float(calinski_harabasz_score(part, own)) if within > _NO_SPREAD else math.nan,
        )

    without = []
    for group in random_groups(len(unit), GROUPS, seed):
        left = np.ones(len(unit), dtype=bool)
        left[group] = False
        without.append(scores(left))
    return {
        name: jackknife(value, [part[column] for part in without])
        for column, (name, value) in enumerate(
            zip(("davies_bouldin", "calinski_harabasz"), scores(slice(None)), strict=True)
        )
    }


def _spread(unit: np.ndarray, places: np.ndarray) -> tuple[float, float]:
    """Return the mean squared distance from the mean of all, and from the mean of the category."""
    about = within = 0.0
    mean = unit.mean(0, dtype=np.float64)
    for place in np.unique(places):
        members = unit[places == place]
        centre = members.mean(0, dtype=np.float64)
        squares = float(np.square(members - centre).sum())
        within += squares
        about += squares + len(members) * float(np.square(centre - mean).sum())
    return about / len(unit), within / len(unit)


def kmeans_agreement(
    unit: np.ndarray, places: np.ndarray, clusters: int, seeds: int = 5, seed: int = 0
) -> dict[str, Measured]:
    """Return `kmeans_v_measure`, `kmeans_ari` and `kmeans_nmi`; see `cluster_measures`.

    Args:
        unit: `(documents, hidden)` unit vectors.
        places: `(documents,)` categories from 0.
        clusters: How many k-means looks for.
        seeds: Runs.
        seed: Of the first run and the intervals.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, v_measure_score

    scores: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "kmeans_v_measure": v_measure_score,
        "kmeans_ari": adjusted_rand_score,
        "kmeans_nmi": lambda true, said: normalized_mutual_info_score(true, said, average_method="geometric"),
    }
    least = {"kmeans_v_measure": 0.0, "kmeans_ari": -0.5, "kmeans_nmi": 0.0}
    assigned = []
    with warnings.catch_warnings():
        # Fewer different embeddings than clusters: some stay empty, and the scores say so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for run in range(seeds):
            assigned.append(KMeans(clusters, n_init=1, random_state=seed + run).fit_predict(unit))
    resampled = [_resampled_agreement(places, said, seed) for said in assigned]
    found = {}
    for name, score in scores.items():
        observed = np.array([float(score(places, said)) for said in assigned])
        drawn = np.stack([agreement[name] for agreement in resampled])
        # Resamples agree more than the documents, as those drawn twice agree with themselves: only the spread counts.
        drawn = np.clip(drawn + (observed - drawn.mean(1))[:, None], least[name], 1.0)
        low, high = percentile_interval(ResampledScores(observed, drawn), seed)
        found[name] = Measured(float(observed.mean()), low, high)
    return found


def _resampled_agreement(places: np.ndarray, said: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Score resamples of the documents; the same seed draws the same documents for every run of k-means."""
    generator = np.random.default_rng([seed, 9])
    cells = np.unique(places * (int(said.max()) + 1) + said, return_inverse=True)[1]
    codes = (cells, places, said)
    sizes = [int(code.max()) + 1 for code in codes]
    step = max(1, 2**22 // sizes[0])
    parts = []
    for start in range(0, RESAMPLES, step):
        count = min(step, RESAMPLES - start)
        counts = [np.empty((count, size)) for size in sizes]
        for resample in range(count):
            drawn = generator.integers(0, len(places), len(places))
            for code, size, kept in zip(codes, sizes, counts, strict=True):
                kept[resample] = np.bincount(code[drawn], minlength=size)
        parts.append(agreement_of_counts(*counts))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def agreement_of_counts(cells: np.ndarray, categories: np.ndarray, clusters: np.ndarray) -> dict[str, np.ndarray]:
    """Return the V-measure, the adjusted Rand index and the NMI by the geometric mean, of contingency tables.

    Args:
        cells: `(tables, cells)` documents of each category in each cluster, cells without documents left out or not.
        categories: `(tables, categories)` documents.
        clusters: `(tables, clusters)` documents.

    Returns:
        By the names of `kmeans_agreement`, `(tables,)` each; as in scikit-learn 1 where there is one category and one
        cluster.
    """
    total = cells.sum(1)

    def entropy(counts: np.ndarray) -> np.ndarray:
        shares = counts / total[:, None]
        return -(shares * np.log(np.where(shares > 0, shares, 1))).sum(1)

    def pairs(counts: np.ndarray) -> np.ndarray:
        return (counts * (counts - 1)).sum(1) / 2

    true, said = entropy(categories), entropy(clusters)
    mutual = np.maximum(true + said - entropy(cells), 0)
    trivial = (true <= 0) & (said <= 0)

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        return np.where(trivial, 1.0, np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))

    expected = pairs(categories) * pairs(clusters) / np.maximum(total * (total - 1) / 2, 1)
    return {
        "kmeans_v_measure": share(2 * mutual, true + said),
        "kmeans_ari": share(pairs(cells) - expected, (pairs(categories) + pairs(clusters)) / 2 - expected),
        "kmeans_nmi": share(mutual, np.sqrt(np.maximum(true * said, 0))),
    }

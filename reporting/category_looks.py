"""How categories look and in which order they stand, the same on the page and in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from reporting.figure_style import COLOURS
from reporting.space_results import SpaceResults

Shape = Literal["disc", "square", "triangle", "cross"]
SHAPES: tuple[Shape, ...] = ("disc", "square", "triangle", "cross")
DISTINCT = len(COLOURS) * len(SHAPES)
OTHER_COLOUR = "#A6A6A6"


@dataclass(frozen=True)
class CategoryLook:
    """Colour and shape of a category's points.

    Args:
        colour: Number of one of `figure_style.COLOURS`; None for the grey of what has no look of its own.
        shape: Discs and triangles are filled; squares are open.
    """

    colour: int | None
    shape: Shape


def category_looks(counts: Sequence[int]) -> list[CategoryLook]:
    """Return the look of each category.

    The most frequent differ in colour, the next ones in shape too, so that 28 stay apart for colour-blind readers.
    Rarer ones share a grey disc.

    Args:
        counts: Documents of each category.
    """
    looks = [CategoryLook(None, "disc")] * len(counts)
    for rank, number in enumerate(by_frequency(counts)[:DISTINCT]):
        looks[number] = CategoryLook(rank % len(COLOURS), SHAPES[rank // len(COLOURS)])
    return looks


def by_frequency(counts: Sequence[int]) -> list[int]:
    """Return the numbers of categories, the most frequent first."""
    return np.argsort(-np.asarray(counts, dtype=np.int64), kind="stable").tolist()


def heat_map_order(results: SpaceResults, limit: int = 40) -> list[int]:
    """Return the categories of a heat map so that near ones stand side by side.

    Ordered by average linkage on one minus the mean cosine, in the space of the reference model, or of the first one,
    with optimal leaf ordering (Bar-Joseph et al. 2001). One order for all models keeps their maps comparable.

    Args:
        results: Of all models.
        limit: Of categories; the most frequent ones stay.
    """
    kept = sorted(by_frequency(results.category_counts)[:limit])
    model = results.reference_model or results.models[0]
    if len(kept) < 3 or model.category_cosine is None:
        return kept
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    cosine = model.category_cosine[np.ix_(kept, kept)]
    distance = 1 - np.where(np.isfinite(cosine), cosine, np.nanmin(cosine, initial=0.0))
    distance = np.maximum((distance + distance.T) / 2, 0)
    np.fill_diagonal(distance, 0)
    leaves = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
    return [kept[leaf] for leaf in leaves]


def shown_documents(results: SpaceResults, limit: int = 5_000) -> np.ndarray:
    """Draw the documents that maps show, the same for all models.

    Args:
        results: Of all models.
        limit: At most so many.

    Returns:
        Rising numbers. Documents that every model's t-SNE holds come first; the draw is seeded.
    """
    everywhere = np.ones(results.documents, dtype=bool)
    for model in results.models:
        everywhere &= np.isfinite(model.maps["tsne"]).all(1)
    order = np.random.default_rng(0).permutation(results.documents)
    order = np.concatenate([order[everywhere[order]], order[~everywhere[order]]])
    return np.sort(order[:limit])

"""Cosines of documents: on average, within and between categories, and how well they tell these apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from metrics.blocks import EQUAL, Tile, UnitVectors, centre_and_scale, checked, pair_tiles, row_blocks
from metrics.category_moments import CategoryMoments, category_moments
from metrics.document_intervals import mean_over_pairs, measured, resampled_sums
from metrics.measured import Measured

_FINE_BINS = 100_000
_REFERENCE_DOCUMENTS = 2_048
_NO_SPREAD = 1e-7


@dataclass(frozen=True)
class CosineByCategory:
    """Cosines of all pairs of documents, each pair once.

    Args:
        categories: `(categories,)` numbers of the categories, increasing.
        edges: `(bins + 1,)` from -1 to 1.
        within: `(bins,)` pairs within a category; the last bin holds its upper edge.
        between: `(bins,)` pairs of different categories.
        within_mean: Mean cosine within categories.
        between_mean: Between.
        within_sd: Standard deviation of the cosines within categories, over pairs.
        between_sd: Between.
        effect_size: Cohen's d: the difference of the means over the pooled standard deviation.
        superiority: Probability that the cosine of a pair within lies above that of a pair between, ties counted half
            (the area under the ROC curve), from cosines told apart at 0.00002.
        class_cosine: `(categories, categories)` mean cosine of documents of each two categories; None with more than
            2,000 categories.
    """

    categories: np.ndarray
    edges: np.ndarray
    within: np.ndarray
    between: np.ndarray
    within_mean: Measured
    between_mean: Measured
    within_sd: float
    between_sd: float
    effect_size: Measured
    superiority: Measured
    class_cosine: np.ndarray | None


def mean_cosine(embeddings: np.ndarray, centred: bool = False, seed: int = 0) -> Measured:
    """Return the mean cosine of two documents (Ethayarajh 2019), from the sum of the unit vectors.

    Args:
        embeddings: `(documents, hidden)`.
        centred: Take the mean embedding away first (Mu and Viswanath 2018).
        seed: Of the interval.

    Returns:
        The mean over all pairs of documents that have a direction; not a number with fewer than two.

    Raises:
        ValueError: An embedding is not finite.
    """
    vectors = _CentredVectors(embeddings) if centred else UnitVectors(embeddings)
    documents = len(vectors)
    if documents < 2:
        return Measured(math.nan)
    total = vectors.total()
    sums = np.empty(documents)
    for start, stop, block in vectors.blocks():
        sums[start:stop] = block @ total - 1
    return mean_over_pairs(sums, documents - 1, seed)


class _CentredVectors(UnitVectors):
    """Unit vectors after the mean was taken away; those that lie at the mean, but for rounding, are left out."""

    def __init__(self, embeddings: np.ndarray) -> None:
        self.embeddings = checked(embeddings)
        self._mean, self._scale = centre_and_scale(self.embeddings)
        lengths = np.zeros(len(self.embeddings))
        for start, stop in row_blocks(self.embeddings):
            lengths[start:stop] = np.linalg.norm(self._centred(slice(start, stop)), axis=1)
        # The scale keeps the lengths near 1, but the mean may be far larger, and so may its rounding.
        rounding = EQUAL * max(1.0, float(np.abs(self._mean).max(initial=0.0)) / self._scale)
        self.rows = np.flatnonzero(lengths > rounding)
        self._lengths = lengths[self.rows]

    def _centred(self, rows: slice | np.ndarray) -> np.ndarray:
        return (self.embeddings[rows] - self._mean) / self._scale

    def block(self, start: int, stop: int, dtype: type = np.float64) -> np.ndarray:
        """Return the unit vectors at these positions, `(stop - start, hidden)`."""
        return (self._centred(self.rows[start:stop]) / self._lengths[start:stop, None]).astype(dtype, copy=False)


def cosine_by_category(
    embeddings: np.ndarray, categories: np.ndarray, bins: int = 100, seed: int = 0
) -> CosineByCategory:
    """Compare the cosines of documents within and between categories, over all pairs.

    Args:
        embeddings: `(documents, hidden)`; those of length zero are left out.
        categories: `(documents,)`; documents with negative numbers are left out.
        bins: Of the histograms, from -1 to 1.
        seed: Of the intervals.

    Returns:
        Counts and comparisons, not a number where no pair lies within, or none between.

    Raises:
        ValueError: See `checked` and `checked_categories`; or `bins` is below 1.
    """
    moments = category_moments(embeddings, categories)
    histogram = CosineHistogram(moments, bins, seed)
    for tile in pair_tiles(moments.vectors):
        histogram.add(tile)
    return histogram.result()


class CosineHistogram:
    """Counts cosines within and between categories while the tiles of `pair_tiles` pass by.

    The area under the ROC curve comes from bins a thousand times finer than those shown. Its interval needs for each
    document how its pairs compare with all others, which is known only at the end; so they are compared with the pairs
    of 2,048 documents, drawn beforehand. That touches the interval alone, and not with fewer documents than that.

    Args:
        moments: Of the documents; the tiles are those of its vectors, or, where `positions` is given, of more.
        bins: Of the histograms, from -1 to 1.
        seed: Of the intervals.
        positions: `(documents of the tiles,)` position among the documents of `moments`, or -1.
    """

    def __init__(
        self, moments: CategoryMoments, bins: int = 100, seed: int = 0, positions: np.ndarray | None = None
    ) -> None:
        if bins < 1:
            raise ValueError(f"{bins} bins")
        self._moments, self._bins, self._seed, self._positions = moments, bins, seed, positions
        self._per_bin = -(-_FINE_BINS // bins)
        self._fine = bins * self._per_bin
        self._within = np.zeros(self._fine, dtype=np.int64)
        self._all = np.zeros(self._fine, dtype=np.int64)
        self._sums = np.zeros((len(moments.places), 2))
        self._scaled = np.empty(0, dtype=np.float32)
        self._place = np.empty(0, dtype=np.int64)
        self._tables = self._reference()

    def add(self, tile: Tile) -> None:
        """Take in a tile."""
        values, rows, columns = tile.values, slice(tile.start, tile.stop), slice(tile.column_start, tile.column_stop)
        if self._positions is not None:
            rows, columns = self._positions[rows], self._positions[columns]
            if (rows < 0).any() or (columns < 0).any():
                values = values[np.ix_(rows >= 0, columns >= 0)]
                rows, columns = rows[rows >= 0], columns[columns >= 0]
            if not values.size:
                return
        same = self._moments.places[rows][:, None] == self._moments.places[columns]
        place = self._bin(values)
        if tile.diagonal:
            upper = np.triu(np.ones(values.shape, dtype=bool), 1)
            self._count(place[upper], place[upper & same])
        else:
            self._count(place.ravel(), place[same])
        if self._tables is None:
            return
        for column, table, chosen in ((0, self._tables[0], same), (1, self._tables[1], ~same)):
            compared = table.take(place)
            np.multiply(compared, chosen, out=compared)
            if tile.diagonal:
                np.fill_diagonal(compared, 0)
            else:
                self._sums[columns, column] += np.ones(len(compared), np.float32) @ compared
            self._sums[rows, column] += compared @ np.ones(compared.shape[1], np.float32)

    def _bin(self, values: np.ndarray) -> np.ndarray:
        if self._scaled.size < values.size:
            self._scaled, self._place = np.empty(values.size, np.float32), np.empty(values.size, np.int64)
        scaled = self._scaled[: values.size].reshape(values.shape)
        place = self._place[: values.size].reshape(values.shape)
        np.add(values, 1, out=scaled)
        np.multiply(scaled, self._fine / 2, out=scaled)
        # Cosines may lie a rounding beyond the ends.
        np.clip(scaled, 0, self._fine - 1, out=scaled)
        np.copyto(place, scaled, casting="unsafe")
        return place

    def _count(self, everything: np.ndarray, within: np.ndarray) -> None:
        self._all += np.bincount(everything, minlength=self._fine)
        self._within += np.bincount(within, minlength=self._fine)

    def _reference(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return for each bin the share of pairs between below it, and of pairs within above it, of some documents."""
        documents = len(self._moments.places)
        count = min(documents, _REFERENCE_DOCUMENTS)
        chosen = np.sort(np.random.default_rng([self._seed, 6]).choice(documents, count, replace=False))
        block, places = self._moments.vectors.at(chosen, np.float32), self._moments.places[chosen]
        pairs = np.triu(np.ones((count, count), dtype=bool), 1)
        same = places[:, None] == places
        place = self._bin(block @ block.T)
        within = np.bincount(place[pairs & same], minlength=self._fine)
        between = np.bincount(place[pairs & ~same], minlength=self._fine)
        if not within.any() or not between.any():
            return None
        below = (np.cumsum(between) - between / 2) / between.sum()
        above = 1 - (np.cumsum(within) - within / 2) / within.sum()
        return below.astype(np.float32), above.astype(np.float32)

    def result(self) -> CosineByCategory:
        """Return what was counted, once every tile has been added."""
        moments, sums = self._moments, self._moments.sums
        between = self._all - self._within
        # Each pair is in the sums of two documents; see `mean_over_pairs`.
        totals = sums.sum(0) / 2
        drawn = resampled_sums(sums, self._seed) - totals if len(sums) else None
        effect = _effect_size(totals[None])[0]
        return CosineByCategory(
            categories=moments.categories,
            edges=np.linspace(-1, 1, self._bins + 1),
            within=self._within.reshape(self._bins, -1).sum(1),
            between=between.reshape(self._bins, -1).sum(1),
            within_mean=mean_over_pairs(sums[:, 1], sums[:, 0], self._seed),
            between_mean=mean_over_pairs(sums[:, 4], sums[:, 3], self._seed),
            within_sd=_deviation(*totals[:3]),
            between_sd=_deviation(*totals[3:]),
            effect_size=measured(effect, None if drawn is None else _effect_size(drawn)),
            superiority=self._superiority(between),
            class_cosine=moments.mean_cosine,
        )

    def _superiority(self, between: np.ndarray) -> Measured:
        pairs = float(self._within.sum()), float(between.sum())
        if not all(pairs):
            return Measured(math.nan)
        below = (np.cumsum(between) - between / 2) / pairs[1]
        value = float(self._within @ below) / pairs[0]
        if self._tables is None:
            return Measured(value)
        influence = np.zeros(len(self._sums))
        for column, (partners, count) in enumerate(zip((0, 3), pairs, strict=True)):
            partners = self._moments.sums[:, partners]
            sums = self._sums[:, column]
            # Centred on the mean under the reference, so that its error does not shift the interval.
            influence += (sums - partners * sums.sum() / partners.sum()) / count
        return measured(value, np.clip(value + resampled_sums(influence, self._seed), 0, 1))


def _deviation(pairs: float, total: float, squares: float) -> float:
    if pairs < 2:
        return math.nan
    return math.sqrt(max(0.0, squares - total**2 / pairs) / (pairs - 1))


def _effect_size(totals: np.ndarray) -> np.ndarray:
    """Return Cohen's d of rows of six totals: pairs, cosines and squares, within and between."""
    within, between = np.where(totals[:, [0, 3]] > 0, totals[:, [0, 3]], np.nan).T
    freedom = np.where(within + between > 2, within + between - 2, np.nan)
    squares = totals[:, 2] - totals[:, 1] ** 2 / within + totals[:, 5] - totals[:, 4] ** 2 / between
    deviation = np.sqrt(np.maximum(squares, 0) / freedom)
    deviation[~(deviation > _NO_SPREAD)] = np.nan
    return (totals[:, 1] / within - totals[:, 4] / between) / deviation

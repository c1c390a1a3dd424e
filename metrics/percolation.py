"""When documents hang together: the maximum spanning tree of all cosines, and what it says at every threshold.

Two documents are connected at a threshold exactly when the lowest cosine on their path in the tree is at or above it
(Gower and Ross 1969). So the tree's `n - 1` edges give components, largest component and isolated documents at all
thresholds at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metrics.similarity_pairs import scan_pairs, unit_documents

MAX_CANDIDATES = 2**18


@dataclass(frozen=True)
class Percolation:
    """How the documents come together as the threshold falls.

    Args:
        documents: How many, with those that have no direction and stay alone.
        pairs: `(joins, 2)` row numbers of the tree's edges.
        joins: `(joins,)` their cosines, falling; each joins two components.
        largest: `(joins,)` documents in the largest component once a join is made.
    """

    documents: int
    pairs: np.ndarray
    joins: np.ndarray
    largest: np.ndarray

    @property
    def threshold(self) -> float:
        """The percolation threshold: the highest cosine whose join makes a component of half of the documents or more.

        Not a number when there is none: with fewer than two documents, or when half have no direction.
        """
        half = np.flatnonzero(2 * self.largest >= self.documents)
        return float(self.joins[half[0]]) if len(half) else math.nan

    def components(self, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return `(thresholds,)` components of the graph of all pairs at or above each threshold."""
        return self.documents - self._made(thresholds)

    def giant_share(self, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return `(thresholds,)` shares of the documents in the largest component."""
        sizes = np.concatenate([[min(1, self.documents)], self.largest])
        return sizes[self._made(thresholds)] / (self.documents or math.nan)

    def component_sizes(self, threshold: float) -> np.ndarray:
        """Return the sizes of the components at a threshold, falling."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        if not self.documents:
            return np.empty(0, dtype=np.int64)
        made = self._made([threshold])[0]
        first, second = self.pairs[:made].T
        shape = (self.documents, self.documents)
        labels = connected_components(csr_array((np.ones(made), (first, second)), shape=shape), False)[1]
        return np.sort(np.bincount(labels))[::-1]

    def curve(self, points: int = 200) -> tuple[np.ndarray, np.ndarray]:
        """Return thresholds and giant share for a drawing.

        Args:
            points: Evenly spaced from the lowest to the highest join; the percolation threshold is added.

        Returns:
            Rising thresholds and their shares; both empty when nothing joins.
        """
        if not len(self.joins):
            return np.empty(0), np.empty(0)
        thresholds = np.linspace(self.joins[-1], self.joins[0], points)
        if not math.isnan(self.threshold):
            thresholds = np.union1d(thresholds, self.threshold)
        return thresholds, self.giant_share(thresholds)

    def as_dict(self, points: int = 200) -> dict[str, Any]:
        """Return threshold and curve for JSON."""
        thresholds, shares = self.curve(points)
        threshold = None if math.isnan(self.threshold) else self.threshold
        return {
            "threshold": threshold,
            "curve": {"thresholds": thresholds.tolist(), "giant_share": shares.tolist()},
        }

    def _made(self, thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
        """Return how many joins are made at each threshold, compared as float32 like the cosines themselves."""
        wanted = np.asarray(thresholds, dtype=np.float32)
        return len(self.joins) - np.searchsorted(self.joins[::-1], wanted, side="left")


def percolation(embeddings: np.ndarray) -> Percolation:
    """Find how the documents come together by cosine: exact, one pass over all pairs, memory linear in the documents.

    Args:
        embeddings: `(documents, hidden)`; vectors of length zero stay alone at every threshold.

    Raises:
        ValueError: Not a matrix, or a value is not finite.
    """
    unit, rows = unit_documents(embeddings)
    builder = SpanningTree(len(unit))
    scan_pairs(unit, [builder])
    return builder.percolation(rows, len(embeddings))


def percolation_threshold(embeddings: np.ndarray) -> float:
    """Return the highest cosine at which half of the documents hang together; see `Percolation.threshold`."""
    return percolation(embeddings).threshold


class SpanningTree:
    """Grows the maximum spanning tree as `scan_pairs` shows the pairs.

    A pair can only enter the tree when its cosine exceeds the lowest one on the path that already connects it. That
    bottleneck is read from the documents in dendrogram order, where it is the least of the gaps between two documents;
    all bottlenecks of a document are thus two running minima. Few pairs pass, and now and then they are merged into the
    tree (the tree of a union is the tree of the union of the trees).

    Args:
        documents: How many.
        max_candidates: Merge when so many pairs wait.
    """

    def __init__(self, documents: int, max_candidates: int = MAX_CANDIDATES) -> None:
        self._documents = documents
        self._max_candidates = max_candidates
        self._first = self._second = np.empty(0, dtype=np.int64)
        self._cosines = np.empty(0, dtype=np.float32)
        self._largest = np.empty(0, dtype=np.int64)
        self._waiting: list[tuple[int, np.ndarray, np.ndarray]] = []
        self._count = 0
        self._place = np.arange(documents)
        self._gaps = np.full(max(0, documents - 1), -np.inf, dtype=np.float32)

    def add(self, first: int, cosines: np.ndarray) -> None:
        """Read a block of `scan_pairs`."""
        for document, row in enumerate(cosines, start=first):
            columns = np.flatnonzero(row > self._bottlenecks(document)[self._place[first:]])
            if len(columns):
                self._waiting.append((document, columns + first, row[columns]))
                self._count += len(columns)
                if self._count > self._max_candidates:
                    self._merge()

    def _bottlenecks(self, document: int) -> np.ndarray:
        """Return for each place in dendrogram order the bottleneck between its document and this one."""
        place = self._place[document]
        found = np.empty(self._documents, dtype=np.float32)
        found[place] = np.inf
        np.minimum.accumulate(self._gaps[place:], out=found[place + 1 :])
        found[:place] = np.minimum.accumulate(self._gaps[:place][::-1])[::-1]
        return found

    def _merge(self) -> None:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import minimum_spanning_tree

        first = [self._first, *(np.full(len(columns), document) for document, columns, _ in self._waiting)]
        first, second = np.concatenate(first), np.concatenate([self._second, *(one[1] for one in self._waiting)])
        cosines = np.concatenate([self._cosines, *(one[2] for one in self._waiting)])
        self._waiting, self._count = [], 0
        order = np.argsort(-cosines, kind="stable")
        # Ranks in place of cosines: scipy takes zero for no edge, and they lead back to the pair without rounding.
        ranks = np.empty(len(order))
        ranks[order] = np.arange(1, len(order) + 1)
        graph = csr_array((ranks, (first, second)), shape=(self._documents, self._documents))
        kept = order[np.sort(minimum_spanning_tree(graph).data).astype(np.int64) - 1]
        self._first, self._second, self._cosines = first[kept], second[kept], cosines[kept]
        self._arrange()

    def _arrange(self) -> None:
        """Put the documents in dendrogram order: join chains end to end, in the order of the tree's edges."""
        root, head, tail = (list(range(self._documents)) for _ in range(3))
        size, following, gap = [1] * self._documents, [-1] * self._documents, [-math.inf] * self._documents
        largest, most = [], 1

        def find(document: int) -> int:
            while root[document] != document:
                root[document] = root[root[document]]
                document = root[document]
            return document

        for first, second, cosine in zip(
            self._first.tolist(), self._second.tolist(), self._cosines.tolist(), strict=True
        ):
            one, other = find(first), find(second)
            if size[one] < size[other]:
                one, other = other, one
            following[tail[one]], gap[tail[one]] = head[other], cosine
            tail[one], root[other] = tail[other], one
            size[one] += size[other]
            most = max(most, size[one])
            largest.append(most)
        place, order = 0, np.empty(self._documents, dtype=np.int64)
        for document in range(self._documents):
            if root[document] == document:
                member = head[document]
                while member >= 0:
                    order[place] = member
                    place, member = place + 1, following[member]
        self._place[order] = np.arange(self._documents)
        self._gaps = np.array(gap, dtype=np.float32)[order][:-1]
        self._largest = np.array(largest, dtype=np.int64)

    def percolation(self, rows: np.ndarray, documents: int) -> Percolation:
        """Return the finished tree.

        Args:
            rows: `(documents of the scan,)` their row numbers.
            documents: How many there are with those that were left out.
        """
        if self._waiting:
            self._merge()
        pairs = np.stack([rows[self._first], rows[self._second]], axis=1)
        return Percolation(documents, pairs, self._cosines, self._largest)

"""Do vectors of concepts agree with what people know: rated pairs, and pairs that stand in a known relation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from corpora.concept_relations import ConceptRelation
from corpora.text_pairs import TextPairs
from metrics.blocks import checked, row_lengths, unit_rows
from metrics.document_intervals import RESAMPLES, mean_over_documents
from metrics.measured import Measured
from metrics.text_similarity import spearman_of_cosines

NULL_PAIRS = 10_000
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class RatedSimilarity:
    """Agreement with people's ratings.

    Args:
        spearman: Rank correlation of cosines and ratings.
        pairs: Rated pairs that count.
        left_out: Pairs with a name that has no vector, or one of length zero.
    """

    spearman: Measured
    pairs: int
    left_out: int


@dataclass(frozen=True)
class KindsResult:
    """The relation benchmark for one pair of kinds.

    Args:
        kinds: Of the first and the second concept.
        pairs: Related pairs.
        threshold: The null's cosine that a related pair has to exceed.
        found: Pairs that do.
    """

    kinds: tuple[str, str]
    pairs: int
    threshold: float
    found: int


@dataclass(frozen=True)
class RelationBenchmark:
    """How many related pairs are told from random ones.

    Args:
        share: Of the pairs, with the bootstrap interval over them; unrelated pairs would give `SIGNIFICANCE`.
        pairs: Related pairs that count.
        left_out: Pairs with a name that has no vector, or one of length zero, or whose kinds have no other pair.
        by_kinds: Each pair of kinds, in alphabetical order.
    """

    share: Measured
    pairs: int
    left_out: int
    by_kinds: tuple[KindsResult, ...]


def similarity_of_rated_pairs(
    names: Sequence[str], vectors: np.ndarray, pairs: TextPairs, seed: int = 0, resamples: int = RESAMPLES
) -> RatedSimilarity:
    """Correlate cosines with ratings (Spearman 1904), for example those of EHR-Rel (Schulz et al. 2020) or UMNSRS.

    Args:
        names: `(concepts,)`, each once.
        vectors: `(concepts, hidden)`.
        pairs: Pairs of names with ratings (`corpora.text_pairs.read_text_pairs`).
        seed: Of the interval over pairs.
        resamples: How many.

    Raises:
        ValueError: The shapes do not fit, a name stands twice, or a vector is not finite.
    """
    vectors, place = _table(names, vectors)
    rows = [
        (place[first], place[second], rating)
        for first, second, rating in zip(pairs.first, pairs.second, pairs.ratings, strict=True)
        if first in place and second in place
    ]
    if not rows:
        return RatedSimilarity(Measured(math.nan), 0, len(pairs))
    first, second = (np.array([row[part] for row in rows], dtype=np.int64) for part in (0, 1))
    ratings = np.array([row[2] for row in rows])
    found = spearman_of_cosines(vectors[first], vectors[second], ratings, seed, resamples)
    return RatedSimilarity(found, len(rows), len(pairs) - len(rows))


def relation_benchmark(
    names: Sequence[str],
    vectors: np.ndarray,
    relations: Sequence[ConceptRelation],
    seed: int = 0,
    null_pairs: int = NULL_PAIRS,
) -> RelationBenchmark:
    """Test each related pair against random pairs of the same kinds.

    The bootstrap benchmark of cui2vec (Beam et al. 2020, Pacific Symposium on Biocomputing 25, section 2.4): of
    concepts of the two kinds, random pairs are drawn with replacement; a related pair is found when its cosine exceeds
    the 95th percentile of theirs. A concept is never paired with itself. Concepts of a kind are those that the
    relations name.

    Args:
        names: `(concepts,)`, each once.
        vectors: `(concepts, hidden)`. The benchmark looks at the order of cosines only, but centring changes it.
        relations: Related pairs with their kinds (`corpora.concept_relations.read_relations`).
        seed: Of the random pairs and the interval.
        null_pairs: Random pairs of each pair of kinds.

    Raises:
        ValueError: The shapes do not fit, a name stands twice, or a vector is not finite.
    """
    vectors, place = _table(names, vectors)
    unit = unit_rows(vectors)
    grouped: dict[tuple[str, str], list[tuple[int, int]]] = {}
    members: dict[str, set[int]] = {}
    for one in relations:
        if one.first in place and one.second in place:
            grouped.setdefault((one.first_kind, one.second_kind), []).append((place[one.first], place[one.second]))
            members.setdefault(one.first_kind, set()).add(place[one.first])
            members.setdefault(one.second_kind, set()).add(place[one.second])
    results, found = [], []
    for number, kinds in enumerate(sorted(grouped)):
        first, second = (np.array(sorted(members[kind]), dtype=np.int64) for kind in kinds)
        if len(first) * len(second) < 3:
            continue  # no random pair but the related one, and its mirror
        null = _random_cosines(unit, first, second, null_pairs, np.random.default_rng([seed, 12, number]))
        threshold = float(np.quantile(null, 1 - SIGNIFICANCE))
        pairs = np.array(grouped[kinds], dtype=np.int64)
        above = np.einsum("ij,ij->i", unit[pairs[:, 0]], unit[pairs[:, 1]]) > threshold
        results.append(KindsResult(kinds, len(pairs), threshold, int(above.sum())))
        found.append(above)
    all_found = np.concatenate([*found, np.empty(0)]).astype(np.float64)
    return RelationBenchmark(
        share=mean_over_documents(all_found, seed),
        pairs=len(all_found),
        left_out=len(relations) - len(all_found),
        by_kinds=tuple(results),
    )


def _table(names: Sequence[str], vectors: np.ndarray) -> tuple[np.ndarray, dict[str, int]]:
    """Return the vectors, and the row of each name whose vector has a direction."""
    vectors = checked(vectors)
    if len(names) != len(vectors):
        raise ValueError(f"{len(names)} names for {len(vectors)} vectors")
    if len(set(names)) < len(names):
        raise ValueError("a name stands twice")
    lengths = row_lengths(vectors)
    return vectors, {name: row for row, name in enumerate(names) if lengths[row] > 0}


def _random_cosines(
    unit: np.ndarray, first: np.ndarray, second: np.ndarray, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw cosines of random pairs of two different concepts, one of each kind."""
    rows = np.empty((0, 2), dtype=np.int64)
    while len(rows) < count:
        drawn = np.stack([generator.choice(part, count) for part in (first, second)], axis=1)
        rows = np.concatenate([rows, drawn[drawn[:, 0] != drawn[:, 1]]])
    return np.concatenate(
        [
            np.einsum("ij,ij->i", unit[part[:, 0]], unit[part[:, 1]])
            for part in np.array_split(rows[:count], max(1, count // 1_000))
        ]
    )

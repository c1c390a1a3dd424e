"""Bootstrap intervals of entity scores, over the documents and the seeds.

Documents are drawn, not entities or sentences: those of one document are alike, and intervals that ignore this are too
narrow (a cluster bootstrap; Davison and Hinkley 1997, section 3.8). With fewer than about 20 documents the intervals
are too narrow all the same. `metrics.intervals` makes intervals, paired tests and Holm's correction of the scores:

    draws = resample_documents(documents)
    first = resample_entity_scores([counts of each seed], draws)
    second = resample_entity_scores([counts of each seed of another system], draws)
    percentile_interval(first["f1_micro"])
    paired_difference(first["f1_micro"], second["f1_micro"])
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.intervals import ResampledScores, resample_within_classes
from metrics.tagging_scores import TaggingCounts, scores_of_sums


def resample_documents(documents: int, resamples: int = 1_000, seed: int = 0) -> np.ndarray:
    """Draw documents with replacement.

    Args:
        documents: How many there are, and how many are drawn.
        resamples: How many times.
        seed: Of the draw.

    Returns:
        `(resamples, documents)` times that each document is drawn.
    """
    return resample_within_classes(np.zeros(documents, dtype=np.int64), resamples, seed)


def resample_entity_scores(counts_by_seed: Sequence[TaggingCounts], draws: np.ndarray) -> dict[str, ResampledScores]:
    """Score every seed's predictions on the documents and on their resamples.

    Args:
        counts_by_seed: Counts of the same documents and types.
        draws: `(resamples, documents)` of `resample_documents`. Systems scored on the same draws can be compared by
            `metrics.intervals.paired_difference`.

    Returns:
        All scores of `metrics.tagging_scores.scores_of_sums`. The macro average of a resample is over the types that
        have a gold or a predicted entity in it.

    Raises:
        ValueError: The counts are not of the same documents and types.
    """
    first = counts_by_seed[0]
    for counts in counts_by_seed:
        if (counts.document_ids, counts.labels) != (first.document_ids, first.labels):
            raise ValueError("the counts are of different documents or types")
    # float64: its matrix product is fast and exact for whole numbers.
    times = np.concatenate([np.ones((1, draws.shape[1])), draws])
    found = []
    for counts in counts_by_seed:
        strict, matching = (
            (times @ part.reshape(len(part), -1).astype(np.float64)).reshape(len(times), *part.shape[1:])
            for part in (counts.strict, counts.matching)
        )
        found.append(scores_of_sums(strict, matching, first.labels))
    joined = {name: np.stack([scores[name] for scores in found]) for name in found[0]}
    return {name: ResampledScores(values[:, 0], values[:, 1:]) for name, values in joined.items()}

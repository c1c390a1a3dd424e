"""Rows of a table: a system at one number of labelled documents, over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metrics.intervals import ResampledScores, percentile_interval, resample_scores, resample_within_classes
from reporting.classification_results import Cell, ClassificationResults, System


@dataclass(frozen=True, eq=False)
class Row:
    """Scores of a system at one number of shots.

    Args:
        system: The system.
        shots: Labelled documents a class; None for all.
        seeds: In ascending order.
        corpus_digest: Of the corpus that it was trained on.
        metric: What `mean`, `interval` and `scores` are of.
        scores: By seed, on the test documents and their resamples.
        interval: 95 % bootstrap interval of the mean, over test documents and seeds.
        metrics: Every score that all seeds have, averaged over them.
        trained_parameters: Number of them.
        seconds: Mean time of a seed.
        predictions: `(seeds, documents)` or `(seeds, documents, classes)`.
    """

    system: System
    shots: int | None
    seeds: tuple[int, ...]
    corpus_digest: str
    metric: str
    scores: ResampledScores
    interval: tuple[float, float]
    metrics: Mapping[str, float]
    trained_parameters: int | None
    seconds: float
    predictions: np.ndarray

    @property
    def mean(self) -> float:
        """The metric on all test documents, averaged over the seeds."""
        return self.scores.mean


def aggregate_rows(
    results: ClassificationResults, metric: str = "f1_macro", resamples: int = 1_000, seed: int = 0
) -> list[Row]:
    """Bring the cells together over their seeds.

    All rows are scored on the same resamples of the test documents, so that they can be compared pair by pair.

    Args:
        results: The cells.
        metric: One of `metrics.intervals.RESAMPLED_METRICS`.
        resamples: Number of bootstrap resamples.
        seed: Of all draws.

    Returns:
        Rows by system, in the order of the cells, then by ascending shots; those of all documents last.
    """
    groups: dict[tuple[System, int | None], list[Cell]] = {}
    for cell in results.cells:
        groups.setdefault((cell.system, cell.shots), []).append(cell)
    order = {system: place for place, system in enumerate(systems_of(results.cells))}
    counts = resample_within_classes(results.targets, resamples, seed)
    rows = []
    for system, shots in sorted(groups, key=lambda key: (order[key[0]], shots_order(key[1]))):
        cells = sorted(groups[system, shots], key=lambda cell: cell.seed)
        predictions = np.stack([cell.predictions for cell in cells])
        scores = resample_scores(list(predictions), results.targets, counts, metric)
        shared = [name for name in cells[0].metrics if all(name in cell.metrics for cell in cells)]
        known = [cell.trained_parameters for cell in cells if cell.trained_parameters is not None]
        rows.append(
            Row(
                system=system,
                shots=shots,
                seeds=tuple(cell.seed for cell in cells),
                corpus_digest=cells[0].corpus_digest,
                metric=metric,
                scores=scores,
                interval=percentile_interval(scores, seed),
                metrics={name: float(np.mean([cell.metrics[name] for cell in cells])) for name in shared},
                trained_parameters=max(known, default=None),
                seconds=float(np.mean([cell.seconds for cell in cells])),
                predictions=predictions,
            )
        )
    return rows


def shots_order(shots: int | None) -> float:
    """Return the place of a number of shots among others; all documents come last."""
    return float("inf") if shots is None else shots


def shots_of(rows: Iterable[Row]) -> list[int | None]:
    """Return the different numbers of shots in ascending order."""
    return sorted({row.shots for row in rows}, key=shots_order)


def systems_of(rows: Iterable[Row | Cell]) -> list[System]:
    """Return the different systems in their first order."""
    return list(dict.fromkeys(row.system for row in rows))


def best_row(rows: Sequence[Row]) -> Row:
    """Return the row of the highest mean among those of the largest number of shots."""
    largest = shots_of(rows)[-1]
    return max((row for row in rows if row.shots == largest), key=lambda row: row.mean)

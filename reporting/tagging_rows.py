"""Rows of a table of taggers: a system at one share of the training sentences, over its seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corpora.errors import InputError
from metrics.entity_intervals import resample_documents, resample_entity_scores
from metrics.intervals import ResampledScores, percentile_interval
from reporting.adjusted_differences import AdjustedDifference, ScoredPair, adjusted_differences, resamples_for
from reporting.tagging_results import TaggingCell, TaggingResults


@dataclass(frozen=True, eq=False)
class TaggingRow:
    """Scores of a system at one share. Runs that collapsed are kept apart and are in no score.

    Args:
        system: Its name.
        share: Per cent of the training sentences.
        cells: Runs that did not collapse, by seed.
        collapsed: Runs that did, by seed.
        scores: By name, over the seeds of `cells`, on the documents and their resamples; empty without such runs.
        metrics: Every score that the runs in `cells` all have in their `metrics`, averaged over them.
        draw_seed: Of the draw of seeds.
    """

    system: str
    share: float
    cells: tuple[TaggingCell, ...]
    collapsed: tuple[TaggingCell, ...]
    scores: Mapping[str, ResampledScores]
    metrics: Mapping[str, float]
    draw_seed: int

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs that did not collapse."""
        return tuple(cell.seed for cell in self.cells)

    @property
    def runs(self) -> tuple[TaggingCell, ...]:
        """All runs."""
        return self.cells + self.collapsed

    def mean(self, metric: str) -> float:
        """Return a score on the documents as they are, averaged over the seeds."""
        return self.scores[metric].mean

    def interval(self, metric: str) -> tuple[float, float]:
        """Return the 95 % interval of a score, over documents and seeds."""
        return percentile_interval(self.scores[metric], self.draw_seed)

    def errors(self) -> np.ndarray:
        """Return `(types, 6)` entities in each class of `metrics.entity_errors`, averaged over the seeds."""
        return np.mean([cell.counts.errors for cell in self.cells], axis=0)

    def confusion(self) -> np.ndarray:
        """Return `(types + 1, types + 1)` entities by gold and predicted type, averaged over the seeds."""
        return np.mean([cell.counts.confusion for cell in self.cells], axis=0)


@dataclass(frozen=True)
class TaggingComparison(AdjustedDifference):
    """A system against the reference at the same share; one family are all comparisons of the study.

    Args:
        system: The system.
        reference: What it is compared with.
        share: Per cent of the training sentences of both.
    """

    system: str
    reference: str
    share: float


def aggregate_tagging_rows(results: TaggingResults, resamples: int = 1_000, seed: int = 0) -> list[TaggingRow]:
    """Bring the cells together over their seeds.

    All rows are scored on the same resamples of the documents, so that they can be compared pair by pair.

    Args:
        results: The cells.
        resamples: Number of bootstrap resamples.
        seed: Of all draws.

    Returns:
        Rows by system, in the order of the cells, then by ascending share.
    """
    groups: dict[tuple[str, float], list[TaggingCell]] = {}
    for cell in results.cells:
        groups.setdefault((cell.system, cell.share), []).append(cell)
    order = {system: place for place, system in enumerate(tagging_systems(results.cells))}
    draws = resample_documents(len(results.document_ids), resamples, seed)
    rows = []
    for system, share in sorted(groups, key=lambda key: (order[key[0]], key[1])):
        runs = sorted(groups[system, share], key=lambda cell: cell.seed)
        kept = [cell for cell in runs if cell.collapse is None]
        shared = [name for name in kept[0].metrics if all(name in cell.metrics for cell in kept)] if kept else []
        rows.append(
            TaggingRow(
                system=system,
                share=share,
                cells=tuple(kept),
                collapsed=tuple(cell for cell in runs if cell.collapse is not None),
                scores=resample_entity_scores([cell.counts for cell in kept], draws) if kept else {},
                metrics={name: float(np.mean([cell.metrics[name] for cell in kept])) for name in shared},
                draw_seed=seed,
            )
        )
    return rows


def compare_tagging_rows(
    rows: Sequence[TaggingRow], reference: str, metric: str = "f1_micro", seed: int = 0
) -> list[TaggingComparison]:
    """Compare every row with the reference's row of the same share, where both have runs that did not collapse.

    Seeds are drawn together where both systems have the same ones on the same corpus, as they then stand for the same
    training sentences; otherwise each system's by themselves.

    Args:
        rows: Of `aggregate_tagging_rows`.
        reference: Name of the system to compare with.
        metric: Score to compare.
        seed: Of the draw of seeds.

    Returns:
        Comparisons in the order of the rows.
    """
    pairs = _compared(rows, reference)
    found = adjusted_differences(
        [
            ScoredPair(
                row.scores[metric],
                other.scores[metric],
                row.seeds == other.seeds and row.cells[0].corpus_digest == other.cells[0].corpus_digest,
            )
            for row, other in pairs
        ],
        seed,
    )
    return [
        TaggingComparison(row.system, reference, row.share, **vars(one))
        for (row, _), one in zip(pairs, found, strict=True)
    ]


def tagging_resamples(results: TaggingResults, reference: str, resamples: int) -> int:
    """Return the resamples that the comparisons need, at least those asked for."""
    there = {(cell.system, cell.share) for cell in results.cells if cell.collapse is None}
    comparisons = sum(system != reference and (reference, share) in there for system, share in there)
    return resamples_for(comparisons, resamples)


def find_tagging_system(results: TaggingResults, name: str | None) -> str:
    """Return the system of that name; by default the first.

    Raises:
        InputError: There is none.
    """
    systems = tagging_systems(results.cells)
    if name is None:
        return systems[0]
    if name not in systems:
        raise InputError(f"no system is called '{name}'", remedy=f"name one of: {', '.join(systems)}")
    return name


def tagging_systems(rows: Iterable[TaggingRow | TaggingCell]) -> list[str]:
    """Return the different systems in their first order."""
    return list(dict.fromkeys(row.system for row in rows))


def shares_of(rows: Iterable[TaggingRow]) -> list[float]:
    """Return the different shares in ascending order."""
    return sorted({row.share for row in rows})


def largest_share(rows: Sequence[TaggingRow]) -> list[TaggingRow]:
    """Return the rows of the largest share."""
    share = shares_of(rows)[-1]
    return [row for row in rows if row.share == share]


def best_tagging_row(rows: Sequence[TaggingRow], metric: str) -> TaggingRow | None:
    """Return the row of the highest mean among those of the largest share; None where all of them collapsed."""
    scored = [row for row in largest_share(rows) if row.scores]
    return max(scored, key=lambda row: row.mean(metric), default=None)


def _compared(rows: Sequence[TaggingRow], reference: str) -> list[tuple[TaggingRow, TaggingRow]]:
    references = {row.share: row for row in rows if row.system == reference and row.scores}
    return [
        (row, references[row.share])
        for row in rows
        if row.system != reference and row.scores and row.share in references
    ]

"""Markdown tables of tagging results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.entity_errors import ERROR_CLASSES
from metrics.entity_scores import COUNTS, STRICT_METRICS
from reporting.tables import ABOVE, BELOW, MISSING, markdown_table, plain_text
from reporting.tagging_results import TaggingResults
from reporting.tagging_rows import TaggingComparison, TaggingRow, shares_of, tagging_systems

TAGGING_METRICS = {
    "f1_micro": "Micro-F1",
    "f1_macro": "Macro-F1",
    "f1_weighted": "Weighted F1",
    "precision_micro": "Precision",
    "recall_micro": "Recall",
    "precision_macro": "Macro precision",
    "recall_macro": "Macro recall",
    "precision_weighted": "Weighted precision",
    "recall_weighted": "Weighted recall",
    "exact_f1": "Exact F1",
    "partial_f1": "Partial F1",
    "ent_type_f1": "Type F1",
    "token_level_f1_macro": "token_level macro-F1",
    "token_level_f1_weighted": "token_level weighted F1",
}
ERROR_NAMES = {
    "correct": "Correct",
    "type": "Type",
    "boundary": "Boundary",
    "both": "Type and boundary",
    "missed": "Missed",
    "spurious": "Spurious",
}
STRICT = ("f1_micro", "f1_macro", "f1_weighted", "precision_micro", "recall_micro")
RELAXED = ("exact_f1", "partial_f1", "ent_type_f1", "token_level_f1_macro", "token_level_f1_weighted")
COLLAPSED = "collapsed"


def tagging_metric_name(metric: str) -> str:
    """Return how a score is called in print."""
    return TAGGING_METRICS.get(metric, metric.replace("_", " "))


def share_name(share: float) -> str:
    """Return how a share is called in print."""
    return f"{share:g} %"


def strict_table(rows: Sequence[TaggingRow], comparisons: Sequence[TaggingComparison], metric: str) -> str:
    """Lay out the strict scores of the systems at one share.

    Args:
        rows: One a system.
        comparisons: With the reference; may be empty.
        metric: What they are of, in a column of its own if it is none of those that are always there.

    Returns:
        Means over the seeds, with intervals for F1; the best of a column in bold; marks where the difference to the
        reference stands after Holm's correction.
    """
    extra = [metric] if metric in STRICT_METRICS and metric not in STRICT else []
    return _scores_table(rows, [*STRICT, *extra], comparisons, metric)


def relaxed_table(rows: Sequence[TaggingRow], comparisons: Sequence[TaggingComparison], metric: str) -> str:
    """Lay out the relaxed and the token-level scores; see `strict_table`."""
    return _scores_table(rows, RELAXED, comparisons, metric)


def shares_table(rows: Sequence[TaggingRow], comparisons: Sequence[TaggingComparison], metric: str) -> str:
    """Lay out the systems against the share of training sentences, with the runs where some collapsed."""
    shares = shares_of(rows)
    cells = {(row.system, row.share): row for row in rows}
    marks = {(one.system, one.share): ABOVE if one.difference > 0 else BELOW for one in comparisons if one.significant}
    best = {
        share: max((row.mean(metric) for row in rows if row.share == share and row.scores), default=None)
        for share in shares
    }
    lines = [[f"{tagging_metric_name(metric)}, training sentences", *map(share_name, shares)]]
    for system in tagging_systems(rows):
        line = [plain_text(system)]
        for share in shares:
            row = cells.get((system, share))
            if row is None:
                line.append(MISSING)
                continue
            runs = f"({_runs(row)})" if row.collapsed and row.cells else ""
            mark = marks.get((system, share), "")
            line.append(_cell(row, metric, best[share], " ".join(part for part in (runs, mark) if part)))
        lines.append(line)
    return markdown_table(lines)


def costs_table(rows: Sequence[TaggingRow]) -> str:
    """Lay out what each row was trained on, how much of it was trained, and for how long; all runs count."""
    lines = [["System", "Share", "Training sentences", "Trained parameters", "Seconds"]]
    for row in rows:
        known = [run.trained_parameters for run in row.runs if run.trained_parameters is not None]
        sentences = np.mean([run.training_sentences for run in row.runs])
        lines.append(
            [
                plain_text(row.system),
                share_name(row.share),
                f"{sentences:,.0f}",
                f"{max(known):,}" if known else MISSING,
                f"{np.mean([run.seconds for run in row.runs]):,.1f}",
            ]
        )
    return markdown_table(lines)


def types_table(row: TaggingRow, results: TaggingResults) -> str:
    """Lay out strict precision, recall and F1 of every type, averaged over the row's seeds."""
    counts = np.mean([cell.counts.strict.sum(0) for cell in row.cells], axis=0)
    lines = [["Type", "Gold entities", "Predicted", "Precision", "Recall", "F1"]]
    for number, label in enumerate(results.labels):
        scores = [f"{row.mean(f'{name}_of_{label}'):.3f}" for name in ("precision", "recall")]
        gold, said = (counts[number, COUNTS.index(name)] for name in ("gold", "predicted"))
        f1 = f"{row.mean(f'f1_of_{label}'):.3f} {_interval(row, f'f1_of_{label}')}"
        lines.append([plain_text(label), f"{gold:,.0f}", _number(said), *scores, f1])
    return markdown_table(lines)


def errors_table(rows: Sequence[TaggingRow]) -> str:
    """Lay out the classes of entities by system, averaged over the seeds.

    In brackets are per cent of the gold entities; spurious ones, of the predicted entities.
    """
    lines = [["System", *(ERROR_NAMES[name] for name in ERROR_CLASSES)]]
    for row in rows:
        if not row.cells:
            lines.append([plain_text(row.system), *[COLLAPSED] * len(ERROR_CLASSES)])
            continue
        counts = row.errors().sum(0)
        gold, predicted = counts[:-1].sum(), np.delete(counts, ERROR_CLASSES.index("missed")).sum()
        wholes = [predicted if name == "spurious" else gold for name in ERROR_CLASSES]
        shares = [
            f" ({100 * count / whole:.1f} %)" if whole else "" for count, whole in zip(counts, wholes, strict=True)
        ]
        line = [_number(count) + share for count, share in zip(counts, shares, strict=True)]
        lines.append([plain_text(row.system), *line])
    return markdown_table(lines)


def type_errors_table(row: TaggingRow, results: TaggingResults) -> str:
    """Lay out the classes of entities by type, averaged over the row's seeds."""
    lines = [["Type", *(ERROR_NAMES[name] for name in ERROR_CLASSES)]]
    for label, counts in zip(results.labels, row.errors(), strict=True):
        lines.append([plain_text(label), *map(_number, counts)])
    return markdown_table(lines)


def comparisons_table(comparisons: Sequence[TaggingComparison]) -> str:
    """Lay out the differences to the reference."""
    lines = [["System", "Share", "Difference", "p", "p after Holm"]]
    for one in comparisons:
        low, high = one.interval
        lines.append(
            [
                plain_text(one.system),
                share_name(one.share),
                f"{one.difference:+.3f} [{low:+.3f}, {high:+.3f}]",
                f"{one.p_value:.4f}",
                f"{one.adjusted_p_value:.4f}",
            ]
        )
    return markdown_table(lines)


def collapsed_table(rows: Sequence[TaggingRow]) -> str:
    """Lay out the runs that collapsed, one by one."""
    lines = [["System", "Share", "Seed", "Predicted tags", "Micro-F1", "token_level macro-F1"]]
    for row in rows:
        for run in row.collapsed:
            scores = (run.metrics.get(name) for name in ("f1_micro", "token_level_f1_macro"))
            shown = [MISSING if score is None else f"{score:.3f}" for score in scores]
            words = plain_text(run.collapse or "")
            lines.append([plain_text(row.system), share_name(row.share), str(run.seed), words, *shown])
    return markdown_table(lines)


def _scores_table(
    rows: Sequence[TaggingRow], metrics: Sequence[str], comparisons: Sequence[TaggingComparison], metric: str
) -> str:
    names = [name for name in metrics if any(_score(row, name) is not None for row in rows)]
    marks = _marks(comparisons)
    best = {name: max(found for row in rows if (found := _score(row, name)) is not None) for name in names}
    lines = [["System", "Runs", *map(tagging_metric_name, names)]]
    for row in rows:
        line = [plain_text(row.system), _runs(row)]
        for name in names:
            mark = marks.get((row.system, row.share), "") if name == metric else ""
            interval = name in row.scores and ("f1" in name or name == metric)
            line.append(_cell(row, name, best[name], mark, interval=interval))
        lines.append(line)
    return markdown_table(lines)


def _marks(comparisons: Sequence[TaggingComparison]) -> dict[tuple[str, float], str]:
    return {(one.system, one.share): ABOVE if one.difference > 0 else BELOW for one in comparisons if one.significant}


def _score(row: TaggingRow, name: str) -> float | None:
    """Return a mean, from the counts where it follows from them."""
    if name in row.scores:
        return row.mean(name)
    return row.metrics.get(name) if name.startswith("token_level") else None


def _cell(row: TaggingRow, name: str, best: float | None, mark: str, *, interval: bool = True) -> str:
    if not row.cells:
        return COLLAPSED
    found = _score(row, name)
    if found is None:
        return MISSING
    mean = f"**{found:.3f}**" if found == best else f"{found:.3f}"
    return " ".join(part for part in (mean, _interval(row, name) if interval else "", mark) if part)


def _interval(row: TaggingRow, name: str) -> str:
    low, high = row.interval(name)
    return f"[{low:.3f}, {high:.3f}]"


def _runs(row: TaggingRow) -> str:
    """Say how many runs the means are of, and where some collapsed, of how many."""
    return f"{len(row.cells)} of {len(row.runs)}" if row.collapsed else str(len(row.cells))


def _number(count: float) -> str:
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.1f}"

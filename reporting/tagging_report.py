"""The report on tagging results: tables, comparisons and figures, in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.json_files import json_text
from metrics.entity_scores import STRICT_METRICS
from reporting.adjusted_differences import ERROR_RATE
from reporting.report_folder import write_report_files
from reporting.tables import ABOVE, BELOW, plain_text
from reporting.tagging_results import TaggingResults
from reporting.tagging_rows import (
    TaggingComparison,
    TaggingRow,
    aggregate_tagging_rows,
    best_tagging_row,
    compare_tagging_rows,
    find_tagging_system,
    largest_share,
    shares_of,
    tagging_resamples,
)
from reporting.tagging_tables import (
    collapsed_table,
    comparisons_table,
    costs_table,
    errors_table,
    relaxed_table,
    share_name,
    shares_table,
    strict_table,
    tagging_metric_name,
    type_errors_table,
    types_table,
)

TABLE, COMPARISONS = "table.md", "comparisons.json"
FIGURES = ("learning_curve", "type_confusion", "error_classes")
RELAXED_METRICS = ("exact_f1", "partial_f1", "ent_type_f1")


@dataclass(frozen=True, eq=False)
class TaggingReport:
    """All that is shown of some results.

    Args:
        results: What is reported.
        rows: By system and share.
        reference: What the systems are compared with.
        metric: What they are compared by.
        comparisons: With the reference.
        resamples: Bootstrap resamples of all intervals and tests.
        seed: Of all draws.
    """

    results: TaggingResults
    rows: Sequence[TaggingRow]
    reference: str
    metric: str
    comparisons: Sequence[TaggingComparison]
    resamples: int
    seed: int


def make_tagging_report(
    results: TaggingResults,
    reference: str | None = None,
    metric: str = "f1_micro",
    resamples: int = 1_000,
    seed: int = 0,
) -> TaggingReport:
    """Aggregate and compare.

    Args:
        results: Cells of one folder, or of several after `join_tagging_results`.
        reference: Name of a system; by default the first.
        metric: What the systems are compared by, one of `metrics.entity_scores.STRICT_METRICS` or `RELAXED_METRICS`.
        resamples: Bootstrap resamples; more are taken where the number of comparisons needs them.
        seed: Of all draws.

    Raises:
        InputError: There is no such metric, or no such system.
    """
    if metric not in (*STRICT_METRICS, *RELAXED_METRICS):
        choices = ", ".join((*STRICT_METRICS, *RELAXED_METRICS))
        raise InputError(f"there is no interval for '{metric}'", remedy=f"choose from {choices}")
    chosen = find_tagging_system(results, reference)
    resamples = tagging_resamples(results, chosen, resamples)
    rows = aggregate_tagging_rows(results, resamples, seed)
    comparisons = compare_tagging_rows(rows, chosen, metric, seed)
    return TaggingReport(results, rows, chosen, metric, comparisons, resamples, seed)


def tagging_markdown(report: TaggingReport) -> str:
    """Return the whole report as Markdown."""
    results, rows = report.results, report.rows
    share = share_name(shares_of(rows)[-1])
    gold = results.gold.sum()
    parts = [
        f"# Entities of {plain_text(results.corpus)}",
        f"{len(results.labels):,} type{'s' if len(results.labels) > 1 else ''}; scored on "
        f"{len(results.document_ids):,} documents of the {plain_text(results.split)} split with {gold:,} entities.",
        f"## Systems, trained on {share} of the sentences",
        strict_table(largest_share(rows), report.comparisons, report.metric),
        _note(report),
        relaxed_table(largest_share(rows), report.comparisons, report.metric),
        "Exact asks for the boundaries alone; partial takes an overlap for a half, whatever the type; type asks for an "
        "overlap of the same type (nervaluate's schemas). token_level scores single tags with O as a class, as Belkadi "
        "et al. (2022) do; it is no score of entities.",
    ]
    if any(row.collapsed for row in rows):
        parts += ["## Collapsed runs", collapsed_table(rows), "These runs are in no mean, interval or test."]
    if len(shares_of(rows)) > 1:
        parts += ["## Learning curve", shares_table(rows, report.comparisons, report.metric)]
    if report.comparisons:
        parts += [
            f"## {tagging_metric_name(report.metric)} against {plain_text(report.reference)}",
            comparisons_table(report.comparisons),
        ]
    best = best_tagging_row(rows, report.metric)
    if best:
        name = plain_text(best.system)
        parts += [f"## Types: {name}, trained on {share}", types_table(best, results)]
        parts += [f"## Errors, trained on {share}", errors_table(largest_share(rows))]
        parts += ["Per cent of the gold entities; of spurious ones, of the predicted entities. Means over the runs."]
        parts += [f"## Errors by type: {name}, trained on {share}", type_errors_table(best, results)]
    parts += ["## Cost", costs_table(rows) + "\n"]
    return "\n\n".join(parts)


def tagging_comparisons_json(report: TaggingReport) -> dict[str, Any]:
    """Return rows and comparisons as plain values."""
    return {
        "schema_version": 1,
        "kind": "tagging_comparison",
        "corpus": report.results.corpus,
        "split": report.results.split,
        "documents": len(report.results.document_ids),
        "labels": list(report.results.labels),
        "metric": report.metric,
        "resamples": report.resamples,
        "seed": report.seed,
        "reference": report.reference,
        "rows": [_row_json(row) for row in report.rows],
        "comparisons": [
            {"system": one.system, "reference": one.reference, "share": one.share, **one.numbers()}
            for one in report.comparisons
        ],
    }


def write_tagging_report(
    results: TaggingResults,
    folder: Path,
    reference: str | None = None,
    metric: str = "f1_micro",
    resamples: int = 1_000,
    seed: int = 0,
) -> list[Path]:
    """Write `table.md`, the figures and `comparisons.json` into a folder; it is made where there is none.

    All are made before the first is put in its place, and files of an earlier report are replaced. Other files in the
    folder stay.

    Args:
        results: Of `load_tagging_results` or `join_tagging_results`.
        folder: Where.
        reference: See `make_tagging_report`, as for all that follow.
        metric: See there.
        resamples: See there.
        seed: See there.

    Returns:
        The files. `learning_curve` needs two shares, `error_classes` a run that did not collapse, `type_confusion` two
        types as well.

    Raises:
        InputError: There is no such metric, or no such system.
    """
    report = make_tagging_report(results, reference, metric, resamples, seed)

    def write(partial: Path) -> None:
        (partial / TABLE).write_text(tagging_markdown(report), encoding="utf-8")
        content = json_text(tagging_comparisons_json(report))
        (partial / COMPARISONS).write_text(content, encoding="utf-8")
        _write_figures(report, partial)

    return write_report_files(folder, write, [name + suffix for name in FIGURES for suffix in (".png", ".svg")])


def _write_figures(report: TaggingReport, folder: Path) -> None:
    from reporting.figure_style import save_figure
    from reporting.tagging_figures import error_bars, learning_curve, type_confusion

    if len(shares_of(report.rows)) > 1:
        save_figure(learning_curve(report.rows, report.metric), folder / FIGURES[0])
    best = best_tagging_row(report.rows, report.metric)
    if best and len(report.results.labels) > 1:
        title = f"{best.system}\n% of the row"
        save_figure(type_confusion(best.confusion(), report.results.labels, title), folder / FIGURES[1])
    if best:
        save_figure(error_bars(largest_share(report.rows)), folder / FIGURES[2])


def _row_json(row: TaggingRow) -> dict[str, Any]:
    names = (*STRICT_METRICS, *RELAXED_METRICS, *(name for name in row.scores if name.startswith("f1_of_")))
    return {
        "system": row.system,
        "share": row.share,
        "seeds": list(row.seeds),
        "collapsed": [{"seed": run.seed, "collapse": run.collapse} for run in row.collapsed],
        "scores": {
            name: {
                "mean": row.mean(name),
                "interval": list(row.interval(name)),
                "by_seed": row.scores[name].observed.tolist(),
            }
            for name in names
            if name in row.scores
        },
        "token_level": {name: value for name, value in row.metrics.items() if name.startswith("token_level")},
        "training_sentences": [run.training_sentences for run in row.runs],
        "trained_parameters": max(
            (run.trained_parameters for run in row.runs if run.trained_parameters is not None), default=None
        ),
        "seconds": [run.seconds for run in row.runs],
    }


def _note(report: TaggingReport) -> str:
    sentences = [
        "Means over the runs [95 % interval over documents and seeds]; the best of a column in bold.",
        "All scores of this table are strict, of type and both boundaries (seqeval's strict IOB2).",
    ]
    if any(row.collapsed for row in report.rows):
        sentences.append("Of the runs, those that collapsed are left out and listed below.")
    if report.comparisons:
        number = len(report.comparisons)
        sentences.append(
            f"{ABOVE} {BELOW} above or below {plain_text(report.reference)} at the same share in "
            f"{tagging_metric_name(report.metric)}: paired bootstrap ({report.resamples:,} resamples), "
            f"p at most {ERROR_RATE} after Holm's correction for {number:,} comparison{'' if number == 1 else 's'}."
        )
    return " ".join(sentences)

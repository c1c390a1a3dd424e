"""The report on classification results: the table, the comparisons and the figures, in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpora.errors import InputError
from corpora.json_files import json_text
from metrics.classification import confusion_counts
from metrics.intervals import RESAMPLED_METRICS
from reporting.adjusted_differences import ERROR_RATE
from reporting.classification_results import ClassificationResults, System
from reporting.comparisons import Comparison, compare_with_reference, default_reference, enough_resamples
from reporting.report_folder import write_report_files
from reporting.result_rows import Row, aggregate_rows, best_row, shots_of, systems_of
from reporting.system_names import find_system, shared_reading, system_names
from reporting.tables import (
    ABOVE,
    BELOW,
    classes_table,
    metric_name,
    metrics_table,
    plain_text,
    shots_name,
    systems_table,
)

TABLE, COMPARISONS = "table.md", "comparisons.json"
FIGURES = ("few_shot_curves", "frozen_depth", "confusion_matrix")


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """All that is shown of some results.

    Args:
        results: What is reported.
        rows: By system and number of shots.
        names: Of the systems.
        reference: What the systems are compared with.
        comparisons: With the reference.
        resamples: Bootstrap resamples of all intervals and tests.
        seed: Of all draws.
    """

    results: ClassificationResults
    rows: Sequence[Row]
    names: Mapping[System, str]
    reference: System
    comparisons: Sequence[Comparison]
    resamples: int
    seed: int


def make_report(
    results: ClassificationResults,
    reference: str | None = None,
    metric: str = "f1_macro",
    resamples: int = 1_000,
    seed: int = 0,
) -> ClassificationReport:
    """Aggregate and compare.

    Args:
        results: Cells of one folder, or of several after `join_results`.
        reference: Words of a system, see `find_system`; by default TF-IDF with logistic regression.
        metric: What the table shows first, one of `metrics.intervals.RESAMPLED_METRICS`.
        resamples: Bootstrap resamples; more are taken where the number of comparisons needs them.
        seed: Of all draws.

    Raises:
        InputError: There is no such metric, or no such system.
    """
    if metric not in RESAMPLED_METRICS:
        raise InputError(f"there is no interval for '{metric}'", remedy=f"choose from {', '.join(RESAMPLED_METRICS)}")
    systems = systems_of(results.cells)
    chosen = default_reference(systems) if reference is None else find_system(systems, reference)
    resamples = enough_resamples(results.cells, chosen, resamples)
    rows = aggregate_rows(results, metric, resamples, seed)
    comparisons = compare_with_reference(rows, chosen, seed)
    return ClassificationReport(results, rows, system_names(systems), chosen, comparisons, resamples, seed)


def main_table(report: ClassificationReport) -> str:
    """Return the table of systems against shots, with a note that says how to read it."""
    table = systems_table(report.rows, report.names, report.comparisons, report.results.label_column)
    return f"{table}\n\n{_note(report)}"


def report_markdown(report: ClassificationReport) -> str:
    """Return the whole report as Markdown: systems against shots, all scores, the classes of the best system."""
    results, best = report.results, best_row(report.rows)
    documents = results.documents
    shots = "all documents" if best.shots is None else f"{shots_name(best.shots)}"
    largest = [row for row in report.rows if row.shots == best.shots]
    return "\n\n".join(
        [
            f"# Classification of {plain_text(results.label_column)}",
            f"{len(results.labels):,} classes; {documents['train']:,} training, {documents['validation']:,} validation "
            f"and {documents['test']:,} test documents.",
            main_table(report),
            f"## All scores, trained on {shots}",
            metrics_table(largest, report.names),
            f"## Classes: {plain_text(report.names[best.system])}, trained on {shots}",
            classes_table(best, results) + "\n",
        ]
    )


def comparisons_json(report: ClassificationReport) -> dict[str, Any]:
    """Return rows and comparisons as plain values."""
    results = report.results
    return {
        "schema_version": 1,
        "kind": "classification_comparison",
        "label_column": results.label_column,
        "task": results.task,
        "documents": dict(results.documents),
        "metric": report.rows[0].metric,
        "resamples": report.resamples,
        "seed": report.seed,
        "reference": {**asdict(report.reference), "name": report.names[report.reference]},
        "rows": [
            {
                **asdict(row.system),
                "name": report.names[row.system],
                "shots": row.shots,
                "seeds": list(row.seeds),
                "mean": row.mean,
                "interval": list(row.interval),
                "by_seed": row.scores.observed.tolist(),
                "metrics": dict(row.metrics),
                "trained_parameters": row.trained_parameters,
                "seconds": row.seconds,
            }
            for row in report.rows
        ],
        "comparisons": [
            {
                **asdict(found.system),
                "name": report.names[found.system],
                "shots": found.shots,
                **found.numbers(),
            }
            for found in report.comparisons
        ],
    }


def write_report(report: ClassificationReport, folder: Path) -> list[Path]:
    """Write `table.md`, the figures and `comparisons.json` into a folder; it is made where there is none.

    All are made before the first is put in its place, and files of an earlier report are replaced. Other files in the
    folder stay.

    Args:
        report: What to write.
        folder: Where.

    Returns:
        The files. `few_shot_curves` needs two numbers of shots, `frozen_depth` a partly frozen encoder,
        `confusion_matrix` one class a document.
    """

    def write(partial: Path) -> None:
        (partial / TABLE).write_text(report_markdown(report), encoding="utf-8")
        content = json_text(comparisons_json(report))
        (partial / COMPARISONS).write_text(content, encoding="utf-8")
        _write_figures(report, partial)

    return write_report_files(folder, write, [name + suffix for name in FIGURES for suffix in (".png", ".svg")])


def _write_figures(report: ClassificationReport, folder: Path) -> None:
    from reporting.figure_style import save_figure
    from reporting.figures import confusion_matrix, few_shot_curves, frozen_depth_curve, frozen_depths

    results, best = report.results, best_row(report.rows)
    if len(shots_of(report.rows)) > 1:
        save_figure(few_shot_curves(report.rows, report.names), folder / FIGURES[0])
    if frozen_depths(report.rows):
        save_figure(frozen_depth_curve(report.rows), folder / FIGURES[1])
    if results.task != "multi_label":
        classes = len(results.labels)
        counts = np.mean([confusion_counts(said, results.targets, classes) for said in best.predictions], axis=0)
        title = f"{report.names[best.system]}\n% of the true class"
        save_figure(confusion_matrix(counts, results.labels, title), folder / FIGURES[2])


def _note(report: ClassificationReport) -> str:
    reading = shared_reading(systems_of(report.rows), report.results.window_length)
    sentences = [
        f"{metric_name(report.rows[0].metric)}: mean over {_seeds(report)} [95 % interval over test documents and "
        "seeds].",
        "Best of a column in bold.",
    ]
    if report.comparisons:
        sentences.append(
            f"{ABOVE} {BELOW} above or below {plain_text(report.names[report.reference])} with as many documents: "
            f"paired bootstrap ({report.resamples:,} resamples), p at most {ERROR_RATE} after Holm's correction for "
            f"{len(report.comparisons):,} comparisons."
        )
    if reading:
        sentences.append(f"Encoders read {reading}.")
    return " ".join(sentences)


def _seeds(report: ClassificationReport) -> str:
    """Say how many seeds there are, and where there are fewer."""
    most = max(len(row.seeds) for row in report.rows)
    fewer = [row for row in report.rows if len(row.seeds) < most]
    words = f"{most} seed{'' if most == 1 else 's'}"
    if not fewer:
        return words
    if all(len(row.seeds) == 1 and row.shots is None for row in fewer):
        return f"{words} (1 on all documents where nothing is left to chance)"
    return (
        f"{words} (fewer, {min(len(row.seeds) for row in fewer)} at least, in {len(fewer)} of {len(report.rows)} cells)"
    )

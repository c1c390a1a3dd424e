"""The report on transfer results: tables, comparisons and figures, in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from corpora.json_files import json_text
from reporting.adjusted_differences import ERROR_RATE
from reporting.report_folder import write_report_files
from reporting.tables import ABOVE, BELOW, plain_text
from reporting.transfer_comparisons import Comparison, compare_vectors, enough_resamples
from reporting.transfer_results import Row, TransferResults, transfer_rows
from reporting.transfer_tables import (
    blocks,
    differences_table,
    metrics_table,
    overlaps_table,
    scores_table,
    settings_of,
    sites_table,
    vocabulary_name,
)

TABLE, COMPARISONS = "table.md", "comparisons.json"


@dataclass(frozen=True, eq=False)
class TransferReport:
    """All that is shown of some results.

    Args:
        results: What is reported.
        rows: By system and place.
        comparisons: With the control vectors.
        resamples: Bootstrap resamples of all intervals and tests.
        seed: Of all draws.
    """

    results: TransferResults
    rows: Sequence[Row]
    comparisons: Sequence[Comparison]
    resamples: int
    seed: int


def make_report(results: TransferResults, resamples: int = 1_000, seed: int = 0) -> TransferReport:
    """Aggregate and compare.

    Args:
        results: Cells of a folder.
        resamples: Bootstrap resamples; more are taken where the number of comparisons needs them.
        seed: Of all draws.
    """
    resamples = enough_resamples([(cell.system, cell.place) for cell in results.cells], resamples)
    rows = transfer_rows(results, resamples, seed)
    return TransferReport(results, rows, compare_vectors(rows, seed), resamples, seed)


def main_tables(report: TransferReport) -> str:
    """Return a table for each vocabulary and source, with a note that says how to read them."""
    settings, parts = settings_of(report.rows), []
    for (vocabulary, source), rows in blocks(report.rows).items():
        where = f"from {plain_text(source)} to" if source else "the target alone:"
        parts.append(f"## {vocabulary_name(vocabulary).capitalize()}, {where} {plain_text(report.results.target)}")
        parts.append(scores_table(rows, report.comparisons, settings))
    return "\n\n".join([*parts, _note(report)])


def report_markdown(report: TransferReport) -> str:
    """Return the whole report as Markdown."""
    results, settings = report.results, settings_of(report.rows)
    shown = [row for row in report.rows if row.place.protocol in ("ceiling", "direct") or _is_largest(row, report.rows)]
    parts = [
        f"# Transfer to {plain_text(results.target)}",
        f"{len(results.outcomes):,} test encounters, {int(results.outcomes.sum()):,} with the outcome.",
        sites_table(results),
        *([overlaps_table(results)] if results.overlaps else []),
        main_tables(report),
        "## All scores: direct transfer, and most target encounters",
        metrics_table(shown, settings),
    ]
    if report.comparisons:
        parts += ["## Differences from the controls", differences_table(report.comparisons, settings)]
    return "\n\n".join(parts) + "\n"


def _is_largest(row: Row, rows: Sequence[Row]) -> bool:
    sizes = {other.place.size for other in rows if other.place.protocol == row.place.protocol}
    largest = None if None in sizes else max(sizes)
    return row.place.size == largest


def _note(report: TransferReport) -> str:
    sentences = []
    for row in report.rows:
        if row.place.protocol == "ceiling":
            sentences.append(f"Best possible on these test encounters: {row.mean:.4f}.")
    seeds = max(len(row.seeds) for row in report.rows)
    sentences += [
        f"AUROC on the target's test encounters: mean over {seeds} seeds [95 % interval over test patients and seeds].",
        "Best of a column in bold.",
        f"{ABOVE} {BELOW} above or below one-hot vectors with the same classifier: paired bootstrap "
        f"({report.resamples:,} resamples), p at most {ERROR_RATE} after Holm's correction within the column.",
    ]
    return " ".join(sentences)


def comparisons_json(report: TransferReport) -> dict[str, Any]:
    """Return rows and comparisons as plain values."""
    return {
        "schema_version": 1,
        "kind": "concept_transfer_comparison",
        "target": report.results.target,
        "test_encounters": len(report.results.outcomes),
        "resamples": report.resamples,
        "seed": report.seed,
        "rows": [
            {
                **asdict(row.system),
                **asdict(row.place),
                "seeds": list(row.seeds),
                "mean": row.mean,
                "interval": list(row.interval),
                "by_seed": row.scores.observed.tolist(),
                "metrics": dict(row.metrics),
                "best_epochs": list(row.best_epochs),
            }
            for row in report.rows
        ],
        "comparisons": [
            {
                **asdict(found.system),
                **asdict(found.place),
                "reference": found.reference,
                **found.numbers(),
            }
            for found in report.comparisons
        ],
    }


def write_report(report: TransferReport, folder: Path) -> list[Path]:
    """Write `table.md`, `comparisons.json` and the figures into a folder; earlier ones are replaced.

    Args:
        report: What to write.
        folder: Where; it is made where there is none.

    Returns:
        The files.
    """
    from reporting.figure_style import save_figure
    from reporting.transfer_comparison_figures import comparison_figures
    from reporting.transfer_figures import transfer_figures

    def write(partial: Path) -> None:
        (partial / TABLE).write_text(report_markdown(report), encoding="utf-8")
        content = json_text(comparisons_json(report))
        (partial / COMPARISONS).write_text(content, encoding="utf-8")
        figures = {**transfer_figures(report.rows), **comparison_figures(report.rows, report.results.outcomes)}
        for name, figure in figures.items():
            save_figure(figure, partial / name)

    earlier = [file.name for suffix in ("png", "svg") for file in folder.glob(f"transfer_*.{suffix}")]
    return write_report_files(folder, write, earlier)

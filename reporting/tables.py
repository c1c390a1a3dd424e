"""Markdown tables of classification results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from metrics.classification import per_class_scores
from reporting.adjusted_differences import AdjustedDifference
from reporting.classification_results import ClassificationResults, System
from reporting.comparisons import Comparison
from reporting.result_rows import Row, shots_of, systems_of

METRIC_NAMES = {
    "f1_macro": "Macro-F1",
    "accuracy": "Accuracy",
    "precision_macro": "Macro precision",
    "recall_macro": "Macro recall",
    "f1_weighted": "Weighted F1",
    "f1_micro": "Micro-F1",
    "roc_auc_macro": "Macro ROC-AUC",
    "mean_absolute_error": "Mean absolute error",
    "quadratic_weighted_kappa": "Weighted kappa",
    "ece": "ECE",
    "brier": "Brier",
}
ABOVE, BELOW = "▲", "▼"
MISSING = "-"
# A number, marked or not, or nothing.
_NUMERIC = re.compile(r"(\*\*|[<~≤≥±]|\s)*([+-]?\.?\d|-?$|[+-]?inf|nan|not a number)")


def metric_name(metric: str) -> str:
    """Return how a metric is called in print."""
    return METRIC_NAMES.get(metric, metric.replace("_", " "))


def shots_name(shots: int | None) -> str:
    """Return how a number of labelled documents a class is called at the head of a column."""
    return "all" if shots is None else f"{shots:,} a class"


def difference_text(difference: float, interval: tuple[float, float]) -> str:
    """Return a signed difference with its interval."""
    return f"{difference:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}]"


def difference_cell(found: AdjustedDifference | None) -> str:
    """Return a difference with its interval and, where it stands after the correction, its mark."""
    if found is None:
        return MISSING
    mark = "" if not found.significant else ABOVE if found.difference > 0 else BELOW
    return f"{difference_text(found.difference, found.interval)} {mark}".rstrip()


def systems_table(
    rows: Sequence[Row], names: Mapping[System, str], comparisons: Sequence[Comparison], label_column: str
) -> str:
    """Lay the systems out against the numbers of labelled documents.

    Args:
        rows: Rows of one metric.
        names: Of the systems.
        comparisons: With the reference; may be empty.
        label_column: For the head.

    Returns:
        Means with intervals; the best of a column in bold; marks where the difference to the reference stands after
        Holm's correction.
    """
    shots = shots_of(rows)
    cells = {(row.system, row.shots): row for row in rows}
    marks = {
        (found.system, found.shots): ABOVE if found.difference > 0 else BELOW
        for found in comparisons
        if found.significant
    }
    best = {number: max(row.mean for row in rows if row.shots == number) for number in shots}
    lines = [[f"{metric_name(rows[0].metric)}, {plain_text(label_column)}", *map(shots_name, shots)]]
    for system in systems_of(rows):
        line = [plain_text(names[system])]
        for number in shots:
            row = cells.get((system, number))
            if row is None:
                line.append(MISSING)
                continue
            mean = f"**{row.mean:.3f}**" if row.mean == best[number] else f"{row.mean:.3f}"
            mark = marks.get((system, number), "")
            line.append(f"{mean} [{row.interval[0]:.3f}, {row.interval[1]:.3f}] {mark}".rstrip())
        lines.append(line)
    return markdown_table(lines)


def metrics_table(rows: Sequence[Row], names: Mapping[System, str]) -> str:
    """Lay out every score of the rows of one number of shots, with how much of each system was trained.

    Times are in results.json: in the table they would make two runs of the same study differ.

    Args:
        rows: One row a system.
        names: Of the systems.

    Returns:
        Means over the seeds.
    """
    known = {name for row in rows for name in row.metrics}
    metrics = [name for name in METRIC_NAMES if name in known] + sorted(known - METRIC_NAMES.keys())
    lines = [["System", *map(metric_name, metrics), "Trained parameters"]]
    for row in rows:
        scores = [f"{row.metrics[name]:.3f}" if name in row.metrics else MISSING for name in metrics]
        parameters = MISSING if row.trained_parameters is None else f"{row.trained_parameters:,}"
        lines.append([plain_text(names[row.system]), *scores, parameters])
    return markdown_table(lines)


def classes_table(row: Row, results: ClassificationResults) -> str:
    """Lay out precision, recall and F1 of every class, averaged over the row's seeds."""
    by_seed = [per_class_scores(said, results.targets, results.labels) for said in row.predictions]
    lines = [["Class", "Documents", "Precision", "Recall", "F1"]]
    for entries in zip(*by_seed, strict=True):
        means = (np.mean([entry[name] for entry in entries]) for name in ("precision", "recall", "f1"))
        lines.append(
            [plain_text(entries[0]["label"]), f"{entries[0]['documents']:,}", *(f"{mean:.3f}" for mean in means)]
        )
    return markdown_table(lines)


def columns_of_words(lines: Sequence[Sequence[str]]) -> list[bool]:
    """Return which columns hold words, and are set to the left; the first one always is.

    Args:
        lines: Cells, the head first.
    """
    columns = zip(*lines[1:], strict=True) if len(lines) > 1 else [()] * len(lines[0])
    return [not number or not all(map(_NUMERIC.match, cells)) for number, cells in enumerate(columns)]


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """Join a head and its lines; columns of words to the left, of numbers to the right."""
    rule = ["---" if words else "---:" for words in columns_of_words(lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


def plain_text(name: str) -> str:
    """Return a name on one line, with a backslash before what Markdown would read as markup."""
    return re.sub(r"([\\`*<|])", r"\\\1", " ".join(name.split()))

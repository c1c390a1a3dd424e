"""Measures of embedding spaces side by side: which models differ from the reference, and the Markdown table."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from metrics.measured import Measured
from metrics.measures import MEASURES, Group, MeasureInfo
from reporting.space_results import ModelSpace, SpaceResults
from reporting.tables import ABOVE, BELOW, MISSING, markdown_table, plain_text

Verdict = Literal["better", "worse"]
GROUPS: tuple[Group, ...] = get_args(Group)
GROUP_TITLES = {"geometry": "Geometry", "clusters": "Clusters", "retrieval": "Retrieval", "graph": "Similarity graph"}
MARKS = {"better": ABOVE, "worse": BELOW}


@dataclass(frozen=True)
class MeasureRow:
    """One measure of all models.

    Args:
        info: What it is.
        values: One a model; None where the model lacks it.
        verdicts: One a model, against the reference; None where they are not told apart.
        decimals: To print.
    """

    info: MeasureInfo
    values: tuple[Measured | None, ...]
    verdicts: tuple[Verdict | None, ...]
    decimals: int


def measure_rows(results: SpaceResults) -> list[MeasureRow]:
    """Return the measures that any model has, in the order of the registry."""
    rows = []
    for group in GROUPS:
        for name, info in MEASURES.items():
            if info.group == group and any(name in model.measures for model in results.models):
                values = tuple(model.measures.get(name) for model in results.models)
                verdicts = tuple(verdict(results, name, model) for model in results.models)
                rows.append(MeasureRow(info, values, verdicts, _decimals(values)))
    return rows


def verdict(results: SpaceResults, name: str, model: ModelSpace) -> Verdict | None:
    """Say whether a model is better or worse than the reference: where their 95 % intervals do not overlap.

    Args:
        results: Of all models.
        name: Of a measure.
        model: One of the models.

    Returns:
        None where the intervals overlap or one is missing, for the reference itself, and for a measure of which neither
        direction is better.
    """
    reference, better = results.reference_model, MEASURES[name].better
    if reference is None or model is reference or better is None:
        return None
    ours, theirs = model.measures.get(name), reference.measures.get(name)
    if ours is None or theirs is None or None in (ours.low, ours.high, theirs.low, theirs.high):
        return None
    if ours.low > theirs.high:
        return "better" if better == "higher" else "worse"
    if ours.high < theirs.low:
        return "better" if better == "lower" else "worse"
    return None


def verdict_rule(results: SpaceResults, form: str = "Value [95 % interval over documents].") -> str:
    """Return the sentences that say what numbers and marks of a table mean.

    Args:
        results: Of all models; the name of the reference is given as it is.
        form: How a cell reads.
    """
    words = f"{form} A dash stands for what is undefined."
    if results.reference_model is None:
        return words
    return (
        f"{words} {ABOVE} better, {BELOW} worse than {results.reference}: the two intervals do not overlap. Measures "
        "of which neither direction is better by itself, and those without intervals, bear no mark; no correction for "
        "the number of comparisons is made."
    )


def number_text(value: float | None, decimals: int, missing: str = MISSING) -> str:
    """Return a number with so many decimals and commas between thousands."""
    if value is None or not math.isfinite(value):
        return missing
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"  # + 0.0: no minus before zero


def space_table(results: SpaceResults, measures: Collection[str] | None = None) -> str:
    """Return Markdown: a table of measures by models for each group, and a note that says how to read it.

    Args:
        results: Of all models.
        measures: Names of those to show; all by default.
    """
    rows = [row for row in measure_rows(results) if measures is None or row.info.name in measures]
    reference = results.reference_model
    names = [plain_text(model.name) + (" (reference)" if model is reference else "") for model in results.models]
    parts = [f"# Embedding {'space' if len(names) == 1 else 'spaces'}", facts(results)]
    for group in GROUPS:
        members = [row for row in rows if row.info.group == group]
        if members:
            lines = [["Measure", *names], *([_titled(row.info), *_cells(row)] for row in members)]
            parts += [f"## {GROUP_TITLES[group]}", markdown_table(lines)]
    return "\n\n".join([*parts, plain_text(verdict_rule(results))]) + "\n"


def facts(results: SpaceResults) -> str:
    """Return a sentence on documents, categories and models, for Markdown."""
    words = f"{results.documents:,} documents"
    if results.categories:
        words += f" in {len(results.categories):,} categories of {plain_text(results.label_column or 'the labels')}"
        if results.without_category:
            words += f" ({results.without_category:,} without one)"
    return words + "."


def direction(info: MeasureInfo) -> str:
    """Return the sign of the better direction, or nothing."""
    return {"higher": "↑", "lower": "↓", None: ""}[info.better]


def _titled(info: MeasureInfo) -> str:
    return f"{info.title} {direction(info)}".rstrip()


def _cells(row: MeasureRow) -> list[str]:
    cells = []
    for found, mark in zip(row.values, row.verdicts, strict=True):
        cell = number_text(found.value if found else None, row.decimals)
        if found and found.low is not None:
            cell += f" [{number_text(found.low, row.decimals)}, {number_text(found.high, row.decimals)}]"
        cells.append(f"{cell} {MARKS.get(mark, '')}".rstrip())
    return cells


def _decimals(values: Sequence[Measured | None]) -> int:
    """Return how many decimals leave about three figures of the largest value; none where all are whole."""
    finite = [abs(found.value) for found in values if found and math.isfinite(found.value)]
    ends = [found.low for found in values if found and found.low is not None]
    largest = max(finite, default=0.0)
    if all(value.is_integer() for value in finite) and not ends and largest >= 2:
        return 0
    return next((number for number, least in ((0, 1_000), (1, 10), (2, 1), (3, 0.01)) if largest >= least), 4)

"""Figures of tagging results, for the screen and for print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from metrics.entity_errors import ERROR_CLASSES
from metrics.entity_scores import STRICT_METRICS
from reporting.figure_style import add_legend, figure_style, line_look, new_figure, shortened
from reporting.figures import confusion_matrix
from reporting.tagging_rows import TaggingRow, shares_of, tagging_systems
from reporting.tagging_tables import ERROR_NAMES, tagging_metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NONE = "none"
# Of COLOURS, in an order in which neighbours differ in lightness too.
ERROR_COLOURS = {
    "boundary": "#56B4E9",
    "type": "#0072B2",
    "both": "#CC79A7",
    "missed": "#E69F00",
    "spurious": "#D55E00",
}
COLLAPSED_LABEL = "collapsed run"
CROSS_STEP = 1.1  # ratio of the shares at which two systems' crosses stand


def learning_curve(rows: Sequence[TaggingRow], metric: str = "f1_micro") -> Figure:
    """Draw a score against the share of training sentences, with a band for each system's 95 % interval.

    Runs that collapsed are crosses in the colour of their system, with their number where there are several, and in no
    mean.

    Args:
        rows: Rows of any shares.
        metric: The score.

    Returns:
        The figure; the axis of the shares is logarithmic.
    """
    shares = shares_of(rows)
    with figure_style():
        figure = new_figure(5.4, 3.3)
        axes = figure.subplots()
        most = max(sum(row.share == share and bool(row.collapsed) for row in rows) for share in shares)
        _shares_axis(axes, shares, margin=max(1.15, 1.05 * CROSS_STEP ** ((most - 1) / 2)))
        last = {}
        for number, system in enumerate(tagging_systems(rows)):
            members = [row for row in rows if row.system == system]
            look = line_look(number)
            scored = [row for row in members if row.scores]
            # Shares beyond one at which every run collapsed are not joined across it.
            for part in _unbroken(members):
                where, means = [row.share for row in part], np.array([row.mean(metric) for row in part])
                low, high = np.array([row.interval(metric) for row in part]).T
                axes.plot(where, means, **look)
                if len(part) > 1:
                    axes.fill_between(where, low, high, color=look["color"], alpha=0.13, linewidth=0)
                else:
                    reach = np.maximum([means - low, high - means], 0)
                    bar = {**look, "linestyle": ""}
                    axes.errorbar(where, means, yerr=reach, capsize=2, elinewidth=0.9, **bar)
            axes.plot([], [], label=system, **look)
            last[system] = scored[-1].mean(metric) if scored else -1.0
        _mark_collapsed_runs(axes, rows, metric)
        if any(row.collapsed for row in rows):
            axes.scatter([], [], marker="x", s=26, linewidth=1.3, color="#595959", label=COLLAPSED_LABEL)
        axes.set_ylabel(tagging_metric_name(metric) + (" (strict)" if metric in STRICT_METRICS else ""))
        axes.set_ylim(*_limits(rows, metric))
        add_legend(figure, [*sorted(last, key=last.__getitem__, reverse=True), COLLAPSED_LABEL])
    return figure


def type_confusion(confusion: np.ndarray, labels: Sequence[str], title: str = "") -> Figure:
    """Draw which types are taken for which, which are missed and which are made up.

    Args:
        confusion: `(types + 1, types + 1)` entities, see `metrics.entity_errors.EntityErrors`.
        labels: Names of the types.
        title: Above the figure.

    Returns:
        The figure. Numbers are per cent of a row: of the gold type, and in the last row of the spurious entities.
    """
    figure = confusion_matrix(confusion, [*labels, NONE], title)
    (axes,) = figure.axes
    with figure_style():
        axes.set_xlabel("Predicted type")
        axes.set_ylabel("Gold type (entities)")
        between = len(labels) - 0.5
        axes.axhline(between, color="#8C8C8C", linewidth=0.9)
        axes.axvline(between, color="#8C8C8C", linewidth=0.9)
        corner = len(labels)
        axes.text(
            corner, corner, "\N{EN DASH}", ha="center", va="center", fontsize=7.5, color="#8C8C8C", in_layout=False
        )
    return figure


def error_bars(rows: Sequence[TaggingRow]) -> Figure:
    """Draw the errors of each system by class, for 100 gold entities.

    Args:
        rows: One a system, at the same share.

    Returns:
        The figure, the first system on top. A system without a run that did not collapse has no bar.
    """
    sizes = {name: np.array([_share_of_gold(row, name) for row in rows]) for name in ERROR_COLOURS}
    with figure_style():
        figure = new_figure(5.4, 0.34 * len(rows) + 0.75)
        axes = figure.subplots()
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x")
        ends = np.zeros(len(rows))
        for name, widths in sizes.items():
            if not widths.any():
                continue  # confused types, where there is one type
            axes.barh(
                range(len(rows)),
                widths,
                left=ends,
                height=0.68,
                color=ERROR_COLOURS[name],
                edgecolor="white",
                linewidth=0.6,
                label=ERROR_NAMES[name],
            )
            ends += widths
        for place, (row, end) in enumerate(zip(rows, ends, strict=True)):
            text = f" {end:.1f}" if row.cells else " collapsed"
            axes.text(end, place, text, va="center", ha="left", fontsize=8)
        axes.set_yticks(range(len(rows)), [shortened(row.system, 34) for row in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, max(ends.max() * 1.1, 1))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("Errors for 100 gold entities")
        add_legend(figure)
    return figure


def _share_of_gold(row: TaggingRow, name: str) -> float:
    if not row.cells:
        return 0.0
    counts = row.errors().sum(0)
    gold = counts.sum() - counts[ERROR_CLASSES.index("spurious")]
    return 100 * counts[ERROR_CLASSES.index(name)] / gold if gold else 0.0


def _shares_axis(axes: Axes, shares: Sequence[float], margin: float) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(shares, [f"{share:g}" for share in shares])
    axes.set_xlim(shares[0] / margin, shares[-1] * margin)
    axes.set_xlabel("Training sentences (%)")


def _mark_collapsed_runs(axes: Axes, rows: Sequence[TaggingRow], metric: str) -> None:
    systems = tagging_systems(rows)
    fallen = [row for row in rows if row.collapsed]
    at_share: dict[float, list[TaggingRow]] = {}
    for row in fallen:
        at_share.setdefault(row.share, []).append(row)
    for share, members in at_share.items():
        for place, row in enumerate(members):
            # Side by side, as most of them have a score of 0.
            where = share * CROSS_STEP ** (place - (len(members) - 1) / 2)
            scores = [run.metrics.get(metric, 0.0) for run in row.collapsed]
            colour = line_look(systems.index(row.system))["color"]
            look = {"marker": "x", "s": 26, "linewidth": 1.3, "clip_on": False, "zorder": 3}
            axes.scatter([where] * len(scores), scores, color=colour, **look)
            if len(scores) > 1:
                above = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center", "fontsize": 7}
                axes.annotate(str(len(scores)), (where, max(scores)), color=colour, **above)


def _unbroken(rows: Sequence[TaggingRow]) -> list[list[TaggingRow]]:
    """Return the stretches of rows that have runs to show."""
    parts: list[list[TaggingRow]] = [[]]
    for row in rows:
        if row.scores:
            parts[-1].append(row)
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _limits(rows: Sequence[TaggingRow], metric: str) -> tuple[float, float]:
    """Return the limits of an axis that holds all intervals and collapsed runs, with a margin."""
    values = [end for row in rows if row.scores for end in row.interval(metric)]
    values += [run.metrics.get(metric, 0.0) for row in rows for run in row.collapsed]
    low, high = min(values), max(values)
    margin = 0.06 * max(high - low, 0.05)
    return max(low - margin, -0.02), min(high + margin, 1.02)

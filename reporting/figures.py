"""Figures of classification results, for the screen and for print."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reporting.classification_results import System
from reporting.figure_style import COLOURS, add_legend, figure_style, interval_reach, line_look, new_figure, shortened
from reporting.result_rows import Row, shots_of, systems_of
from reporting.system_names import BASELINES, method_name
from reporting.tables import metric_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASELINE_COLOUR = "#595959"


def few_shot_curves(rows: Sequence[Row], names: Mapping[System, str]) -> Figure:
    """Draw the metric against the labelled documents a class, with a band for each system's 95 % interval.

    The axis is logarithmic to the base of 2; "all" stands beyond the largest number, behind a dotted line, as it is
    another number for every class. Where there are more systems than colours, partly frozen ones are left to
    `frozen_depth_curve` and the others spread over panels, one a method, with the baselines in each. The majority class
    is drawn where it comes near the other systems; it would squeeze their curves otherwise, and is in the table anyway.

    Args:
        rows: Rows of one metric.
        names: Of the systems, for the legend.

    Returns:
        The figure.
    """
    panels = _panels(rows)
    labels = {
        system: names[system] if name is None else names[system].replace(f", {method_name(name)}", "", 1)
        for name, systems in panels.items()
        for system in systems
    }
    shown = [row for row in rows if row.system in labels]
    # A line of the same name looks the same in every panel.
    looks = {
        label: place for place, label in enumerate(dict.fromkeys(labels[s] for s in labels if not _is_baseline(s)))
    }
    columns = 2 if len(panels) == 4 else min(len(panels), 3)
    lines = -(-len(panels) // columns)
    low, high = _range([row for row in shown if row.system.method != "majority"] or shown)
    with figure_style():
        figure = new_figure(5.4 if columns == 1 else 7.2, 3.1 if lines == columns == 1 else 2.1 * lines + 0.3)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for place, (axes, (method, systems)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
            axes.set_ylim(low, high)
            axes.tick_params(labelsize=8 if columns < 3 else 7)
            positions = _shots_axis(axes, shots_of(shown))
            axes.tick_params(labelbottom=place + columns >= len(panels))
            if place // columns == lines - 1:
                axes.set_xlabel("Labelled documents a class")
            if place % columns == 0:
                axes.set_ylabel(metric_name(rows[0].metric))
            if method is not None:
                axes.set_title(method_name(method), loc="left")
            # Side by side at "all", within a tenth of the axis.
            spread = np.linspace(-0.5, 0.5, len(systems)) * min(0.015 * len(systems), 0.1) * np.ptp(axes.get_xlim())
            for system, dodge in zip(systems, spread, strict=True):
                look = _baseline_look(system) if _is_baseline(system) else line_look(looks[labels[system]])
                members = [row for row in shown if row.system == system]
                if system.method != "majority" or members[-1].mean >= low:
                    _curve(axes, members, positions, look, labels[system], dodge)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        last = {labels[row.system]: row.mean for row in shown}
        add_legend(figure, sorted(last, key=last.__getitem__, reverse=True))
    return figure


def frozen_depths(rows: Sequence[Row]) -> dict[tuple[str | None, str | None], list[Row]]:
    """Find the rows that differ in how much of the encoder is frozen.

    Taken from rows of all documents, or of the largest number of shots: fully and partly fine-tuned encoders, and the
    MLP head on a frozen one, which is the same training with everything frozen.

    Args:
        rows: Rows of one metric.

    Returns:
        For each model and way of reading with a partly frozen row, and another at least, these rows, from nothing to
        everything frozen.
    """
    shots = shots_of(rows)[-1]
    found: dict[tuple[str | None, str | None], dict[str, Row]] = {}
    for method in ("fine_tuned", "mlp"):
        for row in rows:
            system = row.system
            if row.shots == shots and system.method == method and system.frozen is not None:
                found.setdefault((system.model, system.reading), {}).setdefault(system.frozen, row)
    return {
        key: [depths[name] for name in sorted(depths, key=_depth_order)]
        for key, depths in found.items()
        if len(depths) > 1 and depths.keys() - {"none", "all"}
    }


def frozen_depth_curve(rows: Sequence[Row]) -> Figure:
    """Draw the metric against the frozen layers, above the number of trained parameters.

    Args:
        rows: Rows of one metric.

    Returns:
        The figure.

    Raises:
        ValueError: There is nothing to draw; see `frozen_depths`.
    """
    curves = frozen_depths(rows)
    if not curves:
        raise ValueError("no encoder was partly frozen")
    from matplotlib.ticker import LogLocator, NullLocator

    depths = sorted({row.system.frozen for members in curves.values() for row in members}, key=_depth_order)
    several_readings = len({reading for _, reading in curves}) > 1
    with figure_style():
        figure = new_figure(5.4, 4.2)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
        for number, ((model, reading), members) in enumerate(curves.items()):
            look = line_look(number)
            dodge = (number - (len(curves) - 1) / 2) * 0.01 * len(depths)
            places = np.array([depths.index(row.system.frozen) for row in members])
            label = ", ".join(part for part in (model, reading if several_readings else None) if part) or "encoder"
            means = np.array([row.mean for row in members])
            above.errorbar(
                places + dodge, means, yerr=interval_reach(members), label=label, capsize=2, elinewidth=0.9, **look
            )
            known = [(place, row) for place, row in zip(places, members, strict=True) if row.trained_parameters]
            below.plot([place + dodge for place, _ in known], [row.trained_parameters for _, row in known], **look)
        above.set_ylabel(metric_name(rows[0].metric))
        below.set_yscale("log")
        below.yaxis.set_major_locator(LogLocator(numticks=20))  # every power of 10
        below.yaxis.set_major_formatter(lambda value, _: _short_count(value))
        below.yaxis.set_minor_locator(NullLocator())
        below.set_ylabel("Trained\nparameters")
        words = {"none": "none", "embeddings": "embed-\ndings", "all": "all"}
        below.set_xticks(range(len(depths)), [words.get(depth, depth) for depth in depths])
        below.set_xlabel("Frozen layers of the encoder")
        below.set_xlim(-0.4, len(depths) - 0.6)
        figure.align_ylabels()
        if len(curves) > 1:
            add_legend(figure)
        else:
            above.set_title(label, loc="left")
    return figure


def confusion_matrix(counts: np.ndarray, labels: Sequence[str], title: str = "") -> Figure:
    """Draw where the documents of each class are put.

    Args:
        counts: `(classes, classes)` documents by true class (rows) and predicted class (columns).
        labels: Names of the classes.
        title: Above the figure.

    Returns:
        A figure that grows with the classes; the numbers are per cent of the true class, whose documents stand beside
        its name.
    """
    classes = len(labels)
    totals = counts.sum(1)
    shares = np.divide(counts, totals[:, None], out=np.zeros(counts.shape), where=totals[:, None] > 0)
    shown = ["\n".join(textwrap.wrap(shortened(name, 44), 24)) for name in labels]
    longest = max(len(line) for name in shown for line in name.splitlines() or [""])
    side = max(0.31 * classes, 1.8)
    margin = 0.065 * longest + 0.5
    width = max(side + margin + 0.4, 3.2)
    with figure_style():
        figure = new_figure(width, side + 0.4 + (0.6 if classes <= 3 else margin))
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(range(classes), shown, rotation=90 if classes > 3 else 0)
        beside = [f"{name} ({total:,.0f})" for name, total in zip(shown, totals, strict=True)]
        axes.set_yticks(range(classes), beside)
        axes.tick_params(length=0, labelsize=8)
        axes.grid(visible=False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        # Thin lines between the cells guide the eye along rows and columns.
        axes.set_xticks(np.arange(classes - 1) + 0.5, minor=True)
        axes.set_yticks(np.arange(classes - 1) + 0.5, minor=True)
        axes.grid(visible=True, which="minor", axis="both", color="#EDEDED", linewidth=0.6)
        axes.tick_params(which="minor", length=0)
        for row, column in zip(*np.nonzero(counts), strict=True):
            share = shares[row, column]
            text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
            colour = "white" if share > 0.5 else "black"
            axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=colour, in_layout=False)
        axes.set_xlabel("Predicted class")
        axes.set_ylabel("True class (documents)")
        if title:
            lines = [textwrap.fill(line, int(14 * width)) for line in title.splitlines()]
            figure.suptitle("\n".join(lines), fontsize=9)
    return figure


# The majority class, which is the same for all documents, has no points.
BASELINE_LOOKS = {
    "tfidf": ("x", (0, (5, 2))),
    "bagged_tfidf": ("+", (0, (5, 1.5, 1, 1.5))),
    "majority": ("", (0, (1, 1.5))),
}


def _baseline_look(system: System) -> dict[str, Any]:
    marker, style = BASELINE_LOOKS[system.method]
    return {"color": BASELINE_COLOUR, "marker": marker, "linestyle": style}


def _is_baseline(system: System) -> bool:
    return system.method in BASELINES


def _panels(rows: Sequence[Row]) -> dict[str | None, list[System]]:
    """Return the systems of each panel by its method; one panel without a method where there are colours for all."""
    baselines = [system for system in systems_of(rows) if _is_baseline(system)]
    systems = [system for system in systems_of(rows) if not _is_baseline(system)]
    if len(systems) > len(COLOURS):
        systems = [system for system in systems if system.frozen in (None, "none", "all")] or systems
    if len(systems) <= len(COLOURS):
        return {None: baselines + systems}
    methods = dict.fromkeys(system.method for system in systems)
    return {name: baselines + [system for system in systems if system.method == name] for name in methods}


def _range(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the limits of an axis that holds all intervals, with a margin."""
    low, high = min(row.interval[0] for row in rows), max(row.interval[1] for row in rows)
    margin = 0.06 * max(high - low, 0.05)
    return max(low - margin, -0.02), min(high + margin, 1.02)


def _shots_axis(axes: Axes, shots: Sequence[int | None]) -> dict[int | None, float]:
    """Set the ticks and return the position of each number of shots, in powers of 2."""
    positions: dict[int | None, float] = {number: float(np.log2(number)) for number in shots if number is not None}
    if None in shots:
        positions[None] = max(positions.values(), default=0.0) + 1.2
    axes.set_xticks(list(positions.values()), ["all" if number is None else str(number) for number in positions])
    axes.set_xlim(min(positions.values()) - 0.4, max(positions.values()) + 0.5)
    return positions


def _curve(
    axes: Axes,
    rows: Sequence[Row],
    positions: Mapping[int | None, float],
    look: Mapping[str, Any],
    label: str,
    dodge: float,
) -> None:
    few = [row for row in rows if row.shots is not None]
    whole = [row for row in rows if row.shots is None]
    if not few and not look["marker"]:  # the majority class, which no number of documents changes
        axes.axhline(whole[0].mean, label=label, color=look["color"], linestyle=look["linestyle"], linewidth=1)
        return
    where = [positions[row.shots] for row in few]
    if len(few) > 1:
        axes.plot(where, [row.mean for row in few], **look)
        low, high = np.array([row.interval for row in few]).T
        axes.fill_between(where, low, high, color=look["color"], alpha=0.13, linewidth=0)
    else:
        where = [place + dodge for place in where]
    # Points without neighbours have bars in place of a band.
    alone = whole if len(few) > 1 else few + whole
    places = [positions[row.shots] + dodge for row in alone]
    bars = {**look, "linestyle": ""}
    axes.errorbar(places, [row.mean for row in alone], yerr=interval_reach(alone), capsize=2, elinewidth=0.9, **bars)
    if few and whole:
        ends = ([where[-1], places[-1]], [few[-1].mean, whole[0].mean])
        axes.plot(*ends, color=look["color"], linestyle=(0, (1, 2)), linewidth=1)
    axes.plot([], [], label=label, **look)  # the same entry in the legend, whichever of these are there


def _depth_order(frozen: str) -> tuple[int, int, str]:
    order = {"none": 0, "embeddings": 1, "all": 3}
    return order.get(frozen, 2), int(frozen) if frozen.isdecimal() else 0, frozen


def _short_count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"

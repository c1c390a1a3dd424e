"""Figures of similarity graphs: measures over sweeps, and how the documents come to hang together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metrics.measures import MEASURES
from reporting.figure_style import add_legend, figure_style, new_figure
from reporting.space_page_data import thinned
from reporting.space_results import SpaceResults
from reporting.space_style import model_line_looks, panel_grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AXES = {
    "threshold": "Cosine from which documents are joined",
    "knn": "Nearest neighbours",
    "mutual_knn": "Mutual nearest neighbours",
    "density": "Share of all pairs that is joined",
}
SHORT_AXES = AXES | {"threshold": "Cosine threshold", "density": "Share of pairs joined"}


def sweep_curves(results: SpaceResults, kind: str) -> Figure:
    """Draw every measure of the graphs of one kind, one panel a measure, one line a model.

    Args:
        results: Of all models; measures that are undefined everywhere are left out.
        kind: One of `SWEEP_KINDS`.

    Returns:
        The figure. A gap in a line is a measure that is undefined or was left out there.
    """
    swept = [
        (model.name, model.sweeps[kind], look)
        for model, look in zip(results.models, model_line_looks(results), strict=True)
        if kind in model.sweeps
    ]
    shown = [
        name
        for name in MEASURES
        if any(np.isfinite(sweep.measures[name]).any() for _, sweep, _ in swept if name in sweep.measures)
    ]
    from matplotlib.ticker import FixedLocator, NullLocator

    lines, columns = panel_grid(len(shown))
    with figure_style():
        figure = new_figure(7.2 if columns > 1 else 4.4, 1.75 * lines + 0.3)
        grid = figure.subplots(lines, columns, sharex=True, squeeze=False)
        for place, (axes, measure) in enumerate(zip(grid.flat, shown, strict=False)):
            for name, sweep, look in swept:
                if measure in sweep.measures:
                    order = np.argsort(sweep.values, kind="stable")
                    axes.plot(
                        sweep.values[order],
                        sweep.measures[measure][order],
                        label=name,
                        markersize=2.5,
                        **{**look, "linewidth": 1.2},
                    )
            if place + columns >= len(shown):
                axes.set_xlabel(SHORT_AXES[kind], fontsize=7.5)
            axes.set_title(MEASURES[measure].title, loc="left", fontsize=8)
            axes.tick_params(labelsize=7, labelbottom=place + columns >= len(shown))
            if kind != "threshold" and min(sweep.values.min(initial=1) for _, sweep, _ in swept) > 0:
                axes.set_xscale("log")
                axes.xaxis.set_minor_locator(NullLocator())
                axes.xaxis.set_major_locator(FixedLocator(_spaced(swept[0][1].values)))
                axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.4g}")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        for axes in grid.flat[len(shown) :]:
            axes.remove()
        add_legend(figure)
    return figure


def percolation_curves(results: SpaceResults) -> Figure:
    """Draw the share of the documents in the largest component against the threshold.

    The axis holds the part on which that share changes; the point on each curve is the percolation threshold.

    Args:
        results: Of all models; those without are left out.

    Returns:
        The figure.
    """
    with figure_style():
        figure = new_figure(4.8, 3.1)
        axes = figure.subplots()
        active = []
        for model, look in zip(results.models, model_line_looks(results), strict=True):
            if model.percolation is None:
                continue
            x, y = model.percolation.thresholds, model.percolation.giant_share
            places = thinned(x, y)
            axes.plot(x[places], y[places], color=look["color"], linestyle=look["linestyle"])
            changing = x[places][(y[places] > 0.01) & (y[places] < 0.995)]
            active += changing.tolist()
            threshold = model.percolation.threshold
            words = f"{model.name}, {threshold:.2f}" if np.isfinite(threshold) else model.name
            ends = ([threshold], [0.5]) if np.isfinite(threshold) else ([], [])
            axes.plot(*ends, label=words, **look)
        if active and max(active) > min(active):
            margin = 0.08 * (max(active) - min(active))
            axes.set_xlim(min(active) - margin, max(active) + margin)
        axes.set_ylim(0, 1.03)
        axes.set_xlabel(AXES["threshold"])
        axes.set_ylabel("Share in the largest component")
        add_legend(figure)
    return figure


def _spaced(values: np.ndarray) -> list[float]:
    """Return those of the values on a logarithmic axis that leave room for their labels."""
    kept: list[float] = []
    for value in np.unique(values):
        if not kept or np.log(value / kept[-1]) > 0.13 * np.log(values.max() / values.min()):
            kept.append(float(value))
    return kept

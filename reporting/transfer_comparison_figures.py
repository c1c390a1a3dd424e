"""Figures that set concept vectors side by side: their ranking, vocabularies, calibration."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reporting.figure_style import COLOURS, MARKERS, add_legend, figure_style, interval_reach, new_figure, shortened
from reporting.transfer_figures import CEILING, ceiling_of, embedding_looks, main_rows
from reporting.transfer_results import Place, Row
from reporting.transfer_tables import CLASSIFIERS, embedding_name, place_name, settings_of, vocabulary_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS = 10


def comparison_figures(rows: Sequence[Row], outcomes: np.ndarray) -> dict[str, Figure]:
    """Draw the vectors side by side.

    Args:
        rows: Rows of one study.
        outcomes: `(test encounters,)` of 0 and 1.

    Returns:
        Figures by name: `transfer_ranking` and `transfer_calibration` (of the local classifiers with most encounters
        and direct transfer), and `transfer_vocabularies` where there are two.
    """
    figures = {}
    ranked = _untuned(main_rows(rows, all_settings=True))
    if ranked:
        figures["transfer_ranking"] = ranking(ranked, ceiling_of(rows))
        figures["transfer_calibration"] = calibration(_untuned(main_rows(rows)), outcomes)
    setting = next(iter(settings_of(rows)), None)
    direct = [row for row in rows if row.place.protocol == "direct" and row.system.setting == setting is not None]
    if len({row.place.vocabulary for row in direct}) > 1:
        figures["transfer_vocabularies"] = vocabularies(direct)
    return figures


def ranking(rows: Sequence[Row], ceiling: float | None) -> Figure:
    """Draw each kind of vectors with its 95 % interval, a panel for each place, a colour for each setting.

    Args:
        rows: Of one classifier and vocabulary.
        ceiling: The best possible AUROC, for a dotted line.
    """
    places, settings = list(dict.fromkeys(row.place for row in rows)), settings_of(rows)
    names = list(dict.fromkeys(row.system.embedding for row in rows))[::-1]
    columns = min(len(places), 4)
    lines = -(-len(places) // columns)
    with figure_style():
        figure = new_figure(1.95 * columns + 1.2, lines * (0.22 * len(names) * max(1.4, len(settings) * 0.7) + 0.8))
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, place in zip(grid.flat, places, strict=False):
            axes.set_title(shortened(_title(place), 36), loc="left", fontsize=8)
            for number, setting in enumerate(settings):
                dodge = (number - (len(settings) - 1) / 2) * -0.22
                members = [row for row in rows if row.place == place and row.system.setting == setting]
                look = {"color": COLOURS[number], "marker": MARKERS[number]}
                heights = [names.index(row.system.embedding) + dodge for row in members]
                means = np.array([row.mean for row in members])
                axes.errorbar(
                    means,
                    heights,
                    xerr=interval_reach(members),
                    label=setting,
                    linestyle="",
                    elinewidth=0.9,
                    capsize=2,
                    **look,
                )
            if ceiling is not None:
                axes.axvline(ceiling, color="black", linewidth=0.8, linestyle=(0, (1, 1.5)), label=CEILING)
            axes.set_yticks(range(len(names)), [shortened(embedding_name(name), 24) for name in names], fontsize=8)
            axes.set_ylim(-0.6, len(names) - 0.4)
            axes.grid(visible=True, axis="x")
            axes.locator_params(axis="x", nbins=4)
            axes.tick_params(axis="x", labelsize=7)
            axes.set_xlabel("AUROC", fontsize=8)
        for axes in grid.flat[len(places) :]:
            axes.remove()
        if len(settings) > 1 or ceiling is not None:
            add_legend(figure)
    return figure


def vocabularies(rows: Sequence[Row]) -> Figure:
    """Draw direct transfer with each vocabulary: a panel for each classifier and source, a colour for each vectors.

    Args:
        rows: Of one setting.
    """
    looks = embedding_looks(rows)
    names = list(dict.fromkeys(row.place.vocabulary for row in rows))[::-1]
    panels = list(dict.fromkeys((row.system.classifier, row.place.source) for row in rows))
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    with figure_style():
        figure = new_figure(2.4 * columns + 1.7, ((0.12 * len(looks) + 0.1) * len(names) + 0.7) * lines + 0.1)
        grid = figure.subplots(lines, columns, sharey=True, sharex=True, squeeze=False)
        for axes, (classifier, source) in zip(grid.flat, panels, strict=False):
            axes.set_title(shortened(f"{CLASSIFIERS[classifier]}, from {source}", 46), loc="left", fontsize=8)
            for number, (embedding, look) in enumerate(looks.items()):
                dodge = (number - (len(looks) - 1) / 2) * -0.8 / max(len(looks), 2)
                members = [
                    row
                    for row in rows
                    if (row.system.classifier, row.place.source) == (classifier, source)
                    and row.system.embedding == embedding
                ]
                heights = [names.index(row.place.vocabulary) + dodge for row in members]
                means = [row.mean for row in members]
                bars = {**look, "linestyle": ""}
                label = embedding_name(embedding)
                axes.errorbar(
                    means, heights, xerr=interval_reach(members), label=label, elinewidth=0.9, capsize=2, **bars
                )
            axes.axvline(0.5, color="#A0A0A0", linewidth=0.7)
            labels = [textwrap.fill(shortened(vocabulary_name(name), 48), 26) for name in names]
            axes.set_yticks(range(len(names)), labels, fontsize=8)
            axes.set_ylim(-0.6, len(names) - 0.4)
            for border in np.arange(len(names) - 1) + 0.5:
                axes.axhline(border, color="#E5E5E5", linewidth=0.7)
            axes.grid(visible=False, axis="y")
            axes.grid(visible=True, axis="x")
            axes.tick_params(axis="x", labelsize=7)
            axes.set_xlabel("AUROC", fontsize=8)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        add_legend(figure)
    return figure


def calibration(rows: Sequence[Row], outcomes: np.ndarray) -> Figure:
    """Draw how often the outcome occurred against its predicted probability, in bins of equally many predictions.

    Args:
        rows: Of one setting, classifier and vocabulary; seeds are put together.
        outcomes: `(test encounters,)` of 0 and 1.
    """
    looks = embedding_looks(rows)
    places = list(dict.fromkeys(row.place for row in rows))
    columns = min(len(places), 4)
    lines = -(-len(places) // columns)
    with figure_style():
        figure = new_figure(2.0 * columns + 0.6, 2.2 * lines + 0.2)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for number, (axes, place) in enumerate(zip(grid.flat, places, strict=False)):
            axes.set_title(shortened(_title(place), 36), loc="left", fontsize=8)
            axes.plot([0, 1], [0, 1], color="#A0A0A0", linewidth=0.7)
            for row in rows:
                if row.place == place:
                    _calibration_curve(axes, row, outcomes, looks[row.system.embedding])
            axes.set_xticks([0, 0.5, 1])
            axes.set_yticks([0, 0.5, 1])
            axes.tick_params(labelsize=7, labelbottom=number + columns >= len(places))
            if number + columns >= len(places):
                axes.set_xlabel("Predicted", fontsize=8)
        for line in grid:
            line[0].set_ylabel("Observed", fontsize=8)
        for axes in grid.flat[len(places) :]:
            axes.remove()
        add_legend(figure)
    return figure


def _calibration_curve(axes: Axes, row: Row, outcomes: np.ndarray, look: dict) -> None:
    predicted = row.probabilities.ravel()
    observed = np.tile(outcomes, len(row.probabilities))
    parts = np.array_split(np.argsort(predicted, kind="stable"), BINS)
    means = [(predicted[part].mean(), observed[part].mean()) for part in parts if len(part)]
    axes.plot(*np.transpose(means), label=embedding_name(row.system.embedding), **{**look, "markersize": 3})


def _untuned(rows: Sequence[Row]) -> list[Row]:
    """Return direct transfer, and the local classifiers with most encounters."""
    local = [row for row in rows if row.place.protocol == "local"]
    sizes = [row.place.size for row in local]
    largest = None if None in sizes else max(sizes, default=0)
    return [row for row in local if row.place.size == largest] + [row for row in rows if row.place.protocol == "direct"]


def _title(place: Place) -> str:
    return place_name(place) + (f" from {place.source}" if place.source else " encounters")

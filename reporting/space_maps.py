"""Figures of documents as points: maps by PCA and t-SNE, and drawings of similarity graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from reporting.category_looks import CategoryLook, by_frequency, category_looks, shown_documents
from reporting.figure_style import figure_style, new_figure, shortened
from reporting.space_results import SpaceResults
from reporting.space_style import panel_grid, scatter_look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEGEND_LENGTH = 40


def maps(results: SpaceResults, kind: str, limit: int = 5_000) -> Figure:
    """Draw the documents on a plane, one panel a model, with the colour and shape of their category.

    Args:
        results: Of all models.
        kind: `pca` or `tsne`.
        limit: Of documents; a seeded draw, the same for all models.

    Returns:
        The figure.
    """
    shown = shown_documents(results, limit)
    models = [model for model in results.models if np.isfinite(model.maps[kind][shown]).all(1).any()]
    with figure_style():
        figure, panels = _panels([model.name for model in models])
        for axes, model in zip(panels, models, strict=True):
            points = model.maps[kind][shown]
            finite = np.isfinite(points).all(1)
            _scatter(axes, points[finite], results.document_categories[shown][finite], results)
        _legend(figure, results, results.document_categories[shown])
    return figure


def graph_drawings(results: SpaceResults) -> Figure:
    """Draw the similarity graph of some documents, one panel a model.

    Args:
        results: Of all models; those without a drawing are left out.

    Returns:
        The figure.
    """
    from matplotlib.collections import LineCollection

    models = [
        model
        for model in results.models
        if model.drawing is not None and np.isfinite(model.drawing.x + model.drawing.y).any()
    ]
    with figure_style():
        figure, panels = _panels([model.name for model in models])
        for axes, model in zip(panels, models, strict=True):
            drawing = model.drawing
            points = np.stack([drawing.x, drawing.y], 1)
            placed = np.isfinite(points).all(1)
            edges = drawing.edges[np.isfinite(points[drawing.edges]).all((1, 2))]
            axes.add_collection(LineCollection(points[edges], colors="#C9C9C4", linewidths=0.3, rasterized=True))
            _scatter(axes, points[placed], results.document_categories[drawing.documents[placed]], results)
        drawn = np.concatenate([model.drawing.documents for model in models])
        _legend(figure, results, results.document_categories[drawn])
    return figure


def _panels(names: Sequence[str]) -> tuple[Figure, list[Axes]]:
    lines, columns = panel_grid(len(names))
    side = 2.4 if columns == 3 else 3.4
    figure = new_figure(columns * side, lines * (side + 0.2))
    grid = figure.subplots(lines, columns, squeeze=False)
    panels = list(grid.flat)
    for axes in panels[len(names) :]:
        axes.remove()
    for axes, name in zip(panels, names, strict=False):
        axes.set_title(shortened(name, int(side * 14)), loc="left")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[["left", "bottom"]].set_color("#C9C9C4")
    return figure, panels[: len(names)]


def _scatter(axes: Axes, points: np.ndarray, categories: np.ndarray, results: SpaceResults) -> None:
    """Draw the rare categories last, so that the frequent ones do not cover them."""
    looks = category_looks(results.category_counts)
    low, high = points.min(0), points.max(0)
    half = 0.53 * max((high - low).max(), 1e-9)
    axes.set_xlim((low + high)[0] / 2 - half, (low + high)[0] / 2 + half)
    axes.set_ylim((low + high)[1] / 2 - half, (low + high)[1] / 2 + half)
    axes.set_aspect("equal")
    size = 9 if len(points) <= 400 else 5 if len(points) <= 1_500 else 2.5
    for number in [-1, *by_frequency(results.category_counts)]:
        members = categories == number
        if members.any():
            look = scatter_look(looks[number] if number >= 0 else CategoryLook(None, "disc"))
            # As pixels in the SVG: thousands of points make it slow.
            axes.scatter(*points[members].T, s=size, linewidths=0.5, alpha=0.85, rasterized=True, zorder=2, **look)


def _legend(figure: Figure, results: SpaceResults, drawn: np.ndarray) -> None:
    """List the categories beneath, the most frequent first."""
    from matplotlib.lines import Line2D

    looks = category_looks(results.category_counts)
    there = set(drawn.tolist())
    listed = [number for number in by_frequency(results.category_counts) if number in there]
    entries = [(shortened(results.categories[number], 30), looks[number]) for number in listed[:LEGEND_LENGTH]]
    if len(listed) > LEGEND_LENGTH:
        entries.append((f"{len(listed) - LEGEND_LENGTH:,} rarer categories", CategoryLook(None, "disc")))
    if -1 in there and results.categories:
        entries.append(("no category", CategoryLook(None, "disc")))
    if not entries:
        return
    handles = []
    for name, look in entries:
        style = scatter_look(look)
        colour = style.get("edgecolors", style.get("color"))
        face = style.get("facecolors", colour)
        handles.append(
            Line2D(
                [],
                [],
                marker=style["marker"],
                color=colour,
                markerfacecolor=face,
                linestyle="",
                label=name,
                markersize=4,
            )
        )
    width, height = figure.get_size_inches()
    columns = max(1, int(width * 15 / (max(len(name) for name, _ in entries) + 5)))
    figure.set_size_inches(width, height + 0.16 * -(-len(entries) // columns) + 0.1)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, fontsize=7.5, handletextpad=0.3, columnspacing=1.2
    )

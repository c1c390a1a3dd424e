"""Figures of embedding spaces for print: cosines, uniformity and alignment, categories and models side by side."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from metrics.measured import Measured
from metrics.measures import MEASURES
from reporting.category_looks import heat_map_order
from reporting.figure_style import add_legend, figure_style, new_figure, save_figure, shortened
from reporting.space_results import SpaceResults
from reporting.space_style import model_line_looks, panel_grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ALIGNMENTS = ("category_alignment", "alignment")


def write_space_figures(results: SpaceResults, folder: Path) -> list[Path]:
    """Write every figure that the results have something for, as PNG and SVG.

    All are made before the first is put in its place; other files in the folder stay.

    Args:
        results: Of all models.
        folder: It is made where there is none.

    Returns:
        The files.
    """
    partial = folder.with_name(folder.name + ".partial")
    if partial.is_dir():
        shutil.rmtree(partial)  # of a run that was killed
    partial.mkdir(parents=True)
    try:
        for name, draw in _figures(results).items():
            save_figure(draw(), partial / name)
        folder.mkdir(exist_ok=True)
        return [file.replace(folder / file.name) for file in sorted(partial.iterdir())]
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _figures(results: SpaceResults) -> dict[str, Callable[[], Figure]]:
    from reporting.space_curves import percolation_curves, sweep_curves
    from reporting.space_maps import graph_drawings, maps

    models = results.models
    found: dict[str, Callable[[], Figure]] = {}
    if any(model.cosines for model in models):
        found["cosines"] = lambda: cosine_histograms(results)
    for name in ALIGNMENTS:
        if any(_plane_point(model.measures, name) for model in models):
            found[f"uniformity_{name}"] = lambda name=name: uniformity_alignment(results, name)
    for kind in sorted({kind for model in models for kind in model.sweeps}):
        if any(np.isfinite(y).any() for m in models if kind in m.sweeps for y in m.sweeps[kind].measures.values()):
            found[f"sweep_{kind}"] = lambda kind=kind: sweep_curves(results, kind)
    if any(model.percolation and len(model.percolation.thresholds) for model in models):
        found["percolation"] = lambda: percolation_curves(results)
    for name in ("pca", "tsne"):
        if any(np.isfinite(model.maps[name]).all(1).any() for model in models):
            found[f"map_{name}"] = lambda name=name: maps(results, name)
    if any(model.drawing and np.isfinite(model.drawing.x + model.drawing.y).any() for model in models):
        found["graph"] = lambda: graph_drawings(results)
    if any(model.category_cosine is not None for model in models):
        found["category_cosine"] = lambda: category_heat_maps(results)
    if results.cka is not None and len(models) > 1:
        found["cka"] = lambda: cka_heat_map(results)
    return found


def cosine_histograms(results: SpaceResults) -> Figure:
    """Draw how cosines within and between categories are distributed, one panel a model on one axis.

    Both curves have the same area, and each panel its own height.

    Args:
        results: Of all models; those without cosines are left out.

    Returns:
        The figure.
    """
    models = [(model, look) for model, look in zip(results.models, model_line_looks(results), strict=True)]
    models = [(model, look) for model, look in models if model.cosines]
    used = np.concatenate(
        [
            model.cosines.edges[[place, place + 1]]
            for model, _ in models
            for place in np.flatnonzero(model.cosines.within + model.cosines.between)
        ]
        or [np.array([-1.0, 1.0])]
    )
    with figure_style():
        figure = new_figure(5.4, 0.95 * len(models) + 0.6)
        panels = figure.subplots(len(models), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (model, look) in zip(panels, models, strict=True):
            cosines = model.cosines
            for counts, label in ((cosines.within, "within categories"), (cosines.between, "between categories")):
                if not counts.sum():
                    continue
                density = counts / counts.sum() / np.diff(cosines.edges)
                centres = (cosines.edges[1:] + cosines.edges[:-1]) / 2
                mean = (counts * centres).sum() / counts.sum()
                if counts is cosines.within:
                    axes.stairs(density, cosines.edges, fill=True, color=look["color"], alpha=0.35, label=label)
                    axes.plot([mean], [0], marker="^", color=look["color"], clip_on=False, linestyle="", zorder=4)
                else:
                    axes.stairs(density, cosines.edges, color="#333333", linewidth=0.9, label=label)
                    axes.plot([mean], [0], marker="|", color="#333333", clip_on=False, linestyle="", zorder=4)
            words = "\n".join([shortened(model.name, 34), *_effects(model.measures)])
            left = np.median(used) > np.mean([used.min(), used.max()])
            axes.text(
                0.01 if left else 0.99,
                0.95,
                words,
                ha="left" if left else "right",
                va="top",
                transform=axes.transAxes,
                fontsize=8,
            )
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.set_ylim(bottom=0)
        panels[-1].set_xlim(used.min(), used.max())
        panels[-1].set_xlabel("Cosine of two documents")
        _shared_legend(figure)
    return figure


def uniformity_alignment(results: SpaceResults, alignment: str = "category_alignment") -> Figure:
    """Draw the models on the plane of Wang and Isola (2020), with 95 % intervals and names.

    Args:
        results: Of all models; those without both measures are left out.
        alignment: Measure on the vertical axis.

    Returns:
        The figure.
    """
    with figure_style():
        figure = new_figure(4.4, 3.4)
        axes = figure.subplots()
        axes.grid(visible=True, axis="both")
        for model, look in zip(results.models, model_line_looks(results), strict=True):
            point = _plane_point(model.measures, alignment)
            if point is None:
                continue
            x, y = point
            axes.errorbar(
                [x.value],
                [y.value],
                xerr=_reach(x),
                yerr=_reach(y),
                color=look["color"],
                marker=look["marker"],
                capsize=2,
                elinewidth=0.9,
                linestyle="",
                label=model.name,
            )
        axes.margins(0.12)
        axes.set_xlabel("Uniformity (lower: more even)")
        axes.set_ylabel(f"{MEASURES[alignment].title}\n(lower: nearer)")
        add_legend(figure)
    return figure


def category_heat_maps(results: SpaceResults) -> Figure:
    """Draw the mean cosine of every two categories, one panel a model, all in one order and on one scale of colours.

    Args:
        results: Of all models; those without are left out.

    Returns:
        A figure that grows with the categories; see `heat_map_order` for their order.
    """
    models = [model for model in results.models if model.category_cosine is not None]
    order = heat_map_order(results)
    names = [shortened(results.categories[number], 32) for number in order]
    matrices = [model.category_cosine[np.ix_(order, order)] for model in models]
    finite = np.concatenate([matrix[np.isfinite(matrix)] for matrix in matrices])
    low, high = (finite.min(), finite.max()) if finite.size else (0, 1)
    side = max(0.15 * len(order), 1.6)
    margin = 0.072 * max(map(len, names)) + 0.45
    lines, columns = panel_grid(len(models))
    with figure_style():
        figure = new_figure(columns * (side + 0.15) + margin + 0.9, lines * (side + 0.35) + margin)
        figure.set_layout_engine("compressed")  # room for names where cells are square
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
        for axes, model, matrix in zip(grid.flat, models, matrices, strict=False):
            picture = axes.imshow(matrix, cmap="Blues", vmin=low, vmax=high, aspect="equal", interpolation="nearest")
            axes.set_title(shortened(model.name, int(side * 11)), loc="left")
            _cell_axes(axes, names)
        for place, axes in enumerate(grid.flat):
            axes.tick_params(labelbottom=place + columns >= len(models), labelleft=place % columns == 0)
        for axes in grid.flat[len(models) :]:
            axes.remove()
        bar = figure.colorbar(
            picture, ax=list(grid.flat[: len(models)]), shrink=0.7, aspect=30, pad=0.015, label="Mean cosine"
        )
        bar.outline.set_visible(False)
    return figure


def cka_heat_map(results: SpaceResults) -> Figure:
    """Draw linear CKA of every two models, with the numbers in the cells.

    Args:
        results: Of all models, with `cka`.

    Returns:
        The figure.
    """
    names = [shortened(model.name, 28) for model in results.models]
    side = 0.48 * len(names)
    with figure_style():
        figure = new_figure(side + 0.07 * max(map(len, names)) + 0.9, side + 0.07 * max(map(len, names)) + 0.5)
        axes = figure.subplots()
        axes.imshow(results.cka, cmap="Blues", vmin=0, vmax=1, aspect="equal")
        _cell_axes(axes, names)
        axes.set_title("Linear CKA", loc="left")
        for (row, column), value in np.ndenumerate(results.cka):
            if np.isfinite(value):
                colour = "white" if value > 0.55 else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=colour)
    return figure


def _cell_axes(axes: Axes, names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0, labelsize=7.5)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _plane_point(measures: dict[str, Measured], alignment: str) -> tuple[Measured, Measured] | None:
    x, y = measures.get("uniformity"), measures.get(alignment)
    return (x, y) if x and y and np.isfinite([x.value, y.value]).all() else None


def _reach(found: Measured) -> np.ndarray | None:
    """Return `(2, 1)` distances to the interval's ends; None without an interval."""
    if found.low is None or found.high is None:
        return None
    return np.maximum([[found.value - found.low], [found.high - found.value]], 0)


def _effects(measures: dict[str, Measured]) -> list[str]:
    effect, above = measures.get("cosine_effect_size"), measures.get("cosine_superiority")
    words = [f"effect size {effect.value:.2f}"] if effect and np.isfinite(effect.value) else []
    return words + ([f"within above between {above.value:.0%}"] if above and np.isfinite(above.value) else [])


def _shared_legend(figure: Figure) -> None:
    """Put the names of the two curves beneath, in grey for all models."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Patch(color="#999999", alpha=0.5, label="within categories (mean: triangle)"),
        Line2D([], [], color="#333333", linewidth=0.9, label="between categories (mean: bar)"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)

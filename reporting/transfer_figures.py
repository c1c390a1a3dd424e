"""Figures of transfer results: AUROC against the target's encounters, and the course of tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reporting.figure_style import COLOURS, MARKERS, add_legend, figure_style, new_figure, shortened
from reporting.transfer_results import Row
from reporting.transfer_tables import EMBEDDINGS, PROTOCOLS, embedding_name, settings_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONTROL_COLOURS = {"one_hot": "#595959", "random": "#A0A0A0"}
CEILING = "best possible"
SIZED = ("local", "pooled", "tuned_head", "tuned_all")


def transfer_figures(rows: Sequence[Row]) -> dict[str, Figure]:
    """Draw what the rows hold of target sizes and tuning.

    Args:
        rows: Rows of one study.

    Returns:
        Figures by name: `transfer_sizes` where there are two sizes, `transfer_tuning_SIZE` of the smallest and the
        largest size where something was tuned. They are of the first setting, the first set classifier and the first
        vocabulary; the tables hold the others.
    """
    shown = main_rows(rows)
    figures = {}
    sizes = {row.place.size for row in shown if row.place.protocol in SIZED}
    if len(sizes) > 1:
        figures["transfer_sizes"] = size_curves(shown, ceiling_of(rows))
    tuned = [row for row in shown if row.trajectories is not None]
    ends = sorted({row.place.size for row in tuned}, key=_size_order)
    for size in dict.fromkeys(ends[:1] + ends[-1:]):
        name = "all" if size is None else f"n{size}"
        figures[f"transfer_tuning_{name}"] = tuning_curves([row for row in tuned if row.place.size == size])
    return figures


def main_rows(rows: Sequence[Row], *, all_settings: bool = False) -> list[Row]:
    """Return the rows of the first setting, set classifier and vocabulary that have vectors."""
    found = [row for row in rows if row.system.embedding is not None]
    if not found:
        return []
    sets = [row for row in found if row.system.classifier.startswith("set_")] or found
    first, setting = sets[0], settings_of(sets)[0]
    return [
        row
        for row in sets
        if row.system.classifier == first.system.classifier
        and (all_settings or row.system.setting == setting)
        and row.place.vocabulary == first.place.vocabulary
    ]


def ceiling_of(rows: Sequence[Row]) -> float | None:
    """Return the AUROC of the network that the target was drawn from, where it is known."""
    return next((row.mean for row in rows if row.place.protocol == "ceiling"), None)


def embedding_looks(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return colour, marker and line style of each kind of vectors; the controls are grey."""
    names = list(dict.fromkeys(row.system.embedding for row in rows))
    texts = [name for name in names if name not in EMBEDDINGS]
    looks: dict[str, dict[str, Any]] = {
        name: {"color": CONTROL_COLOURS[name], "marker": "x" if name == "one_hot" else "+", "linestyle": (0, (4, 1.5))}
        for name in names
        if name in EMBEDDINGS
    }
    for number, name in enumerate(texts):
        style = "-" if number < len(COLOURS) else (0, (1, 1))
        looks[name] = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number % len(MARKERS)],
            "linestyle": style,
        }
    return looks


def size_curves(rows: Sequence[Row], ceiling: float | None) -> Figure:
    """Draw the AUROC against the target's encounters, a panel for each source and protocol, with 95 % bands.

    Tuning begins at direct transfer, which takes no encounters of the target.

    Args:
        rows: Of one setting, classifier and vocabulary.
        ceiling: The best possible AUROC, for a dotted line.
    """
    looks = embedding_looks(rows)
    panels = _size_panels(rows)
    sizes = sorted({row.place.size for _, members in panels for row in members}, key=_size_order)
    positions = _positions(sizes)
    columns = min(len(panels), max(2, len({title.split("\n")[-1] for title, _ in panels})), 3)
    lines = -(-len(panels) // columns)
    with figure_style():
        figure = new_figure(2.5 * columns + 0.6, 2.1 * lines + 0.3)
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        for number, (axes, (title, members)) in enumerate(zip(grid.flat, panels, strict=False)):
            axes.set_title(shortened(title.replace("\n", ": "), 44), loc="left", fontsize=8)
            for name, look in looks.items():
                _size_curve(axes, [row for row in members if row.system.embedding == name], positions, look)
            if ceiling is not None:
                axes.axhline(ceiling, color="black", linewidth=0.8, linestyle=(0, (1, 1.5)), label=CEILING)
            axes.set_xticks(list(positions.values()), [_size_name(size) for size in positions], fontsize=7)
            axes.minorticks_off()
            axes.tick_params(labelbottom=number + columns >= len(panels), labelsize=7)
            if number + columns >= len(panels):
                axes.set_xlabel("Target encounters", fontsize=8)
            if number % columns == 0:
                axes.set_ylabel("AUROC", fontsize=8)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        add_legend(figure)
    return figure


def tuning_curves(rows: Sequence[Row]) -> Figure:
    """Draw the AUROC on the test encounters after each epoch of tuning.

    The line is the mean over seeds, the band reaches from the lowest to the highest, and a mark is the epoch that
    validation encounters chose with a seed.

    Args:
        rows: Of one setting, classifier, vocabulary and size, with trajectories.
    """
    looks = embedding_looks(rows)
    sources = list(dict.fromkeys(row.place.source for row in rows))
    parts = [name for name in ("tuned_head", "tuned_all") if any(row.place.protocol == name for row in rows)]
    size = rows[0].place.size
    with figure_style():
        figure = new_figure(3.1 * len(parts) + 0.6, 1.9 * len(sources) + 0.5)
        grid = figure.subplots(len(sources), len(parts), sharex=True, sharey="row", squeeze=False)
        for line, source in zip(grid, sources, strict=True):
            for axes, part in zip(line, parts, strict=True):
                title = f"from {source}: {PROTOCOLS[part]}, {_size_name(size)} encounters"
                axes.set_title(shortened(title, 56), loc="left", fontsize=8)
                axes.tick_params(labelsize=7)
                for row in rows:
                    if (row.place.source, row.place.protocol) == (source, part):
                        _tuning_curve(axes, row, looks[row.system.embedding])
            line[0].set_ylabel("AUROC", fontsize=8)
        for axes in grid[-1]:
            axes.set_xlabel("Epochs of tuning", fontsize=8)
            axes.xaxis.get_major_locator().set_params(integer=True)
        add_legend(figure)
    return figure


def _size_panels(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return title and rows of each panel: the target alone, then each source and protocol."""
    panels = []
    local = [row for row in rows if row.place.protocol == "local" and row.place.source is None]
    if local:
        panels.append(("the target alone\nlocal", local))
    for source in dict.fromkeys(row.place.source for row in rows if row.place.source is not None):
        direct = [row for row in rows if (row.place.source, row.place.protocol) == (source, "direct")]
        for protocol in SIZED[1:]:
            members = [row for row in rows if (row.place.source, row.place.protocol) == (source, protocol)]
            if members:
                panels.append((f"from {source}\n{PROTOCOLS[protocol]}", [*direct, *members]))
    return panels


def _size_curve(axes: Axes, rows: Sequence[Row], positions: dict[int | None, float], look: dict[str, Any]) -> None:
    if not rows:
        return
    rows = sorted(rows, key=lambda row: _size_order(row.place.size))
    places = [positions[row.place.size] for row in rows]
    axes.plot(places, [row.mean for row in rows], label=embedding_name(rows[0].system.embedding), **look)
    low, high = np.array([row.interval for row in rows]).T
    axes.fill_between(places, low, high, color=look["color"], alpha=0.15, linewidth=0)


def _tuning_curve(axes: Axes, row: Row, look: dict[str, Any]) -> None:
    found = row.trajectories
    epochs = np.arange(found.shape[1])
    axes.plot(epochs, found.mean(0), **{**look, "marker": ""})
    axes.fill_between(epochs, found.min(0), found.max(0), color=look["color"], alpha=0.12, linewidth=0)
    chosen = [(epoch, scores[epoch]) for epoch, scores in zip(row.best_epochs, found, strict=True)]
    axes.plot(*np.transpose(chosen), **{**look, "linestyle": "", "markersize": 3.5})
    axes.plot([], [], label=embedding_name(row.system.embedding), **look)  # the legend's entry, with line and mark


def _size_order(size: int | None) -> float:
    return float("inf") if size is None else size


def _size_name(size: int | None) -> str:
    return "all" if size is None else "0" if size == 0 else f"{size:,}"


def _positions(sizes: Sequence[int | None]) -> dict[int | None, float]:
    """Return the place of each size on a logarithmic axis, zero before and all behind the others."""
    known = {size: float(np.log10(size)) for size in sizes if size}
    low, high = min(known.values(), default=1.0), max(known.values(), default=1.0)
    ends = {0: low - 0.6, None: high + 0.6}
    return {size: known[size] if size else ends[size] for size in sizes}

"""The look of all figures, and saving them.

Colours are those of Okabe and Ito (2008, Color Universal Design), which stay apart for colour-blind readers; markers
differ as well, for print without colours. Figures are made without pyplot, so there is no window, no global state and
nothing to close.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINE_STYLES = ("-", (0, (4, 1.5)), (0, (1, 1)))
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a name with two dollar signs is no formula
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "notespace",  # the same bytes every time
}


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write a figure as PNG (200 dots an inch) and SVG, each whole or not at all.

    Args:
        figure: The figure.
        path: Without a suffix.

    Returns:
        The files.
    """
    files = []
    with figure_style():
        figure.get_layout_engine().execute(figure)
    figure.set_layout_engine("none")  # once is enough: it takes as long as the drawing
    for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        file = path.with_name(f"{path.name}.{suffix}")
        partial = file.with_name(file.name + ".partial")
        with figure_style():
            figure.savefig(partial, format=suffix, dpi=200, metadata=metadata)
        files.append(partial.replace(file))
    return files


def figure_style() -> AbstractContextManager:
    """Return a context in which to make and save figures."""
    import matplotlib

    return matplotlib.rc_context(STYLE)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def line_look(number: int) -> dict[str, Any]:
    """Return colour, marker and line style of a line; all differ for as many lines as there are of both."""
    place = number % len(COLOURS)
    style = LINE_STYLES[number // len(COLOURS) % len(LINE_STYLES)]
    return {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": style}


def interval_reach(rows: Sequence[Any]) -> np.ndarray:
    """Return the lengths of error bars.

    Args:
        rows: Each with its `mean` and `interval`.

    Returns:
        `(2, rows)` distances from the mean to the interval's ends; none where the mean lies outside.
    """
    means = np.array([row.mean for row in rows])
    low, high = np.array([row.interval for row in rows]).reshape(-1, 2).T
    return np.maximum([means - low, high - means], 0)


def add_legend(figure: Figure, order: Sequence[str] = ()) -> None:
    """Put one legend for all panels beneath them, in as many columns as the names leave room for.

    Args:
        figure: It grows by what the legend needs.
        order: Of the labels, first to last.
    """
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if not handles:  # nothing was drawn that has a name
        return
    labels = sorted(handles, key=order.index) if order else list(handles)
    width, height = figure.get_size_inches()
    columns = max(1, min(len(labels), int(width * 15 / (max(map(len, labels)) + 8))))
    figure.set_size_inches(width, height + 0.17 * -(-len(labels) // columns) + 0.1)
    figure.legend(
        [handles[label] for label in labels],
        [shortened(label, int(width * 14)) for label in labels],
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
    )


def shortened(name: str, length: int) -> str:
    """Return a name on one line, cut where it is longer than the length."""
    name = " ".join(name.split())
    return name if len(name) <= length else name[: length - 4].rstrip() + " ..."

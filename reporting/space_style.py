"""What figures of embedding spaces share: looks of models and categories, grids of panels, names at points."""

from __future__ import annotations

from typing import Any

from reporting.category_looks import OTHER_COLOUR, CategoryLook
from reporting.figure_style import COLOURS, LINE_STYLES, MARKERS
from reporting.space_page_data import model_looks
from reporting.space_results import SpaceResults

REFERENCE_COLOUR = "#595959"


def model_line_looks(results: SpaceResults) -> list[dict[str, Any]]:
    """Return colour, marker and line style of each model, in the colours of the page."""
    return [
        {
            "color": REFERENCE_COLOUR if look["colour"] is None else COLOURS[look["colour"]],
            "marker": "o" if look["colour"] is None else MARKERS[(look["colour"] + 1 + look["round"]) % len(MARKERS)],
            "linestyle": LINE_STYLES[look["round"] % len(LINE_STYLES)],
        }
        for look in model_looks(results)
    ]


def scatter_look(look: CategoryLook) -> dict[str, Any]:
    """Return how matplotlib's `scatter` draws the points of a category."""
    colour = OTHER_COLOUR if look.colour is None else COLOURS[look.colour]
    marker = {"disc": "o", "square": "s", "triangle": "^", "cross": "x"}[look.shape]
    if look.shape == "cross":
        return {"marker": marker, "color": colour}
    return {"marker": marker, "edgecolors": colour, "facecolors": "none" if look.shape == "square" else colour}


def panel_grid(panels: int) -> tuple[int, int]:
    """Return lines and columns for so many panels."""
    columns = 2 if panels in (2, 4) else min(panels, 3)
    return -(-panels // columns), columns

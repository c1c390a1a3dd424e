"""What the page on embedding spaces draws from: plain values, rounded and bounded in number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from metrics.measures import MEASURES
from reporting.category_looks import by_frequency, category_looks, heat_map_order, shown_documents
from reporting.figure_style import COLOURS
from reporting.space_results import Cosines, Drawing, ModelSpace, Percolation, SpaceResults, Sweep

MAP_POINTS, DRAWING_NODES, DRAWING_EDGES, CURVE_POINTS, HEAT_MAP_SIZE = 5_000, 3_000, 15_000, 400, 40
NAME_LENGTH = 120
GRID = 9_999  # coordinates are whole numbers from 0 to this: a hundredth of a pixel on a map of a hand's width
PLANE = ("uniformity", "category_alignment", "alignment")


def page_data(results: SpaceResults) -> dict[str, Any]:
    """Return what the script of the page draws.

    Args:
        results: Of all models.

    Returns:
        Values for `json.dumps`, None for what is undefined. `documents` holds those that maps and drawings show;
        `maps` and `drawing` of a model name them by their place in it.
    """
    shown = shown_documents(results, MAP_POINTS)
    drawings = [_cut_drawing(model.drawing) for model in results.models]
    listed = np.unique(np.concatenate([shown, *(drawing.documents for drawing in drawings if drawing)]))
    order = heat_map_order(results, HEAT_MAP_SIZE)
    looks = category_looks(results.category_counts)
    names = sorted({name for model in results.models for sweep in model.sweeps.values() for name in sweep.measures})
    return {
        "reference": None if results.reference_model is None else results.models.index(results.reference_model),
        "categories": [
            {"name": short(name), "count": int(count), "colour": look.colour, "shape": look.shape}
            for name, count, look in zip(results.categories, results.category_counts, looks, strict=True)
        ],
        "byFrequency": by_frequency(results.category_counts),
        "heatOrder": order,
        "measures": {name: MEASURES[name].title for name in (*MEASURES,) if name in names or name in PLANE},
        "documents": {
            "ids": [short(name) for name in results.document_ids[listed]],
            "categories": results.document_categories[listed].tolist(),
            "splits": [short(name) for name in results.splits[listed]],
        },
        "shown": np.searchsorted(listed, shown).tolist(),
        "models": [
            {
                "name": short(model.name),
                **look,
                "measures": {
                    name: [_number(value) for value in (found.value, found.low, found.high)]
                    for name, found in model.measures.items()
                    if name in (*PLANE, "cosine_effect_size", "cosine_superiority")
                },
                "cosines": _cosines(model.cosines),
                "heat": _heat(model, order),
                "sweeps": {kind: _sweep(sweep) for kind, sweep in model.sweeps.items()},
                "percolation": _percolation(model.percolation),
                "drawing": _drawing(drawing, listed),
                "maps": {name: _map(points[shown]) for name, points in model.maps.items()},
            }
            for model, drawing, look in zip(results.models, drawings, model_looks(results), strict=True)
        ],
    }


def model_looks(results: SpaceResults) -> list[dict[str, Any]]:
    """Return colour and dashes of each model: dark grey for the reference, the palette for the others.

    Returns:
        For each model `colour`, a number of `figure_style.COLOURS` or None for grey, and `round`, which is above 0
        where the palette has been used up and lines must be dashed.
    """
    colours = [number for number, colour in enumerate(COLOURS) if colour != "#000000"]
    looks: list[dict[str, Any]] = []
    place = 0
    for model in results.models:
        if model is results.reference_model:
            looks.append({"colour": None, "round": 0})
            continue
        looks.append({"colour": colours[place % len(colours)], "round": place // len(colours)})
        place += 1
    return looks


def short(name: str) -> str:
    """Return a name on one line, cut where it would swell the page."""
    name = " ".join(str(name).split())
    return name if len(name) <= NAME_LENGTH else name[: NAME_LENGTH - 1] + "…"


def _cosines(cosines: Cosines | None) -> dict[str, Any] | None:
    if cosines is None:
        return None
    return {
        "edges": [_number(edge) for edge in cosines.edges],
        "within": cosines.within.tolist(),
        "between": cosines.between.tolist(),
    }


def _heat(model: ModelSpace, order: Sequence[int]) -> list[list[float | None]] | None:
    if model.category_cosine is None:
        return None
    return [[_number(value, 3) for value in row] for row in model.category_cosine[np.ix_(order, order)]]


def _sweep(sweep: Sweep) -> dict[str, Any]:
    return {
        "values": [_number(value) for value in sweep.values],
        "measures": {name: [_number(value) for value in found] for name, found in sweep.measures.items()},
    }


def _percolation(percolation: Percolation | None) -> dict[str, Any] | None:
    if percolation is None:
        return None
    places = thinned(percolation.thresholds, percolation.giant_share)
    return {
        "threshold": _number(percolation.threshold),
        "thresholds": [_number(value) for value in percolation.thresholds[places]],
        "share": [_number(value) for value in percolation.giant_share[places]],
    }


def thinned(x: np.ndarray, y: np.ndarray, points: int = CURVE_POINTS) -> np.ndarray:
    """Return places of a curve, by rising x, that keep its shape: evenly spaced along x and along y.

    Args:
        x: `(points,)`.
        y: `(points,)`, from 0 to 1.
        points: At most so many.
    """
    order = np.argsort(x, kind="stable")
    order = order[np.isfinite(x[order]) & np.isfinite(y[order])]
    if len(order) <= points:
        return order
    # A giant component appears within a thousandth of the axis: steps along y must be kept as well.
    length = np.cumsum(np.abs(np.diff(x[order], prepend=x[order[0]])) / max(np.ptp(x[order]), 1e-12))
    length += np.cumsum(np.abs(np.diff(y[order], prepend=y[order[0]])))
    return order[np.unique(np.searchsorted(length, np.linspace(0, length[-1], points)).clip(0, len(order) - 1))]


def _map(points: np.ndarray) -> list[int | None] | None:
    """Return x and y of each document in turn, on a grid, None where it was left out; None without any."""
    finite = np.isfinite(points).all(1)
    if not finite.any():
        return None
    x, y = _on_grid(points[:, 0], points[:, 1], finite)
    flat = np.stack([x, y], 1).ravel().tolist()
    return [None if number < 0 else number for number in flat]


def _on_grid(x: np.ndarray, y: np.ndarray, finite: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return whole coordinates within a square, equal units on both axes; -1 where there are none."""
    size = max(np.ptp(x[finite]), np.ptp(y[finite]), 1e-12)
    placed = []
    for values, turn in ((x, 1), (y, -1)):  # a screen's y axis points down
        middle = (values[finite].max() + values[finite].min()) / 2
        with np.errstate(invalid="ignore"):
            scaled = np.round((0.5 + turn * (values - middle) / size) * GRID)
        placed.append(np.where(finite, scaled, -1).astype(np.int64).clip(-1, GRID))
    return placed[0], placed[1]


def _cut_drawing(drawing: Drawing | None) -> Drawing | None:
    """Return at most so many nodes and edges, drawn at random with a seed."""
    if drawing is None or not len(drawing.documents):
        return None
    rng = np.random.default_rng(0)
    kept = np.sort(rng.permutation(len(drawing.documents))[:DRAWING_NODES])
    kept = kept[np.isfinite(drawing.x[kept]) & np.isfinite(drawing.y[kept])]
    if not len(kept):
        return None
    places = np.full(len(drawing.documents), -1)
    places[kept] = np.arange(len(kept))
    edges = places[drawing.edges]
    edges = edges[(edges >= 0).all(1)]
    edges = edges[np.sort(rng.permutation(len(edges))[:DRAWING_EDGES])]
    return Drawing(drawing.kind, drawing.documents[kept], drawing.x[kept], drawing.y[kept], edges)


def _drawing(drawing: Drawing | None, listed: np.ndarray) -> dict[str, Any] | None:
    if drawing is None:
        return None
    x, y = _on_grid(drawing.x, drawing.y, np.ones(len(drawing.x), dtype=bool))
    return {
        "kind": drawing.kind,
        "nodes": np.searchsorted(listed, drawing.documents).tolist(),
        "points": np.stack([x, y], 1).ravel().tolist(),
        "edges": drawing.edges.ravel().tolist(),
    }


def _number(value: float | None, digits: int | None = None) -> float | None:
    """Return a number in few figures, None where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) if digits is not None else float(f"{value:.5g}")

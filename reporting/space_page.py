"""One HTML page on embedding spaces that holds all it needs: no request leaves it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.complete_files import complete_file
from metrics.measured import Measured
from reporting.figure_style import COLOURS
from reporting.space_page_data import DRAWING_NODES, HEAT_MAP_SIZE, MAP_POINTS, model_looks, page_data, short
from reporting.space_results import ModelSpace, SpaceResults
from reporting.space_tables import (
    GROUP_TITLES,
    GROUPS,
    MARKS,
    MeasureRow,
    direction,
    measure_rows,
    number_text,
    verdict_rule,
)

TEMPLATES = Path(__file__).parent / "templates"
SCRIPTS = ("space_core.js", "space_charts.js", "space_maps.js", "space_heat.js")
# What stands at the head of the page, where it is there: how separable, how even, how connected.
HEADLINES = (
    "silhouette",
    "knn_purity",
    "uniformity",
    "cosine_effect_size",
    "graph_percolation_threshold",
    "mean_cosine",
    "effective_rank",
)
HEADLINE_CARDS = 4
EN_DASH, MINUS = "\u2013", "\u2212"


@dataclass(frozen=True)
class Strip:
    """Where a value and its interval stand on an axis that all models share, in per cent; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


def write_space_page(results: SpaceResults, file: str | Path) -> Path:
    """Write the page, whole or not at all.

    Args:
        results: What it shows.
        file: Where; its folder is there.

    Returns:
        The file.
    """
    file = Path(file)
    with complete_file(file) as stream:
        stream.write(space_page(results))
    return file


def space_page(results: SpaceResults) -> str:
    """Return the page as HTML.

    Names of models, categories and documents are text and never markup: the template escapes them, the values for the
    script stand as JSON without angle brackets, the script puts names in as text nodes, and the page's own policy runs
    no script but the one whose hash it names, and lets it ask for nothing.

    Args:
        results: What it shows.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    parts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS]
    script = '"use strict";\n(() => {\n' + "".join(parts) + "})();\n"
    rows = measure_rows(results)
    names = [short(model.name) for model in results.models]
    return environment.get_template("space_page.html").render(
        results=results,
        names=names,
        reference=None if results.reference_model is None else results.models.index(results.reference_model),
        looks=model_looks(results),
        colours=COLOURS,
        groups=[(GROUP_TITLES[group], [row for row in rows if row.info.group == group]) for group in GROUPS],
        cards=[row for name in HEADLINES for row in rows if row.info.name == name][:HEADLINE_CARDS],
        tallies=_tallies(results, rows),
        rule=verdict_rule(results, "Each value stands above its 95 % interval over documents."),
        marks=MARKS,
        direction=direction,
        number=lambda value, decimals: number_text(value, decimals, missing=EN_DASH).replace("-", MINUS),
        strips=strips,
        strip_step=8 if len(names) < 6 else 4,
        brief=lambda name: name if len(name) <= 16 else f"{name[:6]}…{name[-8:]}",
        strip_width={1: 420, 2: 420, 3: 420, 4: 340, 5: 250, 6: 180}.get(len(names), 110),
        zip=zip,
        has={
            "cosines": any(model.cosines for model in results.models),
            "plane": _has_plane(results),
            "sweeps": any(model.sweeps for model in results.models),
            "percolation": any(model.percolation for model in results.models),
            "drawing": any(model.drawing for model in results.models),
            "heat": any(model.category_cosine is not None for model in results.models),
        },
        limits={"points": MAP_POINTS, "nodes": DRAWING_NODES, "heat": HEAT_MAP_SIZE},
        settings=[(short(name), _setting(value)) for name, value in results.settings.items()],
        style=(TEMPLATES / "space_page.css").read_text(encoding="utf-8"),
        script=script,
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=inert_json(page_data(results)),
    )


def inert_json(values: Any) -> str:
    """Return JSON that no HTML parser takes for markup, whatever the names in it."""
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def strips(values: Sequence[Measured | None]) -> list[Strip]:
    """Place values and intervals of one measure on the axis they share."""
    ends = [
        end
        for found in values
        if found
        for end in (found.value, found.low, found.high)
        if end is not None and math.isfinite(end)
    ]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)

    def place(value: float | None) -> float | None:
        if value is None or not math.isfinite(value):
            return None
        return 50.0 if high <= low else round(4 + 92 * (value - low) / (high - low), 2)

    return [
        Strip(place(found.value), place(found.low), place(found.high)) if found else Strip(None, None, None)
        for found in values
    ]


def _tallies(results: SpaceResults, rows: Sequence[MeasureRow]) -> list[tuple[int, int, int, int]]:
    """Return for each model but the reference its number and how many measures are better, worse, not told apart."""
    reference = results.reference_model
    if reference is None:
        return []
    judged = [
        row
        for row in rows
        if row.info.better and reference.measures.get(row.info.name, Measured(math.nan)).low is not None
    ]
    tallies = []
    for number, model in enumerate(results.models):
        if model is not reference:
            verdicts = [
                row.verdicts[number]
                for row in judged
                if row.values[number] is not None and row.values[number].low is not None
            ]
            tallies.append((number, verdicts.count("better"), verdicts.count("worse"), verdicts.count(None)))
    return tallies


def _has_plane(results: SpaceResults) -> bool:
    def known(model: ModelSpace, name: str) -> bool:
        return name in model.measures and math.isfinite(model.measures[name].value)

    return any(
        known(model, "uniformity") and (known(model, "alignment") or known(model, "category_alignment"))
        for model in results.models
    )


def _setting(value: Any) -> str:
    return short(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))

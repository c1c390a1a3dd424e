"""Scores of concept vectors on rated and related pairs: the table, the figure, plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from metrics.concept_similarity import SIGNIFICANCE, KindsResult
from metrics.measured import Measured
from reporting.figure_style import COLOURS, MARKERS, add_legend, figure_style, new_figure, save_figure, shortened
from reporting.tables import MISSING, markdown_table, plain_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANCE = {"rated": 0.0, "related": SIGNIFICANCE}


@dataclass(frozen=True)
class SimilarityScore:
    """What vectors reach on a benchmark.

    Args:
        benchmark: Its name.
        kind: `rated`: rank correlation with people's ratings; `related`: share of related pairs told from random ones.
        model: Name of the vectors.
        centred: Whether the mean over the benchmark's concepts was taken away.
        value: Correlation or share, with its interval over pairs.
        pairs: That count.
        left_out: Pairs that do not.
        by_kinds: Of related pairs, each pair of kinds.
    """

    benchmark: str
    kind: Literal["rated", "related"]
    model: str
    centred: bool
    value: Measured
    pairs: int
    left_out: int
    by_kinds: tuple[KindsResult, ...] = ()

    @property
    def vectors(self) -> str:
        """The model and what was done to its vectors."""
        return self.model + (", centred" if self.centred else "")


def scores_table(scores: Sequence[SimilarityScore]) -> str:
    """Lay out vectors against benchmarks, with a note that says how to read the numbers.

    Args:
        scores: Every kind of vectors on every benchmark.

    Returns:
        Markdown. Of benchmarks with several pairs of kinds, a table of these follows.
    """
    benchmarks, found = _columns(scores), {(one.vectors, one.benchmark): one for one in scores}
    best = {
        name: max((one.value.value for one in scores if one.benchmark == name and _known(one)), default=math.nan)
        for name in benchmarks
    }
    head = [f"{plain_text(name)} ({first.kind}, {first.pairs:,} pairs)" for name, first in benchmarks.items()]
    lines = [["Vectors", *head]]
    for vectors in _rows(scores):
        cells = [_cell(found[vectors, name], best[name]) for name in benchmarks]
        lines.append([plain_text(vectors), *cells])
    parts = [markdown_table(lines), _note(scores)]
    for name in benchmarks:
        members = [one for one in scores if one.benchmark == name]
        if len(members[0].by_kinds) > 1:
            parts += [f"## {plain_text(name)}, found pairs by kinds", _kinds_table(members)]
    return "\n\n".join(parts)


def _columns(scores: Sequence[SimilarityScore]) -> dict[str, SimilarityScore]:
    """Return the first score of each benchmark by its name."""
    found: dict[str, SimilarityScore] = {}
    for one in scores:
        found.setdefault(one.benchmark, one)
    return found


def _rows(scores: Sequence[SimilarityScore]) -> list[str]:
    return list(dict.fromkeys(one.vectors for one in scores))


def _known(one: SimilarityScore) -> bool:
    return math.isfinite(one.value.value)


def _cell(one: SimilarityScore, best: float) -> str:
    if not _known(one):
        return MISSING
    text = f"{one.value.value:.3f}"
    text = f"**{text}**" if one.value.value == best else text
    return text + (f" [{one.value.low:.3f}, {one.value.high:.3f}]" if one.value.low is not None else "")


def _note(scores: Sequence[SimilarityScore]) -> str:
    kinds = {one.kind for one in scores}
    sentences = []
    if "rated" in kinds:
        sentences.append("Rated: Spearman's correlation of cosines and ratings.")
    if "related" in kinds:
        sentences.append(
            "Related: share of pairs whose cosine exceeds the 95th percentile of random pairs of the same kinds; "
            f"{100 * SIGNIFICANCE:.0f} % by chance."
        )
    sentences.append("[95 % interval over pairs]; best of a column in bold.")
    left_out = {name: max(one.left_out for one in scores if one.benchmark == name) for name in _columns(scores)}
    sentences += [f"{plain_text(name)}: {count:,} pairs left out." for name, count in left_out.items() if count]
    return " ".join(sentences)


def _kinds_table(scores: Sequence[SimilarityScore]) -> str:
    head = [f"{plain_text(' and '.join(part.kinds))} ({part.pairs:,} pairs)" for part in scores[0].by_kinds]
    lines = [["Vectors", *head]]
    for one in scores:
        found = {part.kinds: f"{part.found / part.pairs:.3f}" for part in one.by_kinds}
        lines.append([plain_text(one.vectors), *(found.get(part.kinds, MISSING) for part in scores[0].by_kinds)])
    return markdown_table(lines)


def similarity_figure(scores: Sequence[SimilarityScore]) -> Figure:
    """Draw each kind of vectors with its interval, a panel for each benchmark, a dotted line at chance.

    Args:
        scores: Every kind of vectors on every benchmark.
    """
    benchmarks, models = _columns(scores), list(dict.fromkeys(one.model for one in scores))[::-1]
    columns = min(len(benchmarks), 3)
    lines = -(-len(benchmarks) // columns)
    with figure_style():
        figure = new_figure(2.3 * columns + 1.2, lines * (0.34 * len(models) + 0.9))
        grid = figure.subplots(lines, columns, sharey=True, squeeze=False)
        for axes, (name, first) in zip(grid.flat, benchmarks.items(), strict=False):
            axes.set_title(shortened(name, 36), loc="left", fontsize=8)
            axes.axvline(CHANCE[first.kind], color="#A0A0A0", linewidth=0.9, linestyle=(0, (1, 1.5)), label="chance")
            for number, centred in enumerate((False, True)):
                members = [one for one in scores if (one.benchmark, one.centred) == (name, centred) and _known(one)]
                if members:
                    heights = [models.index(one.model) - 0.22 * (centred - 0.5) for one in members]
                    values = np.array([one.value.value for one in members])
                    ends = np.array([_ends(one.value) for one in members]).T
                    axes.errorbar(
                        values,
                        heights,
                        xerr=np.maximum([values - ends[0], ends[1] - values], 0),
                        label="centred" if centred else "as they are",
                        linestyle="",
                        elinewidth=0.9,
                        capsize=2,
                        color=COLOURS[number],
                        marker=MARKERS[number],
                    )
            axes.set_yticks(range(len(models)), [shortened(model, 24) for model in models], fontsize=8)
            axes.set_ylim(-0.6, len(models) - 0.4)
            axes.grid(visible=True, axis="x")
            axes.locator_params(axis="x", nbins=5)
            axes.tick_params(axis="x", labelsize=7)
            axes.set_xlabel("Spearman's correlation" if first.kind == "rated" else "Share of pairs found", fontsize=8)
        for axes in grid.flat[len(benchmarks) :]:
            axes.remove()
        add_legend(figure)
    return figure


def _ends(found: Measured) -> tuple[float, float]:
    if found.low is None or found.high is None:
        return found.value, found.value
    return found.low, found.high


def write_figure(scores: Sequence[SimilarityScore], folder: Path) -> list[Path]:
    """Write the figure as PNG and SVG; return the files."""
    return save_figure(similarity_figure(scores), folder / "concept_similarity")


def scores_json(scores: Sequence[SimilarityScore]) -> dict[str, Any]:
    """Return all numbers as plain values."""
    return {
        "schema_version": 1,
        "kind": "concept_similarity",
        "scores": [
            {
                "benchmark": one.benchmark,
                "kind": one.kind,
                "model": one.model,
                "centred": one.centred,
                **one.value.as_dict(),
                "pairs": one.pairs,
                "left_out": one.left_out,
                "by_kinds": [
                    {"kinds": list(part.kinds), "pairs": part.pairs, "threshold": part.threshold, "found": part.found}
                    for part in one.by_kinds
                ],
            }
            for one in scores
        ],
    }

"""Does a measure of the embedding space tell how well a model will classify? Table and figure over models and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpora.errors import InputError
from metrics.intervals import RESAMPLED_METRICS, holm
from metrics.measures import MEASURES
from metrics.rank_correlation import FEWEST, RankCorrelation, rank_correlation
from reporting.classification_results import ClassificationResults
from reporting.figure_style import COLOURS, add_legend, figure_style, new_figure, save_figure
from reporting.result_rows import aggregate_rows
from reporting.space_results import SpaceResults
from reporting.system_names import method_name
from reporting.tables import MISSING, metric_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUP_COLOURS = dict(zip(("geometry", "clusters", "retrieval", "graph"), COLOURS, strict=False))


@dataclass(frozen=True, eq=False)
class Task:
    """Models with their spaces and their scores on one task.

    Args:
        name: Of the task.
        models: Names.
        scores: `(models,)`.
        measures: By name, `(models,)`; not a number where undefined.
    """

    name: str
    models: tuple[str, ...]
    scores: np.ndarray
    measures: dict[str, np.ndarray]


@dataclass(frozen=True)
class CorrelatedMeasure:
    """A measure and how it goes with the score.

    Args:
        name: Of the measure.
        correlation: Rank correlation with the score.
        p_adjusted: Its p-value after Holm's correction for all measures.
    """

    name: str
    correlation: RankCorrelation
    p_adjusted: float


@dataclass(frozen=True, eq=False)
class MetricCorrelations:
    """All measures of some tasks.

    Args:
        tasks: The tasks.
        method: How the models classify.
        metric: The score.
        shots: Labelled documents a class; None for all.
        measures: The strongest correlation first.
    """

    tasks: tuple[Task, ...]
    method: str
    metric: str
    shots: int | None
    measures: tuple[CorrelatedMeasure, ...]


def make_task(
    name: str,
    space: SpaceResults,
    classification: ClassificationResults,
    method: str,
    shots: int | None,
    reading: str | None = None,
    metric: str = "f1_macro",
) -> Task:
    """Bring the measures and the scores of a task's models together.

    Args:
        name: Of the task.
        space: Results of analyse_embeddings.py.
        classification: Results of classify.py with models of the same names.
        method: Whose scores count.
        shots: Labelled documents a class; None for all.
        reading: Needed where the results hold several.
        metric: See `reporting.result_rows.aggregate_rows`.

    Raises:
        InputError: No model has both, or a model several scores.
    """
    if metric not in RESAMPLED_METRICS:
        raise InputError(f"no score is called '{metric}'", remedy=f"choose from {', '.join(RESAMPLED_METRICS)}")
    rows = [
        row
        for row in aggregate_rows(classification, metric, resamples=1)
        if row.system.method == method and row.shots == shots and reading in (None, row.system.reading)
    ]
    size = "all documents" if shots is None else f"{shots} documents a class"
    found: dict[str, float] = {}
    for row in rows:
        if row.system.model in found:
            raise InputError(
                f"model '{row.system.model}' has several scores of {method} with {size}",
                file=classification.folder,
                remedy="name the way of reading with --reading",
            )
        found[str(row.system.model)] = row.mean
    models = tuple(model.name for model in space.models if model.name in found)
    if not models:
        raise InputError(
            f"no model of {space.folder} has a score of {method} with {size}",
            file=classification.folder,
            remedy="give both results the same model names, and choose --method and --shots among those computed",
        )
    by_name = {model.name: model.measures for model in space.models}
    values = {
        measure: np.array([by_name[model][measure].value if measure in by_name[model] else np.nan for model in models])
        for measure in MEASURES
    }
    return Task(name, models, np.array([found[model] for model in models]), values)


def correlate(
    tasks: Sequence[Task], method: str, shots: int | None, metric: str, resamples: int = 2_000, seed: int = 0
) -> MetricCorrelations:
    """Correlate every measure with the score.

    Raises:
        InputError: No task has enough models.
    """
    if all(len(task.models) < FEWEST for task in tasks):
        most = max(len(task.models) for task in tasks)
        raise InputError(
            f"no task has {FEWEST} models or more (the most is {most})",
            remedy="analyse and classify more checkpoints; orders of three say nothing",
        )
    found = []
    for name in MEASURES:
        correlation = rank_correlation([(task.measures[name], task.scores) for task in tasks], resamples, seed)
        if np.isfinite(correlation.value):
            found.append((name, correlation))
    adjusted = holm([correlation.p_value for _, correlation in found])
    measures = [CorrelatedMeasure(*pair, float(p)) for pair, p in zip(found, adjusted, strict=True)]
    measures.sort(key=lambda measure: -abs(measure.correlation.value))
    return MetricCorrelations(tuple(tasks), method, metric, shots, tuple(measures))


def correlation_table(found: MetricCorrelations) -> str:
    """Return a Markdown table, the strongest correlation first."""
    names = [task.name for task in found.tasks]
    several = len(names) > 1
    heads = ["Measure", "Rank correlation [95 %]", "p", "p, Holm", *(names if several else [])]
    lines = ["| " + " | ".join(head.replace("|", "\\|") for head in heads) + " |"]
    lines.append("| --- |" + " ---: |" * (len(heads) - 1))
    for measure in found.measures:
        one = measure.correlation
        interval = "" if one.low is None else f" [{one.low:.2f}, {one.high:.2f}]"
        cells = [_title(measure.name), f"{one.value:+.2f}{interval}", _p(one.p_value), _p(measure.p_adjusted)]
        cells += [MISSING if np.isnan(value) else f"{value:+.2f}" for value in one.by_task] if several else []
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", caption(found)])


def caption(found: MetricCorrelations) -> str:
    """Say what was correlated."""
    size = "all training documents" if found.shots is None else f"{found.shots} documents a class"
    tasks = "; ".join(f"{task.name}: {len(task.models)} models" for task in found.tasks)
    return (
        f"Spearman's rank correlation of each measure with {metric_name(found.metric)} of "
        f"{method_name(found.method)} on {size}, over models, within tasks ({tasks}). ↑ and ↓: the direction that "
        "should speak for a space. Intervals by bootstrap over models, p by permutation within tasks, Holm's "
        "correction over all measures. Few models give wide intervals."
    )


def correlation_figure(found: MetricCorrelations) -> Figure:
    """Draw each measure's correlation with its interval, the groups in colours."""
    with figure_style():
        figure = new_figure(6.4, 1.0 + 0.22 * len(found.measures))
        axes = figure.add_subplot()
        axes.axvline(0, color="#888888", linewidth=0.8)
        for place, measure in enumerate(found.measures):
            one, group = measure.correlation, MEASURES[measure.name].group
            look: dict[str, Any] = {"color": GROUP_COLOURS[group]}
            if one.low is not None:
                axes.plot([one.low, one.high], [place, place], linewidth=1.4, solid_capstyle="butt", **look)
            axes.plot(one.value, place, "o", label=group, **look)
            for value in one.by_task if len(one.by_task) > 1 else ():
                axes.plot(value, place, "|", markersize=6, alpha=0.6, **look)
        axes.set_yticks(range(len(found.measures)), [_title(measure.name) for measure in found.measures], fontsize=8)
        axes.set(xlim=(-1.05, 1.05), ylim=(len(found.measures) - 0.4, -0.6))
        axes.grid(axis="x")
        axes.grid(axis="y", visible=False)
        size = "all documents" if found.shots is None else f"{found.shots} documents a class"
        axes.set_xlabel(f"Rank correlation with {metric_name(found.metric)}\n({method_name(found.method)}, {size})")
        add_legend(figure, list(GROUP_COLOURS))
    return figure


def write_correlations(found: MetricCorrelations, folder: Path) -> list[Path]:
    """Write `table.md` and the figure; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "table.md"
    table.write_text(correlation_table(found) + "\n", encoding="utf-8")
    return [table, *save_figure(correlation_figure(found), folder / "correlations")]


def as_dict(found: MetricCorrelations) -> dict[str, Any]:
    """Return all numbers for JSON."""
    return {
        "method": found.method,
        "metric": found.metric,
        "shots": found.shots,
        "tasks": [
            {
                "name": task.name,
                "models": list(task.models),
                "scores": task.scores.tolist(),
                "measures": {name: values.tolist() for name, values in task.measures.items()},
            }
            for task in found.tasks
        ],
        "measures": [
            {
                "name": measure.name,
                "correlation": measure.correlation.value,
                "low": measure.correlation.low,
                "high": measure.correlation.high,
                "p_value": measure.correlation.p_value,
                "p_holm": measure.p_adjusted,
                "by_task": list(measure.correlation.by_task),
                "models": measure.correlation.points,
            }
            for measure in found.measures
        ],
    }


def _title(name: str) -> str:
    info = MEASURES[name]
    return info.title + {"higher": " ↑", "lower": " ↓", None: ""}[info.better]


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"

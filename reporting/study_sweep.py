"""Sweeps of a study: what the values of an option come to, over all combinations with the others and over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from metrics.intervals import ResampledScores, mean_over_drawn_seeds, percentile_interval
from reporting.figure_style import add_legend, figure_style, line_look, new_figure
from reporting.printed_table import PrintedTable
from reporting.result_rows import shots_of
from reporting.study_gains import Evaluation
from reporting.study_results import BASE, StudyModel, StudyResults
from reporting.system_names import method_name
from reporting.tables import MISSING, shots_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Repetitions, not a setting.
SEED = "seed"


@dataclass(frozen=True, eq=False)
class Setting:
    """One combination of the swept options, over its training seeds.

    Args:
        values: By option, without the seed.
        scores: Macro-F1 by number of labels, over training seeds, each the mean over its samples of labels, drawn anew.
    """

    values: Mapping[str, Any]
    scores: Mapping[int | None, ResampledScores]

    def name(self, options: Sequence[str]) -> str:
        """Return the values of some options in words."""
        return ", ".join(f"{option.replace('_', ' ')} {value_text(self.values[option])}" for option in options)


@dataclass(frozen=True, eq=False)
class Sweep:
    """A sweep as one evaluation sees it.

    Args:
        name: In the recipe.
        evaluation: The evaluation.
        method: Of classification.
        settings: In the order of the grid.
        base: The base model, classified in the same way; None where it was not.
    """

    name: str
    evaluation: Evaluation
    method: str
    settings: Sequence[Setting]
    base: Setting | None

    @property
    def shots(self) -> list[int | None]:
        """Numbers of labels that every setting was scored with, the fewest first."""
        return [size for size in shots_of(self.evaluation.rows) if all(size in one.scores for one in self.settings)]

    @property
    def options(self) -> list[str]:
        """Options with several values."""
        names = self.settings[0].values
        return [name for name in names if len({value_text(one.values[name]) for one in self.settings}) > 1]


def find_sweeps(study: StudyResults, evaluations: Sequence[Evaluation]) -> list[Sweep]:
    """Return every sweep in every evaluation of its corpus, by the evaluation's first method of each kind."""
    found = []
    for evaluation in evaluations:
        models = [model for model in study.models_of(evaluation.corpus) if model.sweep is not None]
        methods = dict.fromkeys(row.system.method for row in evaluation.rows if row.system.model == BASE)
        for name in dict.fromkeys(model.sweep for model in models):
            for method in methods:
                settings = _settings([model for model in models if model.sweep == name], evaluation, method)
                base = _settings([StudyModel(BASE, None, {}, None, BASE, None)], evaluation, method)
                if settings:
                    found.append(Sweep(str(name), evaluation, method, settings, base[0] if base else None))
    return found


def sweep_table(sweep: Sweep) -> PrintedTable:
    """Return macro-F1 of each setting."""
    lines = [["Setting", *map(shots_name, sweep.shots)]]
    members = [*([sweep.base] if sweep.base else []), *sweep.settings]
    best = {size: max(one.scores[size].mean for one in members if size in one.scores) for size in sweep.shots}
    for one in members:
        cells = []
        for size in sweep.shots:
            scores = one.scores.get(size)
            if scores is None:
                cells.append(MISSING)
                continue
            low, high = percentile_interval(scores)
            mean = f"**{scores.mean:.3f}**" if scores.mean == best[size] else f"{scores.mean:.3f}"
            cells.append(f"{mean} [{low:.3f}, {high:.3f}]")
        # Of a grid with a single combination all options are named.
        named = sweep.options or list(one.values)
        lines.append([BASE if one is sweep.base else one.name(named), *cells])
    first = sweep.settings[0]
    alike = first.name([option for option in first.values if option not in (sweep.options or first.values)])
    note = (
        "Macro-F1 [95 % interval over test documents, labels drawn and training seeds]; best of a column in bold."
        f"{f' Alike in all: {alike}.' if alike else ''}"
    )
    caption = f"{sweep.evaluation.task}: {sweep.name}, {method_name(sweep.method)}"
    return PrintedTable(f"sweep-{sweep_name(sweep)}", caption, lines, note)


def sweep_name(sweep: Sweep) -> str:
    """Return what tells a sweep in an evaluation from others, for names of files and tables."""
    evaluation = sweep.evaluation
    return f"{sweep.name}-{evaluation.corpus}-{evaluation.label}-{evaluation.group}-{sweep.method}"


def sweep_figure(sweep: Sweep) -> Figure | None:
    """Draw macro-F1 against each swept option: a point a setting, a line through the means of each value.

    Returns:
        The figure; None where no option has several values.
    """
    options, sizes = sweep.options, sorted({0, len(sweep.shots) - 1})
    if not options:
        return None
    with figure_style():
        figure = new_figure(min(7.2, 2.6 * len(options) + 1.2), 2.7)
        panels = figure.subplots(1, len(options), sharey=True, squeeze=False)[0]
        for axes, option in zip(panels, options, strict=True):
            values = list(dict.fromkeys(value_text(one.values[option]) for one in sweep.settings))
            for number, place in enumerate(sizes):
                size, look = sweep.shots[place], line_look(number)
                groups = [
                    [one.scores[size].mean for one in sweep.settings if value_text(one.values[option]) == value]
                    for value in values
                ]
                for position, scores in enumerate(groups):
                    axes.plot([position] * len(scores), scores, "o", color=look["color"], alpha=0.35, markersize=3)
                axes.plot(range(len(values)), [np.mean(scores) for scores in groups], label=shots_name(size), **look)
                if sweep.base is not None and size in sweep.base.scores:
                    axes.axhline(sweep.base.scores[size].mean, color=look["color"], linestyle=":", linewidth=1)
            axes.set_xticks(range(len(values)), values, fontsize=8)
            axes.set_xlim(-0.4, len(values) - 0.6)
            axes.set_xlabel(option.replace("_", " "))
        panels[0].set_ylabel("Macro-F1 (dotted: base)")
        add_legend(figure)
    return figure


def value_text(value: Any) -> str:
    """Return a value of a grid in words."""
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)


def _settings(models: Sequence[StudyModel], evaluation: Evaluation, method: str) -> list[Setting]:
    found = []
    keys = [{key: value for key, value in model.values.items() if key != SEED} for model in models]
    for values in {repr(key): key for key in keys}.values():
        names = {model.name for model, key in zip(models, keys, strict=True) if key == values}
        rows = [row for row in evaluation.rows if row.system.model in names and row.system.method == method]
        first = {(row.system.reading, row.system.frozen) for row in rows[:1]}  # one way of reading
        rows = [row for row in rows if (row.system.reading, row.system.frozen) in first]
        scores = {}
        for size in shots_of(rows):
            members = [row.scores for row in rows if row.shots == size]
            # All training seeds have the same samples of labels: these are drawn together, the seeds by themselves.
            resampled = np.stack([mean_over_drawn_seeds(one.resampled, 0, stream=4) for one in members])
            scores[size] = ResampledScores(np.array([one.mean for one in members]), resampled)
        if scores:
            found.append(Setting(values, scores))
    return found

"""What a swept option is worth: one value against another, with all other options alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.intervals import ResampledScores
from reporting.adjusted_differences import ScoredPair, adjusted_differences
from reporting.printed_table import PrintedTable
from reporting.study_sweep import Setting, Sweep, sweep_name, value_text
from reporting.system_names import method_name
from reporting.tables import ABOVE, BELOW, difference_cell, shots_name


def effects_table(sweep: Sweep) -> PrintedTable | None:
    """Compare every value of a swept option with the option's first one, and every option's pairs together.

    A setting is compared with the one that differs from it in this option alone; the mean over all such pairs is the
    effect. Documents, samples of labels and training seeds are drawn together for both sides.

    Returns:
        A line an option and value; None where no option has several values.
    """
    pairs = {
        (option, value, size): _pooled(sweep, option, value, size)
        for option in sweep.options
        for value in _values(sweep, option)[1:]
        for size in sweep.shots
    }
    known = {key: pair for key, pair in pairs.items() if pair is not None}
    if not known:
        return None
    found = dict(zip(known, adjusted_differences(list(known.values())), strict=True))
    lines = [["Option", "Value", "Against", *map(shots_name, sweep.shots)]]
    for option in sweep.options:
        first, *others = _values(sweep, option)
        for value in others:
            cells = [difference_cell(found.get((option, value, size))) for size in sweep.shots]
            lines.append([option.replace("_", " "), value, first, *cells])
    note = (
        "Difference of macro-F1 between settings that are alike but for this option, mean over all other combinations "
        f"[95 % interval over test documents, labels drawn and training seeds]; {ABOVE} {BELOW} p at most 0.05 after "
        f"Holm's correction for {len(found):,} comparisons."
    )
    caption = f"{sweep.evaluation.task}: effects of {sweep.name}, {method_name(sweep.method)}"
    return PrintedTable(f"effects-{sweep_name(sweep)}", caption, lines, note)


def _values(sweep: Sweep, option: str) -> list[str]:
    return list(dict.fromkeys(value_text(one.values[option]) for one in sweep.settings))


def _pooled(sweep: Sweep, option: str, value: str, size: int | None) -> ScoredPair | None:
    """Return the mean scores of all settings with a value, and of their twins with the option's first value."""
    seeds = max(len(one.scores[size].observed) for one in sweep.settings)
    complete = [one for one in sweep.settings if len(one.scores[size].observed) == seeds]
    own, twins = (
        {_others(one, option): one for one in complete if value_text(one.values[option]) == side}
        for side in (value, _values(sweep, option)[0])
    )
    shared = [key for key in own if key in twins]
    if not shared:
        return None
    return ScoredPair(*(_mean([side[key].scores[size] for key in shared]) for side in (own, twins)), True)


def _others(setting: Setting, option: str) -> str:
    return repr({name: value for name, value in setting.values.items() if name != option})


def _mean(scores: Sequence[ResampledScores]) -> ResampledScores:
    return ResampledScores(
        np.mean([one.observed for one in scores], axis=0), np.mean([one.resampled for one in scores], axis=0)
    )

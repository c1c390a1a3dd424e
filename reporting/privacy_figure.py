"""The figure of a privacy audit: membership curves, exposure of canaries, recovery of identifiers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reporting.figure_style import COLOURS, figure_style, line_look, new_figure, save_figure

_LABELS = {
    "loss": "masked loss",
    "likelihood_ratio": "likelihood ratio",
    "reference_loss": "control: reference loss",
    "halves_similarity": "halves' similarity",
    "neighbour_margin": "nearest neighbour",
    "likeness_gain": "similarity v. reference",
    "reference_similarity": "control: reference similarity",
}


def draw_privacy_figure(audit: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw `privacy_audit.png` and `privacy_audit.svg`.

    Args:
        audit: The content of `privacy_audit.json`.
        folder: Where to.

    Returns:
        The files.
    """
    attacks = {
        name: levels["document"]
        for part in (audit["membership"], audit["embeddings"])
        for name, levels in (part["attacks"].items() if part else ())
        if levels["document"] is not None
    }
    panels = [_draw_curves] if attacks else []
    if audit["canaries"]:
        panels.append(_draw_canaries)
    if audit["identifiers"] and audit["identifiers"]["kinds"]["all"]:
        panels.append(_draw_identifiers)
    with figure_style():
        figure = new_figure(3.4 * max(1, len(panels)), 3.6)
        for number, draw in enumerate(panels, 1):
            axes = figure.add_subplot(1, len(panels), number)
            draw(axes, attacks if draw is _draw_curves else audit)
        figure.suptitle(f"Privacy audit: {audit['verdict']}", fontsize=10)
    return save_figure(figure, folder / "privacy_audit")


def _draw_curves(axes: Any, attacks: Mapping[str, Any]) -> None:
    lowest = min(1 / max(attack["nonmembers"], 1) for attack in attacks.values()) / 2
    axes.plot([lowest, 1], [lowest, 1], color="#999999", linewidth=0.8, linestyle="--", label="chance")
    for number, (name, attack) in enumerate(attacks.items()):
        look = line_look(number) | {"marker": None}
        x, y = zip(*attack["curve"], strict=True)
        axes.plot(x, y, label=f"{_LABELS[name]} ({attack['auc']['value']:.2f})", drawstyle="steps-post", **look)
    axes.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1.05))
    axes.set(xlabel="non-members taken for members", ylabel="members found", title="Membership (area)")
    for axis in (axes.xaxis, axes.yaxis):  # the usual format would be a formula
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    _legend_below(axes)


def _draw_canaries(axes: Any, audit: Mapping[str, Any]) -> None:
    part = audit["canaries"]
    groups = part["groups"]
    for place, group in enumerate(groups):
        mean = group["mean_bits"]
        axes.plot([place], [mean["value"]], marker="o", color=COLOURS[0], linestyle="none")
        if mean["low"] is not None:
            axes.plot([place, place], [mean["low"], mean["high"]], color=COLOURS[0])
    risk = audit["thresholds"]["canary_share_of_space_bits"]["risk"] * part["space_bits"]
    axes.axhline(part["unseen_bits"], color="#999999", linestyle="--", linewidth=0.8, label="not seen")
    axes.axhline(risk, color=COLOURS[1], linestyle=":", label="risk")
    axes.set_xticks(range(len(groups)), [str(group["repetitions"]) for group in groups])
    axes.set(xlabel="times planted", ylabel="exposure, bits", title="Canaries", ylim=(0, 1.05 * part["space_bits"]))
    axes.set_xlim(-0.5, len(groups) - 0.5)
    _legend_below(axes)


def _draw_identifiers(axes: Any, audit: Mapping[str, Any]) -> None:
    entry = audit["identifiers"]["kinds"]["all"]
    names = list(entry["top_1"]["members"])
    bars = [(side, name) for side in ("members", "nonmembers") for name in names]
    for number, (side, name) in enumerate(bars):
        heights = [100 * entry[f"top_{top}"][side][name] for top in (1, 10)]
        places = [top + (number - (len(bars) - 1) / 2) * 0.8 / len(bars) for top in range(2)]
        label = f"{side.replace('non', 'non-')}, {name}"
        axes.bar(places, heights, 0.75 / len(bars), color=COLOURS[number], label=label)
    axes.set_xticks([0, 1], ["first guess", "first ten"])
    axes.set(ylabel="identifiers recovered, %", title="Masked identifiers")
    axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))  # bars of nothing would have an axis about zero
    _legend_below(axes)


def _legend_below(axes: Any) -> None:
    axes.legend(fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, borderpad=0)

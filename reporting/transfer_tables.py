"""Names and Markdown tables of transfer results."""

from __future__ import annotations

from collections.abc import Sequence

from reporting.tables import ABOVE, BELOW, MISSING, markdown_table, plain_text
from reporting.transfer_comparisons import Comparison
from reporting.transfer_results import Place, Row, System, TransferResults

EMBEDDINGS = {"one_hot": "one-hot", "random": "random vectors"}
CLASSIFIERS = {
    "set_max": "concept set, maximum",
    "set_mean": "concept set, mean",
    "set_attention": "concept set, attention",
    "logistic_max": "logistic regression, maximum",
    "logistic_mean": "logistic regression, mean",
    "majority": "majority",
    "bayes_ceiling": "best possible (Bayes)",
}
PROTOCOLS = {
    "ceiling": "best possible",
    "local": "local",
    "direct": "direct",
    "pooled": "pooled",
    "tuned_head": "tuned, last layer",
    "tuned_all": "tuned, all",
}
VOCABULARIES = {
    "full": "full vocabularies",
    "shared": "shared codes only",
    "disjoint": "codes that the other site lacks",
    "dealt": "no code in common (shared codes dealt out)",
}
METRICS = {"auroc": "AUROC", "auprc": "AUPRC", "brier": "Brier", "ece": "ECE"}


def embedding_name(embedding: str | None) -> str:
    """Return how concept vectors are called in print."""
    return EMBEDDINGS.get(embedding or "", embedding or "")


def system_name(system: System, settings: Sequence[str]) -> str:
    """Return a name for a system; the setting is named where there are several."""
    parts = [embedding_name(system.embedding), CLASSIFIERS.get(system.classifier, system.classifier)]
    if system.setting is not None and len(settings) > 1:
        parts.append(system.setting)
    return ", ".join(part for part in parts if part)


def place_name(place: Place) -> str:
    """Return the head of a column: protocol and encounters of the target."""
    name = PROTOCOLS[place.protocol]
    if place.protocol in ("direct", "ceiling"):
        return name
    return f"{name}, {'all' if place.size is None else f'{place.size:,}'}"


def vocabulary_name(vocabulary: str) -> str:
    """Return how a vocabulary is called in print."""
    if vocabulary.startswith("renamed_"):
        return f"{100 * float(vocabulary.removeprefix('renamed_')):g} % of the shared codes renamed"
    return VOCABULARIES.get(vocabulary, vocabulary)


def settings_of(rows: Sequence[Row]) -> list[str]:
    """Return the settings in their first order."""
    return list(dict.fromkeys(row.system.setting for row in rows if row.system.setting is not None))


def blocks(rows: Sequence[Row]) -> dict[tuple[str, str | None], list[Row]]:
    """Return the rows of each table: of one vocabulary, and one source or the target alone."""
    found: dict[tuple[str, str | None], list[Row]] = {}
    for row in rows:
        if row.place.protocol != "ceiling":
            found.setdefault((row.place.vocabulary, row.place.source), []).append(row)
    return found


def places_of(rows: Sequence[Row]) -> list[Place]:
    """Return the columns of a table: by protocol, then by size, all encounters last."""
    order = list(PROTOCOLS)
    return sorted(
        {row.place for row in rows},
        key=lambda place: (order.index(place.protocol), place.size is None, place.size or 0),
    )


def scores_table(rows: Sequence[Row], comparisons: Sequence[Comparison], settings: Sequence[str]) -> str:
    """Lay the systems of a block out against protocols and sizes.

    Args:
        rows: Of one block.
        comparisons: Of any rows; those with one-hot give the marks.
        settings: Of all rows.

    Returns:
        Mean AUROC with its interval; the best of a column in bold.
    """
    cells = {(row.system, row.place): row for row in rows}
    columns = places_of(rows)
    marks = {
        (found.system, found.place): ABOVE if found.difference > 0 else BELOW
        for found in comparisons
        if found.significant and found.reference == "one_hot"
    }
    best = {place: max(row.mean for row in rows if row.place == place) for place in columns}
    lines = [["AUROC", *map(place_name, columns)]]
    for system in dict.fromkeys(row.system for row in rows):
        line = [plain_text(system_name(system, settings))]
        for place in columns:
            row = cells.get((system, place))
            if row is None:
                line.append(MISSING)
                continue
            mean = f"**{row.mean:.3f}**" if row.mean == best[place] else f"{row.mean:.3f}"
            low, high = row.interval
            line.append(f"{mean} [{low:.3f}, {high:.3f}] {marks.get((system, place), '')}".rstrip())
        lines.append(line)
    return markdown_table(lines)


def metrics_table(rows: Sequence[Row], settings: Sequence[str]) -> str:
    """Lay out AUROC, AUPRC, Brier score and calibration error of each row, averaged over seeds."""
    lines = [["System", "Vocabulary", "Protocol", "Source", *METRICS.values()]]
    for row in rows:
        scores = [f"{row.metrics[name]:.3f}" if name in row.metrics else MISSING for name in METRICS]
        source = plain_text(row.place.source or MISSING)
        names = [system_name(row.system, settings), vocabulary_name(row.place.vocabulary), place_name(row.place)]
        lines.append([*map(plain_text, names), source, *scores])
    return markdown_table(lines)


def differences_table(comparisons: Sequence[Comparison], settings: Sequence[str]) -> str:
    """Lay out how far vectors of names are ahead of the controls."""
    lines = [["Vectors", "Vocabulary", "Source", "Protocol", "Against", "Difference of AUROC", "p", "p after Holm"]]
    for found in comparisons:
        low, high = found.interval
        lines.append(
            [
                plain_text(system_name(found.system, settings)),
                vocabulary_name(found.place.vocabulary),
                plain_text(found.place.source or MISSING),
                place_name(found.place),
                embedding_name(found.reference),
                f"{found.difference:+.4f} [{low:+.4f}, {high:+.4f}]",
                f"{found.p_value:.3f}",
                f"{found.adjusted_p_value:.3f}",
            ]
        )
    return markdown_table(lines)


def sites_table(results: TransferResults) -> str:
    """Lay out the sites' counts."""
    lines = [["Site", "Encounters", "With the outcome", "Codes", "Encounters without any"]]
    for name, counts in results.sites.items():
        numbers = (counts.get(key) for key in ("encounters", "positives", "codes", "without_states"))
        role = f"{name} (target)" if name == results.target else name
        lines.append([plain_text(role), *(MISSING if one is None else f"{one:,}" for one in numbers)])
    return markdown_table(lines)


def overlaps_table(results: TransferResults) -> str:
    """Lay out how many codes the sites share in each vocabulary."""
    lines = [["Vocabulary", "Source", "Codes at the source", "At the target", "Shared", "Of the target's statements"]]
    for one in results.overlaps:
        lines.append(
            [
                vocabulary_name(str(one["vocabulary"])),
                plain_text(str(one["source"])),
                *(f"{one[key]:,}" for key in ("source_codes", "target_codes", "shared_codes")),
                f"{100 * one['share_of_target_said_in_shared_codes']:.0f} %",
            ]
        )
    return markdown_table(lines)

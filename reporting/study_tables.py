"""The tables of a study's report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reporting.classification_report import main_table, make_report
from reporting.printed_table import PrintedTable, read_tables
from reporting.result_rows import shots_of, systems_of
from reporting.space_results import SpaceResults
from reporting.space_tables import space_table, verdict_rule
from reporting.study_gains import Evaluation, gains_over_base
from reporting.study_results import StudyResults
from reporting.system_names import system_names
from reporting.tables import ABOVE, BELOW, MISSING, difference_cell, shots_name

ROLES = {
    "base": "where all start from",
    "mlm": "MLM",
    "declutr": "DeCLUTR",
    "mlm_declutr": "MLM, then DeCLUTR",
    "category": "MLM and note category",
    "declutr_category": "DeCLUTR and note category",
    "other": "several objectives",
}

# What the studies report of a space, and one or two of every kind beside them.
CHIEF_MEASURES = (
    *(
        "alignment",
        "category_alignment",
        "uniformity",
        "mean_cosine",
        "cosine_effect_size",
        "effective_rank",
        "hubness",
    ),
    *("silhouette", "kmeans_v_measure", "knn_purity", "retrieval_map", "retrieval_recall_at_1", "similarity_spearman"),
    *("graph_percolation_threshold", "graph_giant_share", "graph_isolated_share", "graph_assortativity"),
)


def corpora_table(study: StudyResults) -> PrintedTable:
    """Return what preparation left of each corpus."""
    lines = [["Corpus", "Read", "Kept", "Train", "Validation", "Test", "Words", "Near duplicates"]]
    for name, report in study.corpora.items():
        splits = report.get("splits") or {}
        counts = [_count((splits.get(split) or {}).get("documents")) for split in ("train", "validation", "test")]
        near = (report.get("near_duplicates") or {}).get("documents")
        kept = (_count(report.get(key)) for key in ("documents_read", "documents_kept"))
        words = sum(split.get("words") or 0 for split in splits.values())
        lines.append([name, *kept, *counts, _count(words), _count(near)])
    return PrintedTable("corpora", "Documents of each corpus", lines)


def models_table(study: StudyResults) -> PrintedTable:
    """Return how each model was trained, and what the audit says of it."""
    lines = [["Model", "Corpus", "Objective", "Tokens read", "Steps", "Validation loss", "Privacy audit"]]
    for model in study.models:
        if model.sweep is not None:  # in the tables of sweeps
            continue
        summary = model.summary
        loss = (summary.get("metrics") or {}).get("eval_loss")
        lines.append(
            [
                model.name,
                model.corpus or ("all" if summary else MISSING),
                ROLES[model.role] if model.corpus else "MLM from scratch" if summary else "given",
                _count(model.tokens),
                _count(summary.get("steps")),
                MISSING if loss is None else f"{loss:.3f}",
                _audit(model.audit),
            ]
        )
    note = (
        "Tokens of all stages; losses of different objectives cannot be compared. Privacy audit: its verdict, and the "
        "members and non-members that it rests on; the model's card has it in words."
    )
    return PrintedTable("models", "Models, and what their training read", lines, note)


def evaluation_table(evaluation: Evaluation) -> PrintedTable:
    """Return macro-F1 of every system of a classification, as in the report of classify.py."""
    results = evaluation.results
    table, note = main_table(make_report(results, seed=evaluation.seed)).split("\n\n", 1)
    (lines,) = read_tables(table)
    documents = results.documents
    note = (
        f"{len(results.labels):,} classes; {documents['train']:,} training, {documents['validation']:,} validation and "
        f"{documents['test']:,} test documents. {note}"
    )
    caption = f"{evaluation.task}: {evaluation.group.replace('_', ' ')}"
    return PrintedTable(f"classify-{_name(evaluation)}", caption, lines, note)


def gains_table(evaluation: Evaluation) -> PrintedTable | None:
    """Return what each adaptation adds to the base that is used in the same way; None where nothing can be compared."""
    gains = gains_over_base(evaluation)
    if not gains:
        return None
    names = system_names(systems_of(evaluation.results.cells))
    sizes = [size for size in shots_of(evaluation.rows) if any(one.shots == size for one in gains)]
    lines = [["Gain over base", *map(shots_name, sizes)]]
    for system in dict.fromkeys(one.system for one in gains):
        found = {one.shots: one for one in gains if one.system == system}
        lines.append([names[system], *(difference_cell(found.get(size)) for size in sizes)])
    resamples = evaluation.rows[0].scores.resampled.shape[1]
    note = (
        "Difference of macro-F1 to the base model that is read and classified in the same way [95 % interval]; "
        f"{ABOVE} {BELOW} p at most 0.05 after Holm's correction for {len(gains):,} comparisons (paired bootstrap, "
        f"{resamples:,} resamples): an interval that misses zero alone earns no mark."
    )
    caption = f"{evaluation.task}: what adaptation adds, {evaluation.group.replace('_', ' ')}"
    return PrintedTable(f"gains-{_name(evaluation)}", caption, lines, note)


def spaces_table(corpus: str, space: SpaceResults) -> PrintedTable:
    """Return the chief measures of the embedding spaces of a corpus; the page of the spaces has all of them."""
    tables = read_tables(space_table(space, CHIEF_MEASURES))
    lines = [line for number, table in enumerate(tables) for line in table[bool(number) :]]
    lines = [line for line in lines if any(line[1:])]
    return PrintedTable(
        f"space-{corpus}-{space.label_column}",
        f"{corpus}, {space.label_column}: embedding space",
        lines,
        verdict_rule(space),
    )


def file_table(name: str, caption: str, file: Path) -> PrintedTable | None:
    """Return the first table of a report in Markdown; None where the file is not there or has none."""
    tables = read_tables(file.read_text(encoding="utf-8")) if file.is_file() else []
    return PrintedTable(name, caption, tables[0]) if tables else None


def _name(evaluation: Evaluation) -> str:
    return f"{evaluation.corpus}-{evaluation.label}-{evaluation.group}"


def _audit(audit: Mapping[str, Any] | None) -> str:
    if audit is None:
        return MISSING
    counts = [_count(audit["documents"][side]["documents"]) for side in ("members", "nonmembers")]
    return f"{audit['verdict']} ({' + '.join(counts)} documents)"


def _count(number: int | None) -> str:
    return MISSING if number is None else f"{number:,}"

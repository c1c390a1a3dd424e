"""What a card shows of the results of `tag.py train`.

Scores and intervals are computed from the counts of each document as `reporting.tagging_rows` does, from the same
draws, so that a card and `table.md` show the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpora.errors import InputError
from metrics.entity_intervals import resample_documents, resample_entity_scores
from metrics.entity_scores import COUNTS
from metrics.intervals import percentile_interval
from metrics.tagging_scores import TaggingCounts
from model_cards.markdown import short_name
from model_cards.result_arrays import AGAIN, read_array, resamples_of

STRICT = ("f1_micro", "f1_macro", "precision_micro", "recall_micro")
RELAXED = ("exact_f1", "partial_f1", "ent_type_f1")
TOKEN_LEVEL = ("token_level_f1_macro", "token_level_f1_weighted")
_PARTS = ("strict", "matching", "errors", "confusion")


def read_tagging(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what a card shows of taggers; it can be stored as JSON.

    Args:
        content: Of `results.json`.
        folder: Where it lies.

    Returns:
        `kind`, `label` (name of the corpus), `split` (that was scored), `documents` and `entities` (their numbers
        there), `models` (names of the systems), `types` (gold entities by type) and `rows`, by system and share of the
        training sentences: `model`, `share`, `seeds` and `collapsed` (seed to what its run predicts; in no score),
        `scores` (strict and relaxed ones) and `types` (strict F1 of each), each with `mean`, `low` and `high`, and
        `token_level`. Rows of runs that all collapsed have no scores.

    Raises:
        InputError: A file is missing, or the cells are of different documents.
        LookupError, TypeError, ValueError: A field or an array is missing or of another kind.
    """
    labels = tuple(content["labels"])
    groups: dict[tuple[str, float], list[tuple[dict[str, Any], TaggingCounts]]] = {}
    for cell in content["cells"]:
        counts = _counts(folder, cell["counts"])
        if counts.labels != labels:
            raise InputError("the types are not those of results.json", file=folder / cell["counts"], remedy=AGAIN)
        groups.setdefault((str(cell["system"]), float(cell["share"])), []).append((cell, counts))
    every = [counts for cells in groups.values() for _, counts in cells]
    gold = every[0].strict[..., COUNTS.index("gold")]
    for counts in every:
        same = counts.document_ids == every[0].document_ids
        if not same or not np.array_equal(counts.strict[..., COUNTS.index("gold")], gold):
            raise InputError("the cells are scored on different documents", file=folder / "results.json", remedy=AGAIN)
    draws = resample_documents(len(gold), resamples_of(folder))
    models = list(dict.fromkeys(system for system, _ in groups))
    ordered = sorted(groups, key=lambda key: (models.index(key[0]), key[1]))
    return {
        "kind": "tagging",
        "label": short_name(content["corpus"]),
        "split": short_name(content["split"]),
        "documents": len(gold),
        "entities": int(gold.sum()),
        "models": models,
        "types": {label: int(count) for label, count in zip(labels, gold.sum(0), strict=True)},
        "rows": [_row(system, share, groups[system, share], labels, draws) for system, share in ordered],
    }


def _row(
    system: str,
    share: float,
    cells: Sequence[tuple[dict[str, Any], TaggingCounts]],
    labels: Sequence[str],
    draws: np.ndarray,
) -> dict[str, Any]:
    cells = sorted(cells, key=lambda pair: pair[0]["seed"])
    kept = [(cell, counts) for cell, counts in cells if cell["collapse"] is None]
    row: dict[str, Any] = {
        "model": system,
        "share": share,
        "seeds": [int(cell["seed"]) for cell, _ in kept],
        "collapsed": {str(cell["seed"]): cell["collapse"] for cell, _ in cells if cell["collapse"] is not None},
        "scores": {},
        "types": {},
        "token_level": {},
    }
    if kept:
        found = resample_entity_scores([counts for _, counts in kept], draws)

        def measured(name: str) -> dict[str, float]:
            low, high = percentile_interval(found[name])
            return {"mean": found[name].mean, "low": low, "high": high}

        row["scores"] = {name: measured(name) for name in (*STRICT, *RELAXED)}
        row["types"] = {label: measured(f"f1_of_{label}") for label in labels}
        row["token_level"] = {
            name: float(np.mean([cell["metrics"][name] for cell, _ in kept]))
            for name in TOKEN_LEVEL
            if all(name in cell["metrics"] for cell, _ in kept)
        }
    return row


def _counts(folder: Path, name: str) -> TaggingCounts:
    ids, labels = (tuple(read_array(folder, name, key).tolist()) for key in ("document_ids", "labels"))
    return TaggingCounts(ids, labels, **{part: read_array(folder, name, part) for part in _PARTS})

"""What a card shows of the results of classify.py and analyse_embeddings.py; those of tag.py: `tagging_facts`.

Only `results.json` and the predictions beside it are read; intervals are computed as `reporting.result_rows` does, from
the same draws, so that a card and a report show the same numbers.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpora.errors import InputError
from corpora.json_files import read_fields
from metrics.classification import predicted_categories
from metrics.intervals import percentile_interval, resample_scores, resample_within_classes
from metrics.measures import MEASURES
from model_cards.markdown import short_name
from model_cards.result_arrays import AGAIN, read_array, resamples_of
from model_cards.tagging_facts import read_tagging

SCRIPTS = "classify.py, analyse_embeddings.py or tag.py train"
METRIC = "f1_macro"
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error)
METHODS = {
    "tfidf": "TF-IDF",
    "majority": "majority class",
    "hybrid": "hybrid with TF-IDF",
    "bagged_tfidf": "TF-IDF in balanced bags",
    "bagged_regression": "logistic regression in balanced bags",
    "bagged_hybrid": "hybrid with TF-IDF in balanced bags",
    "knn": "k-nearest neighbours",
    "fine_tuned": "fine-tuned",
    "mlp": "MLP head",
    "lora": "LoRA",
    "dora": "DoRA",
    "ia3": "IA3",
    "ln_tuning": "layer-norm tuning",
}
SHOWN_MEASURES = (
    "uniformity",
    "alignment",
    "category_alignment",
    "mean_cosine",
    "cosine_effect_size",
    "isoscore",
    "effective_rank",
    "hubness",
    "silhouette",
    "kmeans_v_measure",
    "knn_purity",
    "retrieval_map",
    "graph_percolation_threshold",
    "graph_category_modularity",
)


def read_results(folder: str | Path) -> dict[str, Any]:
    """Return what a card shows of a folder of results; it can be stored as JSON.

    Returns:
        `kind` ("classification", "embedding_space" or "tagging"), `label`, `documents`, `models` (names of encoders or
        taggers) and either `rows` and `shots`, or `measures`, or what `tagging_facts.read_tagging` adds.

    Raises:
        InputError: The folder holds no results of these scripts, or they are damaged.
    """
    folder = Path(folder)
    file = folder / "results.json"
    if not file.is_file():
        raise InputError("holds no results.json", file=folder, remedy=f"give an output folder of {SCRIPTS}")
    content = read_fields(file, AGAIN)
    readers = {"classification": _read_classification, "embedding_space": _read_space, "tagging": read_tagging}
    if content.get("kind") not in readers or content.get("schema_version") != 1:
        raise InputError(f"is not of {SCRIPTS}, or of another version of them", file=file, remedy=AGAIN)
    try:
        return readers[content["kind"]](content, folder)
    except (LookupError, TypeError, ValueError, AttributeError, *_DAMAGED) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot be used ({type(error).__name__})", file=file, remedy=AGAIN) from error


def own_name(results: Sequence[dict[str, Any]], given: str | None) -> str | None:
    """Return what the card's model is called in the results; None where there are none.

    Args:
        results: From `read_results`.
        given: What the user said.

    Raises:
        InputError: The user's name is not there; or none was given and there are several.
    """
    names = list(dict.fromkeys(name for result in results for name in result["models"]))
    if given is not None and names and given not in names:
        raise InputError(f"the results know no model '{given}'", remedy=f"name one of: {', '.join(names)}")
    if given is None and len(names) > 1:
        raise InputError(
            "the results are of several models", remedy=f"say with --result_name which this one is: {', '.join(names)}"
        )
    return given or next(iter(names), None)


def shots_name(shots: int | None) -> str:
    """Return how a number of labelled documents a class is called."""
    return "all labels" if shots is None else f"{shots} labels a class"


def _read_classification(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    multi_label = content["task"] == "multi_label"
    targets = read_array(folder, "test_targets.npz", "targets")
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for cell in content["cells"]:
        system = (cell["model"], cell["method"], cell.get("reading"), cell.get("frozen"))
        groups.setdefault(system, []).append(cell)
    shots = _shown_shots({cell["shots"] for cell in content["cells"]})
    readings = {system[2] for system in groups if system[2] is not None}
    counts = resample_within_classes(targets, resamples_of(folder), 0)
    rows = []
    for system, cells in groups.items():
        scores = {}
        for wanted in shots:
            chosen = sorted((cell for cell in cells if cell["shots"] == wanted), key=lambda cell: cell["seed"])
            if chosen:
                predictions = [
                    predicted_categories(
                        read_array(folder, cell["predictions"], "probabilities"), multi_label=multi_label
                    )
                    for cell in chosen
                ]
                found = resample_scores(predictions, targets, counts, METRIC)
                low, high = percentile_interval(found, 0)
                accuracy = [cell["metrics"]["accuracy"] for cell in chosen if "accuracy" in cell["metrics"]]
                scores[str(wanted)] = {
                    "mean": float(found.mean),
                    "low": float(low),
                    "high": float(high),
                    "seeds": len(chosen),
                    "accuracy": float(np.mean(accuracy)) if accuracy else None,
                }
        rows.append({"system": _system_name(system, len(readings) > 1), "model": system[0], "scores": scores})
    return {
        "kind": "classification",
        "label": short_name(content["label_column"]),
        "documents": {name: int(content["documents"][name]) for name in ("train", "validation", "test")},
        "classes": len(content["labels"]),
        "models": list(dict.fromkeys(row["model"] for row in rows if row["model"] is not None)),
        "shots": shots,
        "rows": rows,
    }


def _read_space(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    return space_result(content["models"], int(content["documents"]), content["label_column"])


def space_result(models: Sequence[dict[str, Any]], documents: int, label: str | None) -> dict[str, Any]:
    """Return what a card shows of embedding spaces.

    Args:
        models: `name` and `measures` of each, as analyse_embeddings.py writes them.
        documents: How many were measured.
        label: What their categories are; None without categories.
    """
    measures = {}
    for name in SHOWN_MEASURES:
        values = [model["measures"].get(name) for model in models]
        if name in MEASURES and any(_is_finite(value) for value in values):
            measures[name] = [
                {key: value.get(key) for key in ("value", "low", "high")} if _is_finite(value) else None
                for value in values
            ]
    return {
        "kind": "embedding_space",
        "label": None if label is None else short_name(label),
        "documents": documents,
        "models": [model["name"] for model in models],
        "measures": measures,
    }


def _is_finite(value: dict[str, Any] | None) -> bool:
    return value is not None and value["value"] is not None and math.isfinite(value["value"])


def _shown_shots(found: set[int | None]) -> list[int | None]:
    """Return at most four numbers of labels, from few to all."""
    known = sorted(found, key=lambda shots: math.inf if shots is None else shots)
    places = np.unique(np.linspace(0, len(known) - 1, 4).round().astype(int)) if len(known) > 4 else range(len(known))
    return [known[place] for place in places]


def _system_name(system: tuple[Any, ...], with_reading: bool) -> str:
    model, method, reading, frozen = system
    parts = [model, METHODS.get(method, method.replace("_", " "))]
    parts += [reading.replace("_", " and ")] if with_reading and reading else []
    if model is not None and frozen not in (None, "all", "none"):
        layers = f"layer{'' if frozen == '1' else 's'} frozen"
        parts.append(f"{frozen} {layers}" if frozen.isdecimal() else f"{frozen} frozen")
    elif frozen == "all" and method == "fine_tuned":
        parts.append("frozen")
    return ", ".join(short_name(part) for part in parts if part)

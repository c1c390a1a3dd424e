"""Results of `scripts/classify.py`: reading a folder, checking it whole, joining several.

A folder holds (schema version 1):

- `results.json`: `schema_version`, `kind` ("classification"), `label_column`, `task` (one of `TASKS`), `labels` (names
  of the classes), `documents` (numbers of `train`, `validation` and `test` documents), `corpus_digest`, and `cells`, a
  list of objects with the fields of `Cell` and `System`, in which `predictions` is a path within the folder.
- `test_targets.npz`: `targets`, `(documents,)` numbers of classes or `(documents, classes)` of 0 and 1, and
  `document_ids`, `(documents,)`.
- `settings.json`: options of classify.py, of which `window_length` is told beside the tables.
- `cells/ID.npz`: `probabilities`, `(test documents, classes)`, in the order of the targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpora.errors import InputError
from corpora.json_files import read_json
from metrics.classification import predicted_categories
from reporting.json_fields import JsonFields
from reporting.result_arrays import path_within, read_arrays
from reporting.results_file import read_results_file

SCHEMA_VERSION = 1
TASKS = ("single_label", "multi_label", "ordinal")
AGAIN = "run classify.py again"


@dataclass(frozen=True)
class System:
    """What is compared.

    Args:
        model: Name of the encoder; None where there is none.
        method: How it classifies: `logistic_regression`, `fine_tuned`, `tfidf`, ...
        reading: How a long document is read: `windows`, `head`, `head_tail`, `attention`; None where all of it is.
        frozen: What of the encoder is not trained: `all`, `none`, `embeddings`, or the number of frozen layers.
    """

    model: str | None
    method: str
    reading: str | None = None
    frozen: str | None = None


@dataclass(frozen=True, eq=False)
class Cell:
    """One training and its test.

    Args:
        id: Unique in its folder.
        system: What was trained.
        shots: Labelled documents a class; None for all.
        seed: Of the training sample and the training.
        trained_parameters: Number of them; None where that says nothing.
        seconds: Time it took.
        metrics: Scores on the test documents.
        predictions: `(documents,)` numbers of classes, or `(documents, classes)` of truth values.
        corpus_digest: Of the corpus that it was trained on.
        folder: Where it was read from.
    """

    id: str
    system: System
    shots: int | None
    seed: int
    trained_parameters: int | None
    seconds: float
    metrics: Mapping[str, float]
    predictions: np.ndarray
    corpus_digest: str
    folder: Path


@dataclass(frozen=True, eq=False)
class ClassificationResults:
    """Cells of one label, scored on the same test documents.

    Args:
        folder: The first folder they come from.
        label_column: What is predicted.
        task: One of `TASKS`.
        labels: Names of the classes, by number.
        documents: Numbers of training, validation and test documents.
        targets: `(test documents,)` numbers of classes, or `(test documents, classes)` of 0 and 1.
        document_ids: `(test documents,)`.
        cells: The cells.
        window_length: Tokens of a window; None for the limits of the models, and where folders differ.
    """

    folder: Path
    label_column: str
    task: str
    labels: tuple[str, ...]
    documents: Mapping[str, int]
    targets: np.ndarray
    document_ids: np.ndarray
    cells: tuple[Cell, ...]
    window_length: int | None = None


def load_results(folder: str | Path) -> ClassificationResults:
    """Read a folder that `scripts/classify.py` wrote.

    Raises:
        InputError: It is not such a folder, or a file of it is missing or damaged.
    """
    folder = Path(folder)
    fields = read_results_file(folder, "classification", "a classification", SCHEMA_VERSION, "classify.py")
    file = fields.file
    task = fields.one_of("task", TASKS)
    labels = tuple(fields.texts("labels"))
    digest = fields.text("corpus_digest")
    documents = fields.counts("documents", ("train", "validation", "test"))
    targets, document_ids = _read_targets(folder / "test_targets.npz", task, len(labels), documents["test"])
    shape = (len(targets), len(labels))
    cells = [
        _read_cell(JsonFields(values, file, f"cell {number + 1}", remedy=AGAIN), shape, task, digest, folder)
        for number, values in enumerate(fields.dictionaries("cells"))
    ]
    for name, keys in (
        ("id", [cell.id for cell in cells]),
        ("system, shots and seed", [(cell.system, cell.shots, cell.seed) for cell in cells]),
    ):
        if len(set(keys)) < len(keys):
            raise InputError(f"two cells have the same {name}", file=file, remedy=AGAIN)
    length = (read_json(folder / "settings.json") or {}).get("window_length")
    return ClassificationResults(
        folder, fields.text("label_column"), task, labels, documents, targets, document_ids, tuple(cells), length
    )


def join_results(results: Sequence[ClassificationResults]) -> ClassificationResults:
    """Put the cells of several folders side by side; a cell that lies in several, as baselines do, is taken once.

    Raises:
        InputError: The folders differ in their label, classes or test documents, or in the predictions of a cell that
            bears the same names.
    """
    first = results[0]
    found: dict[tuple[Any, ...], Cell] = {}
    for other in results:
        difference = _difference(first, other)
        if difference:
            raise InputError(
                f"{difference} from {first.folder}",
                file=other.folder,
                remedy="compare results of one label on the same test documents",
            )
        for cell in other.cells:
            key = (cell.system, cell.shots, cell.seed)
            known = found.setdefault(key, cell)
            if not np.array_equal(known.predictions, cell.predictions):
                same_corpus = known.corpus_digest == cell.corpus_digest
                raise InputError(
                    f"cell '{cell.id}' predicts otherwise than the cell of the same model, method, shots and seed in "
                    f"{known.folder}",
                    file=other.folder,
                    remedy="give different models different names" if same_corpus else "run both on the same corpus",
                )
    lengths = {one.window_length for one in results}
    return replace(first, cells=tuple(found.values()), window_length=lengths.pop() if len(lengths) == 1 else None)


def _difference(first: ClassificationResults, other: ClassificationResults) -> str | None:
    for name, word in (("label_column", "label column"), ("task", "task"), ("labels", "classes")):
        if getattr(first, name) != getattr(other, name):
            return f"the {word} differ{'' if name == 'labels' else 's'}"
    if not np.array_equal(first.document_ids, other.document_ids):
        ours, theirs = set(first.document_ids.tolist()), set(other.document_ids.tolist())
        if ours == theirs:
            return "the order of the test documents differs"
        return f"the test documents differ ({len(ours - theirs):,} are missing, {len(theirs - ours):,} are new)"
    if not np.array_equal(first.targets, other.targets):
        changed = first.targets != other.targets
        number = int(changed.sum() if changed.ndim == 1 else changed.any(1).sum())
        return f"the labels of {number:,} test documents differ"
    return None


def _read_cell(fields: JsonFields, shape: tuple[int, int], task: str, digest: str, folder: Path) -> Cell:
    name = fields.text("id")
    fields = JsonFields(fields.values, fields.file, f"cell '{name}'", remedy=AGAIN)
    file = path_within(folder, fields, "predictions")
    probabilities = read_arrays(file, ("probabilities",), AGAIN)["probabilities"]
    if probabilities.shape != shape:
        raise InputError(f"holds probabilities of shape {probabilities.shape}, not {shape}", file=file, remedy=AGAIN)
    if not np.issubdtype(probabilities.dtype, np.floating) or not (
        np.isfinite(probabilities).all() and probabilities.min() >= -1e-4 and probabilities.max() <= 1 + 1e-4
    ):
        raise InputError("holds numbers that are not probabilities", file=file, remedy=AGAIN)
    # Classes and truth values take a small part of the memory of probabilities, and a sweep has thousands of cells.
    predictions = predicted_categories(probabilities, multi_label=task == "multi_label")
    return Cell(
        id=name,
        system=System(
            fields.text("model", optional=True),
            fields.text("method"),
            fields.text("reading", optional=True),
            fields.text("frozen", optional=True),
        ),
        shots=fields.count("shots", least=1, optional=True),
        seed=fields.count("seed"),
        trained_parameters=fields.count("trained_parameters", optional=True),
        seconds=fields.number("seconds"),
        metrics=fields.numbers("metrics"),
        predictions=predictions if predictions.dtype == bool else predictions.astype(np.int32),
        corpus_digest=digest,
        folder=folder,
    )


def _read_targets(file: Path, task: str, classes: int, documents: int) -> tuple[np.ndarray, np.ndarray]:
    targets, document_ids = read_arrays(file, ("targets", "document_ids"), AGAIN).values()
    multi_label = task == "multi_label"
    shape = (documents, classes) if multi_label else (documents,)
    if targets.shape != shape or document_ids.shape != (documents,):
        raise InputError(
            f"holds targets of shape {targets.shape} and {len(document_ids):,} document ids, not {shape}",
            file=file,
            remedy=AGAIN,
        )
    if not (np.issubdtype(targets.dtype, np.integer) or targets.dtype == bool):
        raise InputError("holds targets that are not whole numbers", file=file, remedy=AGAIN)
    if targets.min() < 0 or targets.max() >= (2 if multi_label else classes):
        raise InputError("holds targets that are no classes", file=file, remedy=AGAIN)
    if len(np.unique(document_ids)) < documents:
        raise InputError("holds a document id twice", file=file, remedy=AGAIN)
    return targets.astype(np.int64), document_ids

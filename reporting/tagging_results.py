"""Results of `scripts/tag.py`: reading a folder, checking it whole, joining several.

A folder holds (schema version 1):

- `results.json`: `schema_version`, `kind` ("tagging"), `corpus` (its name), `corpus_digest`, `split` (the one that is
  scored), `labels` (types of entities, in the order of all arrays) and `cells`, a list of objects with the fields
    - `id`: unique in the folder;
    - `system`: name of what was trained, `bert_crf`;
    - `share`: per cent of the training sentences that it was given, above 0 and at most 100;
    - `seed`: of the choice of sentences and of the training;
    - `collapse`: what `metrics.collapse.collapse` says of the predicted tags, null for a run that did not collapse;
    - `training_sentences`: how many it was trained on, after down-sampling;
    - `trained_parameters`: their number, null where that says nothing;
    - `seconds`: time of the training;
    - `metrics`: of `metrics.tagging_scores.score_documents`. The report takes the token-level scores from here, and
      computes all others from the counts;
    - `counts`: path of the counts within the folder.
- `cells/ID.npz`, written by `write_cell_counts`: the arrays of `metrics.tagging_scores.TaggingCounts`, `document_ids`
  and `labels` among them. Scores, intervals and paired tests follow from these.

No file holds a word of a document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpora.errors import InputError
from metrics.entity_errors import ERROR_CLASSES
from metrics.entity_matching import OUTCOMES, SCHEMAS
from metrics.entity_scores import COUNTS
from metrics.tagging_scores import TaggingCounts
from reporting.json_fields import JsonFields
from reporting.result_arrays import path_within, read_arrays
from reporting.results_file import read_results_file

SCHEMA_VERSION = 1
AGAIN = "run tag.py again"
_ARRAYS = ("document_ids", "labels", "strict", "matching", "errors", "confusion")


@dataclass(frozen=True, eq=False)
class TaggingCell:
    """One training and its scores; see the module for the fields that are not told here.

    Args:
        id: Unique in its folder.
        system: Name of what was trained.
        share: Per cent of the training sentences.
        seed: Of the run.
        collapse: How it collapsed, if it did.
        training_sentences: Number of them.
        trained_parameters: Number of them.
        seconds: Time of the training.
        metrics: Scores.
        counts: What the scores follow from.
        corpus_digest: Of the corpus that it was trained on.
        folder: Where it was read from.
    """

    id: str
    system: str
    share: float
    seed: int
    collapse: str | None
    training_sentences: int
    trained_parameters: int | None
    seconds: float
    metrics: Mapping[str, float]
    counts: TaggingCounts
    corpus_digest: str
    folder: Path


@dataclass(frozen=True, eq=False)
class TaggingResults:
    """Cells of one corpus, scored on the same documents.

    Args:
        folder: The first folder they come from.
        corpus: Its name.
        split: The split that is scored.
        labels: Types of entities.
        document_ids: Of the scored documents.
        cells: The cells.
    """

    folder: Path
    corpus: str
    split: str
    labels: tuple[str, ...]
    document_ids: tuple[str, ...]
    cells: tuple[TaggingCell, ...]

    @property
    def gold(self) -> np.ndarray:
        """`(documents, types)` gold entities."""
        return self.cells[0].counts.strict[..., COUNTS.index("gold")]


def write_cell_counts(file: Path, counts: TaggingCounts) -> None:
    """Write the counts of a cell, whole or not at all; the same counts give the same bytes.

    Args:
        file: A `.npz` file.
        counts: On the scored split, with the labels of `results.json`.
    """
    arrays = {name: np.asarray(getattr(counts, name)) for name in _ARRAYS}
    for name in ("document_ids", "labels"):
        arrays[name] = arrays[name].astype(np.str_)
    partial = file.with_name(file.name + ".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)
    partial.replace(file)


def read_cell_counts(file: Path) -> TaggingCounts:
    """Read the counts of a cell.

    Raises:
        InputError: There is no such file, or it does not hold the counts of a tagger.
    """
    found = read_arrays(file, _ARRAYS, AGAIN)
    documents, types = len(np.atleast_1d(found["document_ids"])), len(np.atleast_1d(found["labels"]))
    shapes = {
        "document_ids": (documents,),
        "labels": (types,),
        "strict": (documents, types, len(COUNTS)),
        "matching": (documents, len(SCHEMAS), len(OUTCOMES)),
        "errors": (types, len(ERROR_CLASSES)),
        "confusion": (types + 1, types + 1),
    }
    for name, shape in shapes.items():
        array = found[name]
        kind = np.str_ if name in ("document_ids", "labels") else np.integer
        if array.shape != shape or not np.issubdtype(array.dtype, kind):
            what = f"of shape {array.shape}, not {shape}" if array.shape != shape else f"of type {array.dtype}"
            raise InputError(f"holds '{name}' {what}", file=file, remedy=AGAIN)
        if kind is np.integer and array.size and array.min() < 0:
            raise InputError(f"holds a negative number in '{name}'", file=file, remedy=AGAIN)
        if kind is np.str_ and len(np.unique(array)) < len(array):
            raise InputError(f"holds the same name twice in '{name}'", file=file, remedy=AGAIN)
    hits, said, true = np.moveaxis(found["strict"], -1, 0)
    if (hits > np.minimum(said, true)).any():
        raise InputError("holds more true positives than entities", file=file, remedy=AGAIN)
    names = {name: tuple(found.pop(name).tolist()) for name in ("document_ids", "labels")}
    return TaggingCounts(**names, **{name: found[name].astype(np.int64) for name in _ARRAYS[2:]})


def load_tagging_results(folder: str | Path) -> TaggingResults:
    """Read a folder that `scripts/tag.py` wrote.

    Raises:
        InputError: It is not such a folder, or a file of it is missing or damaged.
    """
    folder = Path(folder)
    fields = read_results_file(folder, "tagging", "a tagging study", SCHEMA_VERSION, "tag.py")
    file = fields.file
    labels, digest = tuple(fields.texts("labels")), fields.text("corpus_digest")
    cells = [
        _read_cell(JsonFields(values, file, f"cell {number + 1}", remedy=AGAIN), labels, digest, folder)
        for number, values in enumerate(fields.dictionaries("cells"))
    ]
    for name, keys in (
        ("id", [cell.id for cell in cells]),
        ("system, share and seed", [_key(cell) for cell in cells]),
    ):
        if len(set(keys)) < len(keys):
            raise InputError(f"two cells have the same {name}", file=file, remedy=AGAIN)
    ids = cells[0].counts.document_ids
    results = TaggingResults(folder, fields.text("corpus"), fields.text("split"), labels, ids, tuple(cells))
    for cell in cells:
        difference = _other_documents(results, cell.counts)
        if difference:
            raise InputError(f"cell '{cell.id}': {difference}", file=file, remedy=AGAIN)
    return results


def join_tagging_results(results: Sequence[TaggingResults]) -> TaggingResults:
    """Put the cells of several folders side by side; a cell that lies in several is taken once.

    Raises:
        InputError: The folders differ in their corpus, split, types or documents, or in the counts of a cell of the
            same system, share and seed.
    """
    first = results[0]
    found: dict[tuple[Any, ...], TaggingCell] = {}
    for other in results:
        difference = _difference(first, other)
        if difference:
            raise InputError(
                f"{difference} from {first.folder}",
                file=other.folder,
                remedy="compare results on the same documents of one corpus",
            )
        for cell in other.cells:
            known = found.setdefault(_key(cell), cell)
            if not np.array_equal(known.counts.strict, cell.counts.strict):
                raise InputError(
                    f"cell '{cell.id}' has other counts than the cell of the same system, share and seed in "
                    f"{known.folder}",
                    file=other.folder,
                    remedy="give different systems different names",
                )
    return replace(first, cells=tuple(found.values()))


def _key(cell: TaggingCell) -> tuple[str, float, int]:
    return cell.system, cell.share, cell.seed


def _difference(first: TaggingResults, other: TaggingResults) -> str | None:
    for name, words in (
        ("corpus", "the corpus differs"),
        ("split", "the split differs"),
        ("labels", "the types differ"),
    ):
        if getattr(first, name) != getattr(other, name):
            return words
    return _other_documents(first, other.cells[0].counts)


def _other_documents(results: TaggingResults, counts: TaggingCounts) -> str | None:
    if counts.document_ids != results.document_ids:
        ours, theirs = set(results.document_ids), set(counts.document_ids)
        if ours == theirs:
            return "the order of the scored documents differs"
        return f"the scored documents differ ({len(ours - theirs):,} are missing, {len(theirs - ours):,} are new)"
    changed = (counts.strict[..., COUNTS.index("gold")] != results.gold).any(1).sum()
    return f"the gold entities of {changed:,} documents differ" if changed else None


def _read_cell(fields: JsonFields, labels: tuple[str, ...], digest: str, folder: Path) -> TaggingCell:
    name = fields.text("id")
    fields = JsonFields(fields.values, fields.file, f"cell '{name}'", remedy=AGAIN)
    file = path_within(folder, fields, "counts")
    share = fields.number("share")
    if not 0 < share <= 100:
        raise InputError(f"{fields.place}: 'share' is not above 0 and at most 100", file=fields.file, remedy=AGAIN)
    counts = read_cell_counts(file)
    if counts.labels != labels:
        raise InputError("the types are not those of results.json", file=file, remedy=AGAIN)
    return TaggingCell(
        id=name,
        system=fields.text("system"),
        share=share,
        seed=fields.count("seed"),
        collapse=fields.text("collapse", optional=True),
        training_sentences=fields.count("training_sentences"),
        trained_parameters=fields.count("trained_parameters", optional=True),
        seconds=fields.number("seconds"),
        metrics=fields.numbers("metrics"),
        counts=counts,
        corpus_digest=digest,
        folder=folder,
    )

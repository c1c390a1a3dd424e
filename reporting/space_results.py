"""Results of `scripts/analyse_embeddings.py`: reading a folder and checking it whole.

A folder holds (schema version 1):

- `results.json`: `schema_version`, `kind` ("embedding_space"), `documents`, `without_category`, `label_column`,
  `categories` with their `category_counts`, `reference` (name of a model), `settings`, `models` (each with the fields
  of `ModelSpace`) and `cka`, `(models, models)`. Null stands for what is undefined or was not asked for.
- `coordinates/NAME.parquet` for each model: `document_id`, `category`, `split`, `pca_x`, `pca_y`, `tsne_x`, `tsne_y`,
  the same documents in the same order for all. No text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from corpora.errors import InputError
from metrics.measured import Measured
from metrics.measures import MEASURES
from reporting.json_fields import JsonFields
from reporting.results_file import read_results_file

SCHEMA_VERSION = 1
SWEEP_KINDS = ("threshold", "knn", "mutual_knn", "density")
AGAIN = "run analyse_embeddings.py again"


@dataclass(frozen=True, eq=False)
class Cosines:
    """How often pairs of documents have which cosine.

    Args:
        edges: `(bins + 1,)`.
        within: `(bins,)` numbers of pairs of one category.
        between: `(bins,)` numbers of pairs of different categories.
    """

    edges: np.ndarray
    within: np.ndarray
    between: np.ndarray


@dataclass(frozen=True, eq=False)
class Sweep:
    """Measures of the similarity graphs of one kind, from one setting to the next.

    Args:
        values: `(settings,)` thresholds, numbers of neighbours or densities.
        measures: `(settings,)` each; nan where undefined or left out.
    """

    values: np.ndarray
    measures: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Percolation:
    """How documents come to hang together as the threshold falls.

    Args:
        threshold: Highest cosine at which half of the documents hang together; nan where there is none.
        thresholds: `(points,)` cosines.
        giant_share: `(points,)` shares of the documents in the largest component at each.
    """

    threshold: float
    thresholds: np.ndarray
    giant_share: np.ndarray


@dataclass(frozen=True, eq=False)
class Drawing:
    """A similarity graph of some documents, laid out.

    Args:
        kind: One of `SWEEP_KINDS`.
        documents: `(nodes,)` numbers of documents, rows of the coordinates.
        x: `(nodes,)`.
        y: `(nodes,)`.
        edges: `(edges, 2)` numbers of nodes.
    """

    kind: str
    documents: np.ndarray
    x: np.ndarray
    y: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True, eq=False)
class ModelSpace:
    """The embedding space of one model.

    Args:
        name: Of the model.
        hidden: Dimensions.
        zero_vectors: Documents whose embedding has no direction.
        measures: By name, see `metrics.measures.MEASURES`.
        cosines: None where there are no categories.
        category_cosine: `(categories, categories)` mean cosines, nan where there is no pair; None without categories.
        sweeps: By kind, see `SWEEP_KINDS`.
        percolation: None where it was not asked for.
        drawing: None where it was not asked for.
        seconds: Time by task.
        maps: `pca` and `tsne`, `(documents, 2)` each; nan where a document was left out.
    """

    name: str
    hidden: int
    zero_vectors: int
    measures: Mapping[str, Measured]
    cosines: Cosines | None
    category_cosine: np.ndarray | None
    sweeps: Mapping[str, Sweep]
    percolation: Percolation | None
    drawing: Drawing | None
    seconds: Mapping[str, float]
    maps: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class SpaceResults:
    """The embedding spaces of some models on the same documents.

    Args:
        folder: Where they were read from.
        notespace_version: That made them.
        documents: Number of them.
        without_category: Documents that measures of categories leave out.
        label_column: Whose values the categories are; None without.
        categories: Names.
        category_counts: `(categories,)` documents.
        corpus_digest: Of the documents; None where only embeddings were given.
        reference: Name of the model that others are compared with; None without.
        settings: Of the run.
        models: In the order they were given.
        cka: `(models, models)`, or None.
        document_ids: `(documents,)`.
        document_categories: `(documents,)` numbers of categories, -1 without.
        splits: `(documents,)`.
    """

    folder: Path
    notespace_version: str
    documents: int
    without_category: int
    label_column: str | None
    categories: tuple[str, ...]
    category_counts: np.ndarray
    corpus_digest: str | None
    reference: str | None
    settings: Mapping[str, Any]
    models: tuple[ModelSpace, ...]
    cka: np.ndarray | None
    document_ids: np.ndarray
    document_categories: np.ndarray
    splits: np.ndarray

    @property
    def reference_model(self) -> ModelSpace | None:
        """The model that others are compared with; None where there is none or nothing to compare."""
        named = [model for model in self.models if model.name == self.reference]
        return named[0] if named and len(self.models) > 1 else None


def load_space_results(folder: str | Path) -> SpaceResults:
    """Read a folder that `scripts/analyse_embeddings.py` wrote.

    Raises:
        InputError: It is not such a folder, or a file of it is missing or damaged.
    """
    folder = Path(folder)
    fields = read_results_file(
        folder, "embedding_space", "an analysis of embeddings", SCHEMA_VERSION, "analyse_embeddings.py"
    )
    file = fields.file
    documents = fields.count("documents", least=1)
    categories = tuple(fields.texts("categories")) if fields.values.get("categories") else ()
    counts = fields.array("category_counts", len(categories), whole=True) if categories else np.zeros(0, np.int64)
    without = fields.count("without_category")
    if categories and counts.sum() + without != documents:
        raise InputError(f"has categories of {counts.sum() + without:,} documents, not {documents:,}", file=file)
    entries = [
        JsonFields(values, file, f"model {number + 1}", remedy=AGAIN)
        for number, values in enumerate(fields.dictionaries("models"))
    ]
    names = [entry.text("name") for entry in entries]
    if len(set(names)) < len(names):
        raise InputError("two models have the same name", file=file, remedy=AGAIN)
    reference = fields.text("reference", optional=True)
    if reference is not None and reference not in names:
        raise InputError("'reference' names none of the models", file=file, remedy=AGAIN)
    tables = [_read_coordinates(folder, name, documents, categories) for name in names]
    for name, table in zip(names, tables, strict=True):
        if not all(np.array_equal(table[key], tables[0][key]) for key in ("ids", "categories", "splits")):
            raise InputError(
                "holds other documents than that of the first model", file=_coordinates_file(folder, name), remedy=AGAIN
            )
    models = [
        _read_model(entry, documents, len(categories), {key: table[key] for key in ("pca", "tsne")})
        for entry, table in zip(entries, tables, strict=True)
    ]
    size = len(models)
    return SpaceResults(
        folder=folder,
        notespace_version=fields.text("notespace_version"),
        documents=documents,
        without_category=without,
        label_column=fields.text("label_column", optional=True),
        categories=categories,
        category_counts=counts,
        corpus_digest=fields.text("corpus_digest", optional=True),
        reference=reference,
        settings=fields.fields("settings").values,
        models=tuple(models),
        cka=None if fields.values.get("cka") is None else fields.array("cka", size, size),
        document_ids=tables[0]["ids"],
        document_categories=tables[0]["categories"],
        splits=tables[0]["splits"],
    )


def _read_model(fields: JsonFields, documents: int, categories: int, maps: Mapping[str, np.ndarray]) -> ModelSpace:
    fields = JsonFields(fields.values, fields.file, f"model '{fields.text('name')}'", remedy=AGAIN)
    sweeps = fields.fields("sweeps", optional=True)
    _check_names(sweeps, SWEEP_KINDS, "kind of graph")
    has_matrix = categories and fields.values.get("category_cosine") is not None
    return ModelSpace(
        name=fields.text("name"),
        hidden=fields.count("hidden", least=1),
        zero_vectors=fields.count("zero_vectors"),
        measures=_read_measures(fields.fields("measures")),
        cosines=_read_cosines(fields.fields("cosines", optional=True)),
        category_cosine=fields.array("category_cosine", categories, categories) if has_matrix else None,
        sweeps={kind: _read_sweep(sweeps.fields(kind)) for kind in (sweeps.values if sweeps else ())},
        percolation=_read_percolation(fields.fields("percolation", optional=True)),
        drawing=_read_drawing(fields.fields("drawing", optional=True), documents),
        seconds=fields.numbers("seconds"),
        maps=maps,
    )


def _read_measures(fields: JsonFields) -> dict[str, Measured]:
    _check_names(fields, MEASURES, "measure")
    found = {}
    for name in fields.values:
        value, low, high = (fields.fields(name).number_or_none(key) for key in ("value", "low", "high"))
        if value is None or low is None or high is None:
            low = high = None
        elif low > high:
            raise InputError(f"{fields.place}: '{name}' has its interval upside down", file=fields.file, remedy=AGAIN)
        found[name] = Measured(float("nan") if value is None else value, low, high)
    return found


def _read_cosines(fields: JsonFields | None) -> Cosines | None:
    if fields is None:
        return None
    edges = fields.array("edges", None)
    if len(edges) < 2 or not (np.diff(edges) > 0).all():  # nan fails as well
        raise InputError(f"{fields.place}: 'edges' do not rise", file=fields.file, remedy=AGAIN)
    within, between = (fields.array(name, len(edges) - 1, whole=True) for name in ("within", "between"))
    return Cosines(edges, within, between)


def _read_sweep(fields: JsonFields) -> Sweep:
    values = fields.array("values", None)
    measures = fields.fields("measures")
    _check_names(measures, MEASURES, "measure")
    return Sweep(values, {name: measures.array(name, len(values)) for name in measures.values})


def _read_percolation(fields: JsonFields | None) -> Percolation | None:
    if fields is None:
        return None
    threshold, curve = fields.number_or_none("threshold"), fields.fields("curve")
    thresholds = curve.array("thresholds", None)
    return Percolation(
        float("nan") if threshold is None else threshold, thresholds, curve.array("giant_share", len(thresholds))
    )


def _read_drawing(fields: JsonFields | None, documents: int) -> Drawing | None:
    if fields is None:
        return None
    rows = fields.array("documents", None, whole=True)
    edges = fields.array("edges", None, 2, whole=True)
    for name, numbers, limit in (("documents", rows, documents), ("edges", edges, len(rows))):
        if numbers.size and numbers.max() >= limit:
            raise InputError(
                f"{fields.place}: '{name}' names number {numbers.max():,} of {limit:,}", file=fields.file, remedy=AGAIN
            )
    x, y = (fields.array(name, len(rows)) for name in ("x", "y"))
    return Drawing(fields.one_of("kind", SWEEP_KINDS), rows, x, y, edges)


def _check_names(fields: JsonFields | None, known: Mapping[str, Any] | Sequence[str], what: str) -> None:
    for name in fields.values if fields else ():
        if name not in known:
            raise InputError(f"{fields.place}: there is no {what} '{name}'", file=fields.file, remedy=AGAIN)


def _coordinates_file(folder: Path, name: str) -> Path:
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        raise InputError(f"the model name '{name}' is no file name", file=folder / "results.json", remedy=AGAIN)
    return folder / "coordinates" / f"{name}.parquet"


def _read_coordinates(folder: Path, name: str, documents: int, categories: Sequence[str]) -> dict[str, np.ndarray]:
    """Return `ids`, `categories` (numbers, -1 without), `splits`, and `pca` and `tsne`, `(documents, 2)`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = _coordinates_file(folder, name)
    if not file.is_file():
        raise InputError("no such file", file=file, remedy=AGAIN)
    numbers = ("pca_x", "pca_y", "tsne_x", "tsne_y")
    columns = ("document_id", "category", "split", *numbers)
    try:
        present = pq.read_schema(file).names
        table = pq.read_table(file, columns=[key for key in columns if key in present])
    except (OSError, pa.ArrowException) as error:
        raise InputError("cannot be read as a table of coordinates", file=file, remedy=AGAIN) from error
    missing = [key for key in columns if key not in present]
    if missing:
        raise InputError("has no such column", file=file, column=missing[0], remedy=AGAIN)
    if len(table) != documents:
        raise InputError(f"holds {len(table):,} documents, not {documents:,}", file=file, remedy=AGAIN)
    places = {category: number for number, category in enumerate(categories)} | {None: -1}
    named = table["category"].to_pylist()
    unknown = next((row for row, category in enumerate(named) if category not in places), None)
    if unknown is not None:
        raise InputError("not one of the categories", file=file, row=unknown + 1, column="category", remedy=AGAIN)
    try:
        x = {key: table[key].cast(pa.float32()).to_numpy(zero_copy_only=False) for key in numbers}
    except pa.ArrowException as error:
        raise InputError("holds coordinates that are not numbers", file=file, remedy=AGAIN) from error
    finite = {key: np.where(np.isfinite(column), column, np.nan) for key, column in x.items()}
    return {
        "ids": np.array([str(value) for value in table["document_id"].to_pylist()], dtype=object),
        "categories": np.array([places[category] for category in named], dtype=np.int64),
        "splits": np.array(["" if value is None else str(value) for value in table["split"].to_pylist()], dtype=object),
        "pca": np.stack([finite["pca_x"], finite["pca_y"]], axis=1),
        "tsne": np.stack([finite["tsne_x"], finite["tsne_y"]], axis=1),
    }

"""The documents of an analysis: their ids, categories and splits, and where their embeddings come from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.halves import cut_into_halves
from corpora.records import ReadingOptions
from embedding_files import SUFFIXES, read_embeddings, rows_of_documents
from space_options import SpaceOptions

if TYPE_CHECKING:
    from datasets import Dataset

SPLITS = ("train", "validation", "test")
# Names become files; these stay clear of other names, of hidden files and of option marks.
_NAME = re.compile(r"[\w][\w .+-]*")


@dataclass(frozen=True)
class Source:
    """Where the embeddings of a model come from.

    Args:
        name: Of the model.
        path: Checkpoint or file.
        is_file: Embeddings of encode.py, rather than a checkpoint to encode with.
    """

    name: str
    path: str
    is_file: bool


@dataclass(frozen=True, eq=False)
class SpaceDocuments:
    """Documents to analyse.

    Args:
        ids: Of the documents.
        splits: Of the documents; empty where they come from files of embeddings alone.
        texts: Dataset of `document_id` and `text`; None where there are no texts.
        labels: Names of the categories, the largest first.
        categories: `(documents,)` places in `labels`, -1 for none; None without categories.
        found: Documents that there were before a sample was drawn.
        digest: Of ids and texts.
    """

    ids: list[str]
    splits: list[str]
    texts: Dataset | None
    labels: tuple[str, ...]
    categories: np.ndarray | None
    found: int
    digest: str | None


def read_sources(entries: Sequence[str]) -> list[Source]:
    """Tell checkpoints from files, and name them.

    Raises:
        InputError: A name stands twice or cannot name a file.
    """
    sources: list[Source] = []
    for entry in entries:
        name, equals, path = entry.partition("=")
        if not equals:
            path = entry
            name = Path(path).name.removesuffix(Path(path).suffix if Path(path).suffix in SUFFIXES else "")
        if not path or not _NAME.fullmatch(name):
            raise InputError(
                f"'{entry}' does not give a name of letters, digits and - . + _", remedy="write it as NAME=PATH"
            )
        if name in (source.name for source in sources):
            raise InputError(f"two of the spaces are named '{name}'", remedy="write them as NAME=PATH")
        sources.append(Source(name, path, Path(path).suffix in SUFFIXES))
    return sources


def read_documents(options: SpaceOptions, reading: ReadingOptions, sources: Sequence[Source]) -> SpaceDocuments:
    """Read the documents, or the ids of the first file where there is no data.

    Raises:
        InputError: Data are needed and missing, or a column or a split is.
    """
    if not options.data:
        for needed, why in ((options.label_column, "--label_column"), (options.split, "--split")):
            if needed:
                raise InputError(f"{why} needs --data", remedy="give the notes")
        if missing := [source.name for source in sources if not source.is_file]:
            raise InputError(f"'{missing[0]}' is a checkpoint and needs documents", remedy="give --data")
        ids = read_embeddings(sources[0].path, in_memory=False)[1]
        chosen = _sample(len(ids), options)
        return SpaceDocuments([ids[row] for row in chosen], [], None, (), None, len(ids), None)
    documents, splits = _load(options, reading)
    labels, categories = _categories(documents, options)
    chosen = _sample(len(documents), options)
    found = len(documents)
    documents = documents.select(chosen)
    from corpora.digest import corpus_digest

    return SpaceDocuments(
        ids=documents["document_id"][:],
        splits=[splits[row] for row in chosen],
        texts=documents.select_columns(["document_id", "text"]),
        labels=labels,
        categories=None if categories is None else categories[chosen],
        found=found,
        digest=corpus_digest(documents),
    )


def halves(documents: Dataset, count: int, seed: int) -> Dataset | None:
    """Cut documents into two halves of as many words.

    Args:
        documents: With `document_id` and `text`.
        count: Draw so many of those that are long enough.
        seed: Of the draw.

    Returns:
        The first half of each document followed by its second; None where no two documents are long enough.
    """
    from datasets import Dataset

    rows: dict[str, list[str]] = {"document_id": [], "text": []}
    order = np.random.default_rng([seed, 7]).permutation(len(documents))
    for place in order.tolist():
        if len(rows["text"]) == 2 * count:
            break
        document = documents[place]
        parts = cut_into_halves(document["text"])
        for number, part in enumerate(parts or (), 1):
            rows["document_id"].append(f"{document['document_id']}/{number}")
            rows["text"].append(part)
    return Dataset.from_dict(rows) if len(rows["text"]) >= 4 else None


def matched_embeddings(file: str, documents: SpaceDocuments) -> np.ndarray:
    """Read a file's embeddings of the documents, in their order.

    Raises:
        InputError: A document has none, or the file is damaged.
    """
    embeddings, ids = read_embeddings(file, in_memory=False)
    if ids == documents.ids:
        return embeddings  # as it lies on disk
    return embeddings[rows_of_documents(ids, documents.ids, file)]


def _load(options: SpaceOptions, reading: ReadingOptions) -> tuple[Dataset, list[str]]:
    from datasets import concatenate_datasets

    from corpora.loading import load_corpus

    label = options.label_column
    columns = NoteColumns(
        options.text_column,
        options.document_id_column,
        label_columns=(label,) if label and label != "note_category" else (),
        split_column=options.split_column,
    )
    corpus = load_corpus(options.data, columns, reading)
    names = options.split or [split for split in (*SPLITS, *corpus) if split in corpus]
    names = list(dict.fromkeys(names))
    for split in names:
        if split not in corpus:
            raise InputError(
                f"there is no split '{split}'", file=options.data[0], remedy=f"choose from {', '.join(corpus)}"
            )
    wanted = ["document_id", "text", *([label] if label else [])]
    for split in names:
        if label and label not in corpus[split].column_names:
            raise InputError("the column is missing", file=options.data[0], column=label)
    documents = concatenate_datasets([corpus[split].select_columns(wanted) for split in names])
    return documents, [split for split in names for _ in range(len(corpus[split]))]


def _categories(documents: Dataset, options: SpaceOptions) -> tuple[tuple[str, ...], np.ndarray | None]:
    if options.label_column is None:
        return (), None
    from corpora.category_columns import category_column

    column = category_column(documents, options.label_column)
    if column.multi_label:
        raise InputError(
            "documents have several categories each",
            file=options.data[0],
            column=options.label_column,
            remedy="choose a column of one value",
        )
    frequent = [
        (label, count)
        for label, count in zip(column.labels, column.counts, strict=True)
        if count >= options.min_class_documents
    ]
    if len(frequent) < 2:
        raise InputError(
            f"fewer than two categories have {options.min_class_documents} documents",
            file=options.data[0],
            column=options.label_column,
            remedy="lower --min_class_documents, or choose another column",
        )
    labels = tuple(label for label, _ in sorted(frequent, key=lambda pair: (-pair[1], pair[0])))
    places = {column.encode(label): place for place, label in enumerate(labels)}
    values: list[Any] = documents[options.label_column][:]
    return labels, np.array([places.get(column.encode(value), -1) for value in values], dtype=np.int64)


def _sample(found: int, options: SpaceOptions) -> np.ndarray:
    """Return the documents to analyse, in their order."""
    limit = options.max_documents
    if not limit or found <= limit:
        return np.arange(found)
    return np.sort(np.random.default_rng([options.seed, 5]).choice(found, limit, replace=False))

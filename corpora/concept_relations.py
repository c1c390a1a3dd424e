"""Files of related concepts: a drug and what it treats, a disease and its complication."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from corpora.concept_names import clean_name
from corpora.errors import InputError
from corpora.sources import find_sources
from corpora.table_rows import Table

COLUMNS = ("first", "second", "first_kind", "second_kind")


class ConceptRelation(NamedTuple):
    """Two concepts that stand in a known relation.

    Args:
        first: Name of the first.
        second: Name of the second.
        first_kind: Semantic type or other kind of the first, from which random concepts are drawn to compare with.
        second_kind: The same of the second.
    """

    first: str
    second: str
    first_kind: str
    second_kind: str


def read_relations(file: str | Path) -> list[ConceptRelation]:
    """Read related pairs; a pair that stands twice counts once.

    Args:
        file: CSV, TSV, JSON lines or Parquet, each also .gz, with the columns `first`, `second`, `first_kind` and
            `second_kind`.

    Raises:
        InputError: The file cannot be read, a column or a cell is missing, or a concept is related to itself.
    """
    relations: dict[ConceptRelation, None] = {}
    for source in find_sources(file):
        table = Table(source)
        for column in COLUMNS:
            table.require(column, f"name the columns {', '.join(COLUMNS)}")
        for place, cells in table.rows(COLUMNS):
            names = [clean_name(cells[column]) for column in COLUMNS]
            if None in names:
                raise place.fault("a cell is empty", "fill it or remove the row", COLUMNS[names.index(None)])
            relation = ConceptRelation(*names)
            if relation.first == relation.second:
                raise place.fault("a concept is related to itself", "remove the row", "second")
            relations[relation] = None
    if not relations:
        raise InputError("the file holds no relations", file=file, remedy="write a row for each pair")
    return list(relations)

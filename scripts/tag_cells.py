"""The cells of a tagging study: which there are, and where their results lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study_folder import StudyFolder

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class TaggingCell:
    """One tagger.

    Args:
        share: Per cent of the training sentences.
        seed: Of the sample and of the training.
    """

    share: float
    seed: int

    @property
    def id(self) -> str:
        """Name of the cell's files."""
        return f"{self.share:g}-{self.seed}"


class TaggingFolder(StudyFolder):
    """Results of a tagging study: of each cell a file of facts and one of counts; kept taggers, a trained tokenizer.

    Args:
        folder: Where; made when missing.
        system: What the taggers are called in the tables; by default as the folder.
        restart: Delete the results of an earlier run first.

    Raises:
        InputError: The folder holds something else.
    """

    kind, schema_version = "tagging", SCHEMA_VERSION

    def __init__(self, folder: str | Path, system: str | None = None, *, restart: bool = False) -> None:
        super().__init__(folder, restart=restart)
        self.system = system or self.folder.resolve().name

    def _delete_results(self) -> None:
        # With the taggers go their cards, and the figures that another study may not draw again.
        shutil.rmtree(self.folder)

    def counts(self, cell: TaggingCell) -> Path:
        """Return the file of a cell's counts of entities."""
        return self.cells / f"{cell.id}.npz"

    def record(self, cell: TaggingCell) -> dict[str, Any]:
        """Return what was stored of a finished cell; the name of the system may have changed since."""
        return {**super().record(cell), "system": self.system}


def all_cells(shares: Iterable[float], seeds: Iterable[int]) -> Iterator[TaggingCell]:
    """Yield the cells of a study, those of the smallest share first."""
    seeds = list(seeds)
    for share in sorted(set(shares)):
        for seed in seeds:
            yield TaggingCell(share, seed)

"""The folder of a study: what it was started with, which cells are done, and what they gave."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from corpora.errors import InputError
from corpora.json_files import read_fields, read_json, write_json

RESULTS, SETTINGS = "results.json", "settings.json"
ARRAYS = ("predictions", "counts")  # what a cell's facts call the file of its arrays


class StudyCell(Protocol):
    """One system, trained and scored once."""

    @property
    def id(self) -> str:
        """Name of the cell's files."""


class StudyFolder:
    """Results on disk: a file of facts for each cell, and a summary of all at the end.

    A subclass says what else it stores. `kind` and `schema_version` stand in results.json.

    Args:
        folder: Where; made when missing.
        restart: Delete the results of an earlier run first.

    Raises:
        InputError: The folder holds something else.
    """

    kind: ClassVar[str]
    schema_version: ClassVar[int]

    def __init__(self, folder: str | Path, *, restart: bool = False) -> None:
        self.folder = Path(folder)
        self.cells = self.folder / "cells"
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError("the output is a file, not a folder", file=folder, remedy="choose another --output_dir")
        if self.folder.is_dir() and any(self.folder.iterdir()) and not (self.folder / SETTINGS).is_file():
            raise InputError(
                "the output folder holds files that are not of a study", file=folder, remedy="choose another one"
            )
        if restart and self.folder.is_dir():
            self._delete_results()

    def _delete_results(self) -> None:
        """Delete what an earlier run stored."""
        for file in [*self.folder.glob("*.json"), *self.folder.glob("*.npz"), *self.cells.glob("*")]:
            file.unlink()

    def open(self, settings: dict[str, Any], models: dict[str, str] | None = None) -> None:
        """Store what decides the scores, or compare with what an earlier run stored.

        Args:
            settings: All but the models; must stay the same.
            models: Digest of each model's files, by name; further ones may come. None where the settings name the only
                model.

        Raises:
            InputError: The folder holds results of other documents, settings, or models of the same names.
        """
        settings = json.loads(json.dumps(settings, sort_keys=True, default=str))
        path = self.folder / SETTINGS
        if path.is_file():
            earlier = read_settings(path)
            if models is not None:
                known = earlier.pop("models")
                for name, digest in models.items():
                    if known.setdefault(name, digest) != digest:
                        raise InputError(
                            f"holds results of another model of the name '{name}'",
                            file=self.folder,
                            remedy="give the model another name, or pass --restart",
                        )
                models = known
            changed = sorted(key for key in settings.keys() | earlier.keys() if settings.get(key) != earlier.get(key))
            if changed:
                raise InputError(
                    f"holds results of other settings ({', '.join(changed[:5])})",
                    file=self.folder,
                    remedy="choose another --output_dir, or pass --restart",
                )
        self.cells.mkdir(parents=True, exist_ok=True)
        write_json(path, settings if models is None else {**settings, "models": models})

    def is_done(self, cell: StudyCell) -> bool:
        """Tell whether a cell has been computed; its facts are written last.

        A cell whose facts or arrays were deleted or cut short since is computed again, for nothing else can read them.
        """
        record = read_json(self.cells / f"{cell.id}.json")
        return record is not None and all(
            zipfile.is_zipfile(self.folder / record[name]) for name in ARRAYS if name in record
        )

    def record(self, cell: StudyCell) -> dict[str, Any]:
        """Return what was stored of a finished cell."""
        return json.loads((self.cells / f"{cell.id}.json").read_text(encoding="utf-8"))

    def write_record(self, cell: StudyCell, record: dict[str, Any]) -> None:
        """Store what is known of a cell, which is finished with that."""
        write_json(self.cells / f"{cell.id}.json", record)

    def finish(self, cells: Sequence[StudyCell], head: dict[str, Any]) -> None:
        """Write results.json from the cells' files.

        Args:
            cells: All of the study.
            head: What is known of all of them.
        """
        found = {"schema_version": self.schema_version, "kind": self.kind, **head}
        write_json(self.folder / RESULTS, {**found, "cells": [self.record(cell) for cell in cells]})


def read_settings(path: Path) -> dict[str, Any]:
    """Return what a study was started with.

    Raises:
        InputError: The file is broken, so that nobody knows what the results beside it are of.
    """
    return read_fields(path, "choose another --output_dir, or pass --restart")

"""The cells of a classification study: which there are, which are done, what they gave."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classify_options import ADAPTERS, TRAINED
from corpora.errors import InputError
from json_files import write_json

RESULTS, SETTINGS, TARGETS = "results.json", "settings.json", "test_targets.npz"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Cell:
    """One system trained on one sample of the training documents.

    Args:
        model: Name of the encoder, or None for a baseline.
        method: What stands on it.
        reading: How long documents are read; None for baselines.
        frozen: What of the encoder is frozen: `all`, `none`, `embeddings` or a number of layers; None for baselines.
        shots: Labelled documents a class; None: all.
        seed: Of the sample and of the training.
    """

    model: str | None
    method: str
    reading: str | None
    frozen: str | None
    shots: int | None
    seed: int

    @property
    def id(self) -> str:
        """Name of the cell's files."""
        parts = [self.model, self.method, self.reading, self.frozen]
        size = "all" if self.shots is None else f"s{self.shots}"
        return "-".join([*(str(part) for part in parts if part is not None), size, str(self.seed)])


class ResultFolder:
    """Results on disk: a file of probabilities and one of facts for each cell, and a summary of all at the end.

    Args:
        folder: Where; made when missing.
        restart: Delete the results of an earlier run first.

    Raises:
        InputError: The folder holds something else.
    """

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
            stored = [*self.folder.glob("*.json"), *self.folder.glob("*.npz"), *self.cells.glob("*")]
            for file in [*stored, *self.folder.glob("features/*")]:
                file.unlink()

    def open(self, settings: dict[str, Any], models: dict[str, str]) -> None:
        """Store what decides the scores, or compare with what an earlier run stored.

        Args:
            settings: All but the models; must stay the same.
            models: Digest of each model's files, by name; further ones may come.

        Raises:
            InputError: The folder holds results of other documents, settings, or models of the same names.
        """
        settings = json.loads(json.dumps(settings, sort_keys=True, default=str))
        path = self.folder / SETTINGS
        if path.is_file():
            earlier = json.loads(path.read_text(encoding="utf-8"))
            known = earlier.pop("models")
            for name, digest in models.items():
                if known.setdefault(name, digest) != digest:
                    raise InputError(
                        f"holds results of another model of the name '{name}'",
                        file=self.folder,
                        remedy="give the model another name, or pass --restart",
                    )
            changed = sorted(key for key in settings.keys() | earlier.keys() if settings.get(key) != earlier.get(key))
            if changed:
                raise InputError(
                    f"holds results of other settings ({', '.join(changed[:5])})",
                    file=self.folder,
                    remedy="choose another --output_dir, or pass --restart",
                )
            models = known
        self.cells.mkdir(parents=True, exist_ok=True)
        write_json(path, {**settings, "models": models})

    def embeddings(self, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Return arrays by name, made once and then read from disk."""
        file = self.folder / "features" / f"{name}.npz"
        if not file.is_file():
            file.parent.mkdir(exist_ok=True)
            self._save(file, **make())
        with np.load(file) as stored:
            return {key: stored[key] for key in stored.files}

    def write_targets(self, targets: np.ndarray, document_ids: Sequence[str]) -> None:
        """Store the test documents' classes and ids."""
        self._save(self.folder / TARGETS, targets=targets, document_ids=np.asarray(document_ids, dtype=np.str_))

    def is_done(self, cell: Cell) -> bool:
        """Tell whether a cell has been computed; its facts are written last."""
        return (self.cells / f"{cell.id}.json").is_file()

    def write(self, cell: Cell, probabilities: np.ndarray, facts: dict[str, Any]) -> None:
        """Store a cell.

        Args:
            cell: Which.
            probabilities: `(test documents, classes)`.
            facts: What results.json says of it beside its name.
        """
        self._save(self.cells / f"{cell.id}.npz", probabilities=probabilities.astype(np.float32))
        record = {"id": cell.id, **asdict(cell), **facts, "predictions": f"cells/{cell.id}.npz"}
        write_json(self.cells / f"{cell.id}.json", record)

    def finish(self, cells: Sequence[Cell], head: dict[str, Any]) -> None:
        """Write results.json from the cells' files."""
        records = [json.loads((self.cells / f"{cell.id}.json").read_text(encoding="utf-8")) for cell in cells]
        write_json(
            self.folder / RESULTS,
            {"schema_version": SCHEMA_VERSION, "kind": "classification", **head, "cells": records},
        )

    @staticmethod
    def _save(path: Path, **arrays: np.ndarray) -> None:
        partial = path.with_name(path.name + ".partial")
        with partial.open("wb") as stream:
            np.savez_compressed(stream, **arrays)
        partial.replace(path)


def all_cells(
    models: Sequence[str],
    methods: Sequence[str],
    readings: Sequence[str],
    depths: Sequence[str],
    sizes: Sequence[int | None],
    seeds: Sequence[int],
    *,
    baselines: bool,
) -> Iterator[Cell]:
    """Yield the cells of a study, system by system, so that what a system needs is made once.

    Methods without chance of their own are run once on the full set, with the first seed.
    """
    systems: list[tuple[str | None, str, str | None, str | None]] = []
    if baselines:
        systems += [(None, "majority", None, None), (None, "tfidf", None, None)]
    for model in models:
        for reading in readings:
            for method in methods:
                if reading == "attention" and method not in TRAINED:
                    continue  # a probe has no weights to learn over windows
                # What peft adds is trained in all layers.
                for depth in depths if method == "fine_tuned" else ["none"] if method in ADAPTERS else ["all"]:
                    systems.append((model, method, reading, depth))
    for model, method, reading, frozen in systems:
        by_chance = method in TRAINED
        for shots in sizes:
            for seed in seeds if shots is not None or by_chance else seeds[:1]:
                yield Cell(model, method, reading, frozen, shots, seed)

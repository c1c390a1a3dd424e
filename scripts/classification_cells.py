"""The cells of a classification study: which there are, which are done, what they gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from classification_probes import BAGGED
from classify_options import ADAPTERS, TRAINED
from corpora.array_files import read_arrays_if_whole
from study_folder import StudyFolder

TARGETS = "test_targets.npz"
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


class ResultFolder(StudyFolder):
    """Results of a classification: of each cell a file of probabilities and one of facts, and stored embeddings."""

    kind, schema_version = "classification", SCHEMA_VERSION

    def _delete_results(self) -> None:
        super()._delete_results()
        for file in self.folder.glob("features/*"):
            file.unlink()

    def embeddings(self, name: str, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Return arrays by name, made once and then read from disk; of a broken file they are made again."""
        file = self.folder / "features" / f"{name}.npz"
        stored = read_arrays_if_whole(file)
        if stored is None:
            file.parent.mkdir(exist_ok=True)
            stored = make()
            self._save(file, **stored)
        return stored

    def write_targets(self, targets: np.ndarray, document_ids: Sequence[str]) -> None:
        """Store the test documents' classes and ids."""
        self._save(self.folder / TARGETS, targets=targets, document_ids=np.asarray(document_ids, dtype=np.str_))

    def write(self, cell: Cell, probabilities: np.ndarray, facts: dict[str, Any]) -> None:
        """Store a cell.

        Args:
            cell: Which.
            probabilities: `(test documents, classes)`.
            facts: What results.json says of it beside its name.
        """
        self._save(self.cells / f"{cell.id}.npz", probabilities=probabilities.astype(np.float32))
        record = {"id": cell.id, **asdict(cell), **facts, "predictions": f"cells/{cell.id}.npz"}
        self.write_record(cell, record)

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
        if any(method in BAGGED for method in methods):  # so that bags are not taken for the work of an encoder
            systems.append((None, "bagged_tfidf", None, None))
    for model in models:
        for reading in readings:
            for method in methods:
                if reading == "attention" and method not in TRAINED:
                    continue  # a probe has no weights to learn over windows
                # What peft adds is trained in all layers.
                for depth in depths if method == "fine_tuned" else ["none"] if method in ADAPTERS else ["all"]:
                    systems.append((model, method, reading, depth))
    for model, method, reading, frozen in systems:
        by_chance = method in (*TRAINED, *BAGGED)
        for shots in sizes:
            for seed in seeds if shots is not None or by_chance else seeds[:1]:
                yield Cell(model, method, reading, frozen, shots, seed)

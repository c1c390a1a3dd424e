"""The cells of a transfer study: which there are, and where their results lie."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from classification_cells import TARGETS, ResultFolder
from concept_transfer_options import LOGISTIC
from corpora.encounters import Encounters
from corpora.errors import InputError
from study_folder import SETTINGS, read_settings

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class TransferCell:
    """One classifier, trained one way, and its test at the target.

    Args:
        embedding: Name of the vectors; None where there are none.
        classifier: `set_max` and so on, `logistic_max`, `logistic_mean`, `majority`, `bayes_ceiling`.
        setting: `scaled`, `raw` or `published`; None without vectors.
        protocol: `local`, `direct`, `tuned_head`, `tuned_all`, `pooled`, or `ceiling`.
        source: Name of the site learnt from; None where it is the target alone.
        vocabulary: `full`, `shared`, `disjoint`, `dealt`, `renamed_SHARE`.
        size: Encounters of the target that were learnt from; None for all, 0 for none.
        seed: Of the samples and the start.
    """

    embedding: str | None
    classifier: str
    setting: str | None
    protocol: str
    source: str | None
    vocabulary: str
    size: int | None
    seed: int

    @property
    def id(self) -> str:
        """Name of the cell's files."""
        size = "all" if self.size is None else f"n{self.size}"
        parts = [self.vocabulary, self.source, self.embedding, self.setting, self.classifier, self.protocol, size]
        return "-".join([*(str(part) for part in parts if part is not None), str(self.seed)])

    @property
    def fit(self) -> TransferCell:
        """The cell of direct transfer whose model this one goes on with."""
        return replace(self, protocol="direct", size=0)


class TransferFolder(ResultFolder):
    """Results of a transfer study: files of each cell, and the source models with their fits.

    `models/ID` holds what `ConceptSetClassifier.from_pretrained` loads, ID being that of the cell of direct transfer,
    and `tables/...` the vectors that belong to it.
    """

    kind, schema_version = "concept_transfer", SCHEMA_VERSION

    def _delete_results(self) -> None:
        super()._delete_results()
        for name in ("models", "tables"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def open(self, settings: dict[str, Any], models: dict[str, str]) -> None:
        """Store what decides the scores, or compare with an earlier run; see `StudyFolder.open`.

        Args:
            settings: All but models and sites.
            models: Digest of each checkpoint by name, of each source as `site NAME`, of each file as `--OPTION`.

        Raises:
            InputError: The folder holds results of other encounters, files, settings or models.
        """
        path = self.folder / SETTINGS
        known = read_settings(path)["models"] if path.is_file() else {}
        changed = [name for name in models if known.get(name, models[name]) != models[name]]
        others = [name for name in changed if name.startswith(("site ", "--"))]
        if others:
            raise InputError(
                f"holds results of another {others[0]}",
                file=self.folder,
                remedy="choose another --output_dir, or pass --restart",
            )
        super().open(settings, models)

    def model(self, cell: TransferCell) -> Path:
        """Return the folder of the source model of a cell."""
        return self.folder / "models" / cell.fit.id

    def table(self, vocabulary: str, source: str | None, embedding: str, setting: str) -> Path:
        """Return the folder of a table of vectors."""
        parts = (vocabulary, source, embedding, setting)
        return self.folder / "tables" / "-".join(part for part in parts if part is not None)

    def write_test(self, test: Encounters) -> None:
        """Store outcomes and ids of the test encounters, and their patients as numbers, for the bootstrap."""
        numbers = np.unique(test.patient_ids, return_inverse=True)[1].reshape(-1)
        ids = test.encounter_ids.astype(np.str_)
        self._save(self.folder / TARGETS, targets=test.outcomes, document_ids=ids, patients=numbers)


def all_cells(
    *,
    embeddings: Sequence[str],
    settings: Sequence[str],
    classifiers: Sequence[str],
    protocols: Sequence[str],
    sources: Sequence[str],
    vocabularies: Sequence[str],
    sizes: Sequence[int | None],
    seeds: Sequence[int],
    ceiling: bool,
) -> Iterator[TransferCell]:
    """Yield the cells, those that share vectors and a source model one after the other.

    Logistic regression is not tuned, and it reads the vectors of the first setting only, as it centres and scales what
    it reads. In the full vocabulary a target's own classifier depends on no source; in the others, on whose codes are
    shared.
    """
    if ceiling:
        yield TransferCell(None, "bayes_ceiling", None, "ceiling", None, "full", 0, seeds[0])
    majority = TransferCell(None, "majority", None, "local", None, "full", 0, seeds[0])
    if "local" in protocols:
        yield from (replace(majority, size=size) for size in sizes)
    if "direct" in protocols:
        yield from (replace(majority, protocol="direct", source=source) for source in sources)
    for vocabulary in vocabularies:
        for source in [*([None] if vocabulary == "full" else []), *sources]:
            for embedding in embeddings:
                for setting in settings:
                    for classifier in classifiers:
                        if classifier in LOGISTIC and setting != settings[0]:
                            continue
                        for seed in seeds:
                            make = TransferCell(embedding, classifier, setting, "", source, vocabulary, 0, seed)
                            yield from _of_one_model(make, protocols, sizes)


def _of_one_model(cell: TransferCell, protocols: Sequence[str], sizes: Sequence[int | None]) -> Iterator[TransferCell]:
    for protocol in ("direct", "local", "pooled", "tuned_head", "tuned_all"):
        if protocol not in protocols or (protocol.startswith("tuned") and cell.classifier in LOGISTIC):
            continue
        if (protocol == "local") != (cell.source is None) and not (protocol == "local" and cell.vocabulary != "full"):
            continue
        for size in [0] if protocol == "direct" else sizes:
            yield replace(cell, protocol=protocol, size=size)

"""Results of `scripts/concept_transfer.py`: reading a folder, and rows over its seeds.

A folder holds (schema version 1):

- `results.json`: `schema_version`, `kind` ("concept_transfer"), `target` (name of the site), `sites` (counts of each),
  `overlaps` (shared codes of each pair of sites), `test_encounters`, and `cells`, a list of objects with the fields of
  `System`, `Place` and `Cell`, in which `predictions` is a path within the folder.
- `test_targets.npz`: `targets`, `(test encounters,)` of 0 and 1, `document_ids`, their ids, and `patients`, numbers.
- `cells/ID.npz`: `probabilities`, `(test encounters,)` of the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from corpora.errors import InputError
from metrics.auroc_bootstrap import resample_aurocs
from metrics.binary_scores import resample_patients
from metrics.intervals import ResampledScores, percentile_interval
from reporting.json_fields import JsonFields
from reporting.result_arrays import path_within, read_arrays
from reporting.results_file import read_results_file

SCHEMA_VERSION = 1
AGAIN = "run concept_transfer.py again"
PROTOCOLS = ("ceiling", "local", "direct", "pooled", "tuned_head", "tuned_all")


@dataclass(frozen=True)
class System:
    """What is compared.

    Args:
        embedding: Name of the concept vectors; None where there are none.
        classifier: What reads them.
        setting: What was done to them: `scaled`, `raw`, `published`; None without vectors.
    """

    embedding: str | None
    classifier: str
    setting: str | None


@dataclass(frozen=True)
class Place:
    """What a system learns from.

    Args:
        vocabulary: Codes that the sites keep.
        source: The other site; None for the target alone.
        protocol: One of `PROTOCOLS`.
        size: Encounters of the target; None for all, 0 for none.
    """

    vocabulary: str
    source: str | None
    protocol: str
    size: int | None


@dataclass(frozen=True, eq=False)
class Cell:
    """One training and its test.

    Args:
        id: Unique in its folder.
        system: What was trained.
        place: On what.
        seed: Of the samples and the training.
        metrics: Scores on the test encounters.
        probabilities: `(test encounters,)`.
        trajectory: AUROC on the test encounters after each epoch of tuning; None where nothing was tuned.
        best_epoch: The epoch that validation encounters chose.
    """

    id: str
    system: System
    place: Place
    seed: int
    metrics: Mapping[str, float]
    probabilities: np.ndarray
    trajectory: np.ndarray | None
    best_epoch: int | None


@dataclass(frozen=True, eq=False)
class TransferResults:
    """The cells of a folder, scored on the same test encounters.

    Args:
        folder: Where they come from.
        target: Name of the target.
        sites: Counts of each site.
        overlaps: Shared codes of each pair.
        outcomes: `(test encounters,)` of 0 and 1.
        patients: `(test encounters,)` numbers.
        cells: The cells.
    """

    folder: Path
    target: str
    sites: Mapping[str, Any]
    overlaps: Sequence[Mapping[str, Any]]
    outcomes: np.ndarray
    patients: np.ndarray
    cells: tuple[Cell, ...]


@dataclass(frozen=True, eq=False)
class Row:
    """A system at one place, over its seeds.

    Args:
        system: The system.
        place: What it learnt from.
        seeds: In ascending order.
        scores: AUROC by seed, on the test encounters and their resamples.
        interval: 95 % bootstrap interval of the mean AUROC, over test encounters and seeds.
        metrics: Scores averaged over the seeds.
        probabilities: `(seeds, test encounters)`.
        trajectories: `(seeds, epochs)` AUROC on the test encounters, cut to the shortest; None where nothing was tuned.
        best_epochs: That validation chose, by seed; empty where there are none.
    """

    system: System
    place: Place
    seeds: tuple[int, ...]
    scores: ResampledScores
    interval: tuple[float, float]
    metrics: Mapping[str, float]
    probabilities: np.ndarray
    trajectories: np.ndarray | None
    best_epochs: tuple[int, ...]

    @property
    def mean(self) -> float:
        """AUROC on all test encounters, averaged over the seeds."""
        return self.scores.mean


def load_transfer_results(folder: str | Path) -> TransferResults:
    """Read a folder that `scripts/concept_transfer.py` wrote.

    Raises:
        InputError: It is not such a folder, or a file of it is missing or damaged.
    """
    folder = Path(folder)
    fields = read_results_file(folder, "concept_transfer", "a transfer study", SCHEMA_VERSION, "concept_transfer.py")
    stored = read_arrays(folder / "test_targets.npz", ("targets", "patients"), AGAIN)
    outcomes, patients = stored["targets"], stored["patients"]
    if outcomes.shape != patients.shape or not np.isin(outcomes, (0, 1)).all():
        raise InputError("holds no outcomes of 0 and 1 with their patients", file=folder / "test_targets.npz")
    cells = tuple(
        _read_cell(JsonFields(values, fields.file, f"cell {number + 1}", remedy=AGAIN), folder, len(outcomes))
        for number, values in enumerate(fields.dictionaries("cells"))
    )
    if len({cell.id for cell in cells}) < len(cells):
        raise InputError("two cells have the same id", file=fields.file, remedy=AGAIN)
    overlaps = fields.values.get("overlaps") or []
    sites = fields.fields("sites").values
    return TransferResults(folder, fields.text("target"), sites, overlaps, outcomes, patients, cells)


def join_transfer_results(results: Sequence[TransferResults]) -> TransferResults:
    """Put the cells of several folders side by side; a cell that lies in several is taken once.

    Raises:
        InputError: The folders differ in their target or its test encounters, or in the predictions of a cell of the
            same system, place and seed.
    """
    first = results[0]
    found: dict[tuple[System, Place, int], Cell] = {}
    for other in results:
        same = all(np.array_equal(getattr(first, name), getattr(other, name)) for name in ("outcomes", "patients"))
        if not same or first.target != other.target:
            raise InputError(
                f"the {'test encounters differ' if first.target == other.target else 'target differs'} from "
                f"{first.folder}",
                file=other.folder,
                remedy="compare results on the same test encounters of one target",
            )
        for cell in other.cells:
            known = found.setdefault((cell.system, cell.place, cell.seed), cell)
            if not np.array_equal(known.probabilities, cell.probabilities):
                raise InputError(
                    f"cell '{cell.id}' predicts otherwise than that of the same vectors, classifier, place and seed in "
                    "another folder",
                    file=other.folder,
                    remedy="give different vectors different names",
                )
    return replace(first, cells=tuple(found.values()))


def _read_cell(fields: JsonFields, folder: Path, encounters: int) -> Cell:
    file = path_within(folder, fields, "predictions")
    probabilities = read_arrays(file, ("probabilities",), AGAIN)["probabilities"]
    if probabilities.shape != (encounters,) or not np.isfinite(probabilities).all():
        raise InputError(f"does not hold {encounters:,} probabilities", file=file, remedy=AGAIN)
    epochs = fields.values.get("trajectory") or []
    scores = [epoch.get("test_auroc") for epoch in epochs if isinstance(epoch, dict)]
    tuned = bool(scores) and all(isinstance(score, float) for score in scores)
    return Cell(
        fields.text("id"),
        System(
            fields.text("embedding", optional=True), fields.text("classifier"), fields.text("setting", optional=True)
        ),
        Place(
            fields.text("vocabulary"),
            fields.text("source", optional=True),
            fields.one_of("protocol", PROTOCOLS),
            fields.count("size", optional=True),
        ),
        fields.count("seed"),
        fields.numbers("metrics"),
        probabilities,
        np.array(scores) if tuned else None,
        fields.values.get("best_epoch"),
    )


def transfer_rows(results: TransferResults, resamples: int = 1_000, seed: int = 0) -> list[Row]:
    """Bring the cells together over their seeds.

    All rows are scored on the same resamples of the test patients, so that they can be compared pair by pair.

    Args:
        results: The cells.
        resamples: Number of bootstrap resamples.
        seed: Of all draws.

    Returns:
        Rows in the first order of their cells.
    """
    groups: dict[tuple[System, Place], list[Cell]] = {}
    for cell in results.cells:
        groups.setdefault((cell.system, cell.place), []).append(cell)
    ordered = [sorted(cells, key=lambda cell: cell.seed) for cells in groups.values()]
    counts = resample_patients(results.outcomes, results.patients, resamples, seed)
    scores = resample_aurocs([[cell.probabilities for cell in cells] for cells in ordered], results.outcomes, counts)
    return [_row(cells, found, seed) for cells, found in zip(ordered, scores, strict=True)]


def _row(cells: list[Cell], scores: ResampledScores, seed: int) -> Row:
    """Return the row of one system at one place, its cells in the order of the seeds."""
    known = [cell.trajectory for cell in cells if cell.trajectory is not None]
    shortest = min(map(len, known), default=0)
    shared = [name for name in cells[0].metrics if all(name in cell.metrics for cell in cells)]
    return Row(
        cells[0].system,
        cells[0].place,
        tuple(cell.seed for cell in cells),
        scores,
        percentile_interval(scores, seed),
        {name: float(np.mean([cell.metrics[name] for cell in cells])) for name in shared},
        np.stack([cell.probabilities for cell in cells]),
        np.stack([one[:shortest] for one in known]) if len(known) == len(cells) else None,
        tuple(cell.best_epoch for cell in cells if cell.best_epoch is not None),
    )

"""Claims of the study on concept embeddings (Gao et al. 2024, arXiv 2409.13893) against results of concept_transfer.py.

All differences are of AUROC on the same resamples of the target's test patients. Vectors are `scaled` to one length
unless a claim speaks of raw ones, as the study's own ranking follows the length of vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np

from metrics.intervals import PairedDifference, ResampledScores, paired_difference
from reporting.claims import OURS, ClaimResult, Finding, Roles, finding
from reporting.study_results import BASE
from reporting.transfer_comparisons import REFERENCES
from reporting.transfer_results import Place, Row, System, TransferResults, transfer_rows
from reporting.transfer_tables import CLASSIFIERS, embedding_name, place_name, vocabulary_name

RESAMPLES = 1_000
SCALED, FULL = "scaled", "full"
TUNED = ("tuned_head", "tuned_all")
MEASURE = "AUROC"


@dataclass(frozen=True, eq=False)
class _Study:
    """Rows of one study with the means to compare them.

    Args:
        name: Of its data.
        target: Name of the target.
        rows: All on the same resamples.
        seed: Of the draw of seeds.
    """

    name: str
    target: str
    rows: Sequence[Row]
    seed: int

    def select(self, setting: str = SCALED, **wanted: object) -> list[Row]:
        """Return the rows on concept vectors of a setting whose place has these values."""
        return [
            row
            for row in self.rows
            if row.system.setting == setting
            and row.system.embedding is not None
            and all(getattr(row.place, name) == value for name, value in wanted.items())
        ]

    def find(self, row: Row, *, place: Place | None = None, **system: str) -> Row | None:
        """Return the row that differs from another in place or system alone; None where there is none."""
        key = (replace(row.system, **system), place or row.place)
        return next((one for one in self.rows if (one.system, one.place) == key), None)

    def lead(self, first: Row, second: Row) -> PairedDifference:
        """Return the paired difference of two rows."""
        return paired_difference(first.scores, second.scores, self.seed, same_seeds=first.seeds == second.seeds)

    def compare(self, first: Row, second: Row, words: str) -> Finding:
        """Return how far a row is ahead."""
        return finding(self.task(first.place), words, MEASURE, self.lead(first, second))

    def task(self, place: Place) -> str:
        """Name data, sites and vocabulary."""
        sites = f"{place.source} to {self.target}" if place.source else f"{self.target} alone"
        vocabulary = "" if place.vocabulary == FULL else f", {vocabulary_name(place.vocabulary)}"
        return f"{self.name}, {sites}{vocabulary}"


def judge_transfer_claims(
    results: Sequence[tuple[str, TransferResults]], roles: Roles, resamples: int = RESAMPLES, seed: int = 0
) -> list[ClaimResult]:
    """Test every claim on every transfer that allows it.

    Args:
        results: Each with the name of its data.
        roles: What the embeddings stand for, for the claim on adapted encoders: one that has a role other than `base`.
        resamples: Bootstrap resamples.
        seed: Of all draws.
    """
    studies = [_Study(name, one.target, transfer_rows(one, resamples, seed), seed) for name, one in results]

    def all_of(test: Callable[..., Iterator[Finding]], *arguments: str | Roles) -> list[Finding]:
        return [found for study in studies for found in test(study, *arguments)]

    return [
        ClaimResult(3, "Names embedded as text beat one-hot codes in direct transfer.", all_of(_direct, "one_hot")),
        ClaimResult(
            3, "Names embedded as text beat random vectors in direct transfer.", all_of(_direct, "random"), OURS
        ),
        ClaimResult(3, "A lead between raw vectors stays when all have one length.", all_of(_ranking), OURS),
        ClaimResult(3, "An encoder adapted to the domain beats the general one.", all_of(_adapted, roles)),
        ClaimResult(3, "Tuning at the target improves on direct transfer.", all_of(_tuned)),
        ClaimResult(3, "Too many epochs of tuning hurt.", all_of(_overtuned)),
        ClaimResult(3, "With few target encounters, transfer and tuning beat learning there alone.", all_of(_few)),
        ClaimResult(3, "Text beats one-hot codes where codes are renamed.", all_of(_parted, "renamed_"), OURS),
        ClaimResult(
            3, "Text beats one-hot codes where sites share no code.", all_of(_parted, "dealt", "disjoint"), OURS
        ),
    ]


def _direct(study: _Study, control: str) -> Iterator[Finding]:
    for row in _texts(study.select(protocol="direct", vocabulary=FULL)):
        yield from _against(study, row, control)


def _parted(study: _Study, *vocabularies: str) -> Iterator[Finding]:
    """Compare text with one-hot codes in the vocabularies whose names begin so."""
    for row in _texts(study.select(protocol="direct")):
        if row.place.vocabulary.startswith(vocabularies):
            yield from _against(study, row, "one_hot")


def _ranking(study: _Study) -> Iterator[Finding]:
    """Compare scaled vectors wherever raw ones, or the study's own protocol, are ranked by an interval above zero."""
    rows = [row for setting in ("raw", "published") for row in study.select(setting, vocabulary=FULL)]
    local = [row for row in rows if row.place.protocol == "local" and row.place.size == _largest(rows)]
    for first, second in permutations([*local, *(row for row in rows if row.place.protocol == "direct")], 2):
        alike = first.place == second.place and replace(first.system, embedding=None) == replace(
            second.system, embedding=None
        )
        if not alike or study.lead(first, second).interval[0] <= 0:
            continue
        scaled = [study.find(row, setting=SCALED) for row in (first, second)]
        if None not in scaled:
            yield study.compare(*scaled, f"{_versus(first, second)}, ahead when {first.system.setting}")


def _adapted(study: _Study, roles: Roles) -> Iterator[Finding]:
    rows = [*study.select(protocol="direct", vocabulary=FULL), *study.select(protocol="local", vocabulary=FULL)]
    sizes = {_smallest(rows), _largest(rows)}
    adapted = [row for row in _texts(rows) if roles.by_name.get(row.system.embedding, BASE) != BASE]
    for row, base in product(adapted, roles.named(BASE)):
        other = study.find(row, embedding=base)
        if other is not None and (row.place.protocol == "direct" or row.place.size in sizes):
            yield study.compare(row, other, _versus(row, other))


def _tuned(study: _Study) -> Iterator[Finding]:
    for row in _tunings(study, _largest):
        direct = study.find(row, place=replace(row.place, protocol="direct", size=0))
        if direct is not None:
            yield study.compare(row, direct, f"{_described(row)} v. direct")


def _few(study: _Study) -> Iterator[Finding]:
    for row in _tunings(study, _smallest):
        if row.place.size is None:  # all of them are not few
            continue
        local = study.find(row, place=replace(row.place, protocol="local", source=None))
        if local is not None:
            yield study.compare(row, local, f"{_described(row)} v. the same encounters alone")


def _overtuned(study: _Study) -> Iterator[Finding]:
    """Set the epoch that validation chose against the last one; trajectories hold no documents, only seeds vary."""
    for row in _tunings(study, _smallest):
        # Trajectories may have been cut to the shortest of the seeds.
        # One seed has no interval, and would decide by its sign alone.
        if row.trajectories is None or not 2 <= len(row.seeds) <= len(row.best_epochs):
            continue
        last = row.trajectories.shape[1] - 1
        chosen = [course[min(epoch, last)] for course, epoch in zip(row.trajectories, row.best_epochs, strict=True)]
        found = [_fixed(np.array(scores), row) for scores in (chosen, row.trajectories[:, last])]
        words = f"{_described(row)}: chosen epoch v. the last of {last}; interval over seeds alone"
        difference = paired_difference(*found, study.seed, same_seeds=True)
        yield finding(study.task(row.place), words, MEASURE, difference)


def _tunings(study: _Study, size_of: Callable[[Sequence[Row]], int | None]) -> list[Row]:
    """Return the tuned rows of text embeddings with as many target encounters as asked for."""
    rows = [row for protocol in TUNED for row in _texts(study.select(protocol=protocol, vocabulary=FULL))]
    return [row for row in rows if row.place.size == size_of(rows)]


def _fixed(scores: np.ndarray, row: Row) -> ResampledScores:
    return ResampledScores(scores, np.repeat(scores[:, None], row.scores.resampled.shape[1], axis=1))


def _against(study: _Study, row: Row, control: str) -> Iterator[Finding]:
    other = study.find(row, embedding=control)
    if other is not None:
        yield study.compare(row, other, _versus(row, other))


def _texts(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row.system.embedding not in REFERENCES]


def _versus(first: Row, second: Row) -> str:
    names = (embedding_name(row.system.embedding) for row in (first, second))
    return f"{' v. '.join(names)}, {_classifier(first.system)}, {place_name(first.place)}"


def _described(row: Row) -> str:
    return f"{embedding_name(row.system.embedding)}, {_classifier(row.system)}, {place_name(row.place)}"


def _classifier(system: System) -> str:
    return CLASSIFIERS.get(system.classifier, system.classifier)


def _order(size: int | None) -> float:
    return float("inf") if size is None else size


def _sizes(rows: Sequence[Row]) -> list[int | None]:
    return sorted({row.place.size for row in rows if row.place.size != 0}, key=_order)


def _smallest(rows: Sequence[Row]) -> int | None:
    return next(iter(_sizes(rows)), None)


def _largest(rows: Sequence[Row]) -> int | None:
    return next(reversed(_sizes(rows)), None)

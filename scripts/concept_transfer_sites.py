"""The sites of a transfer study: read, kept apart, and in the columns of one vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from concept_transfer_options import TransferOptions
from corpora.concept_names import read_concept_names
from corpora.encounter_loading import load_encounters, separate_sites
from corpora.encounter_options import EncounterOptions
from corpora.encounter_splits import nested_samples, split_encounters
from corpora.encounters import ConceptState, Encounters
from corpora.errors import InputError
from corpora.splitting import SplitOptions
from corpora.vocabulary_overlap import codes_of, overlap_report, rename_codes, restrict_overlap
from named_paths import named_paths

if TYPE_CHECKING:
    from trainers.concept_set_training import LabelledSets


@dataclass(frozen=True, eq=False)
class Pair:
    """A source and the target in the columns of both vocabularies; or the target alone.

    Args:
        states: Of the columns: the source's, then those that only the target has; without a source the target's.
        known: How many of the states are the source's (all where there is none); vectors are centred by these.
        source: Encounters to learn from, in these columns; None where the target stands alone.
        target: All encounters of the target, in these columns.
        overlap: Counts of shared codes; None without a source.
    """

    states: tuple[ConceptState, ...]
    known: int
    source: Encounters | None
    target: Encounters
    overlap: dict[str, Any] | None


class Sites:
    """The sites of a study.

    Args:
        options: Which files, and how the target is divided.
        reading: How files are read.

    Raises:
        InputError: A file, a row or a column is at fault, a patient is at two sites, or the target has too few
            encounters.
    """

    def __init__(self, options: TransferOptions, reading: EncounterOptions) -> None:
        self.options, self.reading = options, reading
        self.synonyms = read_concept_names(options.synonyms) if options.synonyms else None
        self.target, self.learn, self.test = self._read_target(reading)
        self.sources: dict[str, Encounters] = {}
        for source, listed in named_paths(options.sources, "--sources").items():
            site = load_encounters(listed.split(","), reading, source)
            self.sources[source], _ = separate_sites(site, self.target, options.shared_patients)
        self._pairs: dict[tuple[str, str | None], Pair] = {}

    def _read_target(self, reading: EncounterOptions) -> tuple[Encounters, np.ndarray, np.ndarray]:
        """Return the target, and its rows to learn from and to test on; a test of its own is put behind the others."""
        ((name, files),) = named_paths([self.options.target], "--target").items()
        target = load_encounters(files.split(","), reading, name)
        if self.options.target_test is not None:
            test = load_encounters(self.options.target_test.split(","), reading, name)
            shared = np.intersect1d(test.patient_ids, target.patient_ids)
            if len(shared):
                raise InputError(
                    f"{len(shared):,} patients are in the target's test and in what is learnt from",
                    file=self.options.target_test,
                    remedy="give a test of other patients, or leave --target_test out",
                )
            whole = _behind(target, test)
            return whole, np.arange(len(target)), np.arange(len(target), len(whole))
        if self.options.test_share == 1:
            return target, np.arange(0), np.arange(len(target))
        shares = SplitOptions(validation_share=0, test_share=self.options.test_share, seed=self.options.seed)
        parts = split_encounters(target, shares)
        return target, parts["train"], parts["test"]

    def test_as_said(self) -> Encounters:
        """Return the test encounters with missing findings missing, for the network, whatever they count as."""
        target = self.target
        if self.reading.missing_as != "unknown":
            target, _, _ = self._read_target(replace(self.reading, missing_as="unknown"))
        return target.select(self.test)

    def pair(self, vocabulary: str, source: str | None) -> Pair:
        """Return a source, or None, and the target with the vocabularies of an experiment; the last one is kept."""
        if (vocabulary, source) not in self._pairs:
            self._pairs = {(vocabulary, source): self._make_pair(vocabulary, source)}
        return self._pairs[vocabulary, source]

    def _make_pair(self, vocabulary: str, source: str | None) -> Pair:
        if source is None:
            return Pair(self.target.states, len(self.target.states), None, self.target, None)
        first, second = self.sources[source], self.target
        if vocabulary.startswith("renamed"):
            shared = codes_of(first) & codes_of(second)
            second = rename_codes(
                second,
                float(vocabulary.removeprefix("renamed_")),
                self.options.seed,
                new_names=self.options.renamed_names,
                synonyms=self.synonyms,
                among=shared,
            )
        else:
            first, second = restrict_overlap(first, second, vocabulary, self.options.seed)
        states = joined(first.states, second.states)
        return Pair(
            states, len(first.states), first.aligned(states), second.aligned(states), overlap_report(first, second)
        )

    def sample(self, size: int | None, seed: int) -> np.ndarray:
        """Return rows of the target to learn from; samples of one seed lie within one another.

        Raises:
            InputError: There are fewer encounters, or the sample has one outcome only.
        """
        if size is None:
            return self.learn
        return self.learn[nested_samples(self.target.select(self.learn), [size], seed)[size]]

    def parts(self, encounters: Encounters, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Divide rows into those to train on and those to choose by, patients whole, outcomes alike."""
        shares = SplitOptions(validation_share=self.options.validation_share, test_share=0, seed=seed)
        rows = np.asarray(rows)
        found = split_encounters(encounters.select(rows), shares)
        return rows[found["train"]], rows[found["validation"]]

    def describe(self) -> dict[str, Any]:
        """Return counts of every site, for JSON."""
        described = {name: _counts(site) for name, site in [*self.sources.items(), (self.target.site, self.target)]}
        described[self.target.site] |= {"to_learn_from": len(self.learn), "test": len(self.test)}
        return described


def joined(first: Sequence[ConceptState], second: Sequence[ConceptState]) -> tuple[ConceptState, ...]:
    """Return the first states and, after them, those of the second whose keys are new."""
    known = {state.key for state in first}
    return (*first, *(state for state in second if state.key not in known))


def sets_of(encounters: Encounters, rows: np.ndarray) -> LabelledSets:
    """Return some encounters as what classifiers are fitted on."""
    from trainers.concept_set_training import LabelledSets

    return LabelledSets(encounters.occurs[rows], encounters.outcomes[rows])


def together(first: LabelledSets, second: LabelledSets) -> LabelledSets:
    """Return the encounters of both, in the same columns."""
    from scipy.sparse import vstack

    return replace(
        first,
        occurs=vstack([first.occurs, second.occurs]).tocsr(),
        outcomes=np.concatenate([first.outcomes, second.outcomes]),
    )


def _behind(first: Encounters, second: Encounters) -> Encounters:
    """Return the encounters of both, of one site, ids made different where they meet."""
    from scipy.sparse import vstack

    states = joined(first.states, second.states)
    second_ids = second.encounter_ids
    if len(np.intersect1d(first.encounter_ids, second_ids)):
        second_ids = np.char.add("test:", second_ids)
    return replace(
        first,
        encounter_ids=np.concatenate([first.encounter_ids, second_ids]),
        patient_ids=np.concatenate([first.patient_ids, second.patient_ids]),
        outcomes=np.concatenate([first.outcomes, second.outcomes]),
        states=states,
        occurs=vstack([first.aligned(states).occurs, second.aligned(states).occurs]).tocsr(),
        report={"learn": first.report, "test": second.report},
    )


def _counts(site: Encounters) -> dict[str, Any]:
    return {
        "encounters": len(site),
        "positives": site.positives,
        "patients": len(np.unique(site.patient_ids)),
        "states": len(site.states),
        "codes": len(codes_of(site)),
        "without_states": site.without_states,
        "digest": site.digest,
        "report": site.report,
    }

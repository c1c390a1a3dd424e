"""Encounters as sets of concept states with a binary outcome: what the concept-transfer study learns from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from corpora.errors import InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PRESENT, ABSENT, MEASURED = "present", "absent", "measured"
FEWEST_OF_EACH_OUTCOME = 2


@dataclass(frozen=True)
class ConceptState:
    """One thing that can be said of an encounter.

    Args:
        code: Of the concept, unique within a site's code system ("dx:486", "C0038435").
        name: What people call it. For a level that has a name of its own ("high grade temperature"), that name, with
            the state `present`.
        state: `present`, `absent`, or a level such as `high`.
    """

    code: str
    name: str
    state: str = PRESENT

    @property
    def key(self) -> str:
        """What tells it from every other state of the site: `code=state`."""
        return f"{self.code}={self.state}"


@dataclass(frozen=True, eq=False)
class Encounters:
    """The encounters of one site.

    Args:
        encounter_ids: `(n,)` texts, each once.
        patient_ids: `(n,)` texts; a patient may have several encounters.
        outcomes: `(n,)` int64, 1 where the outcome occurred.
        states: The columns' concept states, each key once.
        occurs: `(n, len(states))` float32, 1 where the state was said of the encounter. A row may be empty.
        site: Name of the site.
        report: What was read, dropped and chosen, in counts, for JSON.

    Raises:
        ValueError: The parts do not fit together.
    """

    encounter_ids: np.ndarray
    patient_ids: np.ndarray
    outcomes: np.ndarray
    states: tuple[ConceptState, ...]
    occurs: csr_matrix
    site: str
    report: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.encounter_ids)
        if len(self.patient_ids) != rows or len(self.outcomes) != rows or self.occurs.shape != (rows, len(self.states)):
            raise ValueError(
                f"{rows} encounters, {len(self.patient_ids)} patients, {len(self.outcomes)} outcomes and "
                f"{len(self.states)} states for a matrix of shape {self.occurs.shape}"
            )
        if len(set(self.keys)) < len(self.states):
            raise ValueError("two states have the same code and state")
        if not np.isin(self.outcomes, (0, 1)).all():
            raise ValueError("an outcome is neither 0 nor 1")

    def __len__(self) -> int:
        return len(self.encounter_ids)

    @property
    def keys(self) -> list[str]:
        """Of the states, in the order of the columns."""
        return [state.key for state in self.states]

    @property
    def positives(self) -> int:
        """Encounters with the outcome."""
        return int(self.outcomes.sum())

    @property
    def without_states(self) -> int:
        """Encounters of which nothing is said."""
        return int((np.diff(self.occurs.indptr) == 0).sum())

    @property
    def digest(self) -> str:
        """Hash of everything but the report, equal for equal encounters in the same order."""
        parts = [self.site, *self.encounter_ids.tolist(), *self.patient_ids.tolist()]
        parts += [part for state in self.states for part in (state.code, state.name, state.state)]
        found = hashlib.blake2b("\0".join(parts).encode(), digest_size=16)
        for numbers in (self.outcomes, self.occurs.indptr, self.occurs.indices):
            found.update(np.ascontiguousarray(numbers, dtype=np.int64).tobytes())
        return found.hexdigest()

    def select(self, rows: np.ndarray | Sequence[int]) -> Encounters:
        """Return some of the encounters.

        Args:
            rows: Their positions, in the order wanted, or `(n,)` truth values.
        """
        rows = np.asarray(rows)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)
        return replace(
            self,
            encounter_ids=self.encounter_ids[rows],
            patient_ids=self.patient_ids[rows],
            outcomes=self.outcomes[rows],
            occurs=self.occurs[rows],
        )

    def with_states(self, kept_columns: np.ndarray | Sequence[int]) -> Encounters:
        """Return the same encounters with some of the states; those left with none stay.

        Args:
            kept_columns: Positions of the states, in the order wanted, or `(states,)` truth values.
        """
        kept = np.asarray(kept_columns)
        kept = np.flatnonzero(kept) if kept.dtype == bool else kept.astype(np.int64)
        return replace(self, states=tuple(self.states[column] for column in kept), occurs=_tidy(self.occurs[:, kept]))

    def aligned(self, states: Sequence[ConceptState]) -> Encounters:
        """Return the same encounters with the columns of another vocabulary.

        Args:
            states: Of that vocabulary. States are the same where their keys are, whatever their names; columns of
                states that never occur here are empty, and states that `states` lacks are left out.
        """
        place = {key: column for column, key in enumerate(self.keys)}
        pairs = [(place[state.key], column) for column, state in enumerate(states) if state.key in place]
        return replace(self, states=tuple(states), occurs=_moved(self.occurs, pairs, len(states)))

    def renamed(self, codes: Mapping[str, str], names: Mapping[str, str] | None = None) -> Encounters:
        """Return the same encounters in other codes, other names, or both.

        Args:
            codes: Old code to new; others stay. States that come to have the same key become one, with the name that
                comes first.
            names: Old code to new name; others stay.
        """
        names = names or {}
        merged: dict[str, tuple[int, ConceptState]] = {}
        pairs = []
        for column, old in enumerate(self.states):
            new = ConceptState(codes.get(old.code, old.code), names.get(old.code, old.name), old.state)
            target, _ = merged.setdefault(new.key, (len(merged), new))
            pairs.append((column, target))
        states = tuple(state for _, state in merged.values())
        return replace(self, states=states, occurs=_moved(self.occurs, pairs, len(states)))

    def with_report(self, **entries: Any) -> Encounters:
        """Return the same encounters with more in the report."""
        return replace(self, report={**self.report, **entries})


def encounters_from_sets(
    encounter_ids: Sequence[str],
    patient_ids: Sequence[str],
    outcomes: Sequence[int],
    said: Sequence[set[tuple[str, str]]],
    names: Mapping[str, str],
    site: str,
    report: dict[str, Any] | None = None,
) -> Encounters:
    """Build encounters from what is said of each; the columns are in the order of codes and states.

    Args:
        encounter_ids: `(n,)`.
        patient_ids: `(n,)`.
        outcomes: `(n,)` of 0 and 1.
        said: `(n,)` sets of codes with their states.
        names: Of the codes; codes without a name are left out.
        site: Name of the site.
        report: What was read and dropped.
    """
    from scipy.sparse import csr_matrix

    pairs = sorted(pair for pair in set().union(*said) if pair[0] in names)
    place = {pair: column for column, pair in enumerate(pairs)}
    columns = [sorted(place[pair] for pair in one if pair in place) for one in said]
    starts = np.concatenate([[0], np.cumsum([len(one) for one in columns], dtype=np.int64)])
    indices = np.fromiter((column for one in columns for column in one), np.int64, int(starts[-1]))
    occurs = csr_matrix((np.ones(len(indices), np.float32), indices, starts), shape=(len(said), len(pairs)))
    return Encounters(
        np.array(encounter_ids, dtype=np.str_),
        np.array(patient_ids, dtype=np.str_),
        np.array(outcomes, dtype=np.int64),
        tuple(ConceptState(code, names[code], state) for code, state in pairs),
        occurs,
        site,
        report or {},
    )


def require_both_outcomes(
    encounters: Encounters, fewest: int = FEWEST_OF_EACH_OUTCOME, remedy: str | None = None
) -> None:
    """Refuse encounters that no classifier can be trained or scored on.

    Args:
        encounters: To check.
        fewest: Encounters needed with the outcome, and without.
        remedy: For the message.

    Raises:
        InputError: There are fewer.
    """
    counts = {"with": encounters.positives, "without": len(encounters) - encounters.positives}
    for word, count in counts.items():
        if count < fewest:
            raise InputError(
                f"site {encounters.site}: {count} of {len(encounters):,} encounters {word} the outcome, and at least "
                f"{fewest} are needed",
                remedy=remedy or "check the outcome column and its positive value, or give more encounters",
            )


def _moved(occurs: csr_matrix, pairs: Sequence[tuple[int, int]], columns: int) -> csr_matrix:
    """Return the matrix with column `old` at `new` for each pair of them; columns that meet are joined."""
    from scipy.sparse import csr_matrix

    old, new = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    mover = csr_matrix((np.ones(len(old), np.float32), (old, new)), shape=(occurs.shape[1], columns))
    moved = (occurs @ mover).tocsr()
    moved.data[:] = 1
    return _tidy(moved)


def _tidy(occurs: csr_matrix) -> csr_matrix:
    occurs = occurs.tocsr().astype(np.float32)
    occurs.sort_indices()
    return occurs

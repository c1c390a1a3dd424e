"""Vectors of a vocabulary of concept states, centred and brought to one norm.

The mean over concepts is most of each vector of many encoders (mean cosine of two concepts 0.99 in ClinicalBERT), and
the length of the vectors decides how fast a classifier learns at a given rate. Both differ between encoders and have
nothing to do with what they know, so a `ConceptTable` is centred and scaled unless asked otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from corpora.encounters import ConceptState
from corpora.errors import InputError

NORM = 10.0
VECTORS, STATES = "concept_vectors.safetensors", "concept_states.json"


@dataclass(frozen=True, eq=False)
class ConceptTable:
    """Vectors of a vocabulary, and what was done to them, so that other concepts can be brought to the same space.

    Args:
        states: The states, each key once.
        vectors: `(states, size)` float32, centred and scaled.
        mean: `(size,)` float32 that was taken from every vector; zero where nothing was.
        norm: Length that every vector was brought to; None where they kept their own.
    """

    states: tuple[ConceptState, ...]
    vectors: np.ndarray
    mean: np.ndarray
    norm: float | None

    @classmethod
    def build(
        cls, states: Sequence[ConceptState], vectors: np.ndarray, *, centre: bool = True, norm: float | None = NORM
    ) -> ConceptTable:
        """Make a table of a vocabulary.

        Args:
            states: The states, most often those of the source site.
            vectors: `(states, size)` as the encoder gives them.
            centre: Take the mean over these states from each vector.
            norm: Bring each vector to this length; a vector of zeros stays.
        """
        mean = vectors.mean(0) if centre and len(vectors) else np.zeros(vectors.shape[1])
        mean = mean.astype(np.float32)
        return cls(tuple(states), _scaled(vectors - mean, norm), mean, norm)

    def extended(self, states: Sequence[ConceptState], vectors: np.ndarray) -> ConceptTable:
        """Return the table with the states that it lacks, centred by its own mean and brought to its norm.

        So a model that was trained on the table takes concepts that it has never seen, and nothing is retrained.

        Args:
            states: Any states; those that the table has stay as they are.
            vectors: `(states, size)` as the encoder gives them.
        """
        known = {state.key for state in self.states}
        new = [row for row, state in enumerate(states) if state.key not in known]
        added = _scaled(np.asarray(vectors, dtype=np.float32)[new] - self.mean, self.norm)
        return ConceptTable(
            (*self.states, *(states[row] for row in new)), np.concatenate([self.vectors, added]), self.mean, self.norm
        )

    def rows(self, states: Sequence[ConceptState]) -> np.ndarray:
        """Return the vectors of states, `(states, size)`.

        Raises:
            InputError: The table lacks one.
        """
        place = {state.key: row for row, state in enumerate(self.states)}
        missing = [state.key for state in states if state.key not in place]
        if missing:
            raise InputError(
                f"{len(missing):,} of {len(states):,} concept states have no vector, the first is '{missing[0]}'",
                remedy="add them to the table with ConceptTable.extended",
            )
        return self.vectors[[place[state.key] for state in states]]

    def save(self, folder: str | Path) -> None:
        """Write the vectors as safetensors and the states as JSON, each whole or not at all.

        Args:
            folder: Where; it is made where there is none.
        """
        from safetensors.numpy import save

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        content = {"norm": self.norm, "states": [asdict(state) for state in self.states]}
        arrays = {"vectors": np.ascontiguousarray(self.vectors), "mean": np.ascontiguousarray(self.mean)}
        for name, data in (
            (VECTORS, save(arrays)),
            (STATES, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()),
        ):
            partial = folder / f"{name}.partial"
            partial.write_bytes(data)
            partial.replace(folder / name)

    @classmethod
    def load(cls, folder: str | Path) -> ConceptTable:
        """Read what `save` wrote.

        Raises:
            InputError: A file is missing or damaged, or the two do not belong together.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        folder = Path(folder)
        for name in (VECTORS, STATES):
            if not (folder / name).is_file():
                raise InputError("holds no concept table", file=folder, remedy=f"a table has a file {name}")
        try:
            arrays = load((folder / VECTORS).read_bytes())
            content = json.loads((folder / STATES).read_text(encoding="utf-8"))
            states = tuple(ConceptState(**state) for state in content["states"])
            table = cls(states, arrays["vectors"], arrays["mean"], content["norm"])
        except (ValueError, TypeError, LookupError, SafetensorError) as error:
            raise InputError("the concept table is damaged", file=folder, remedy="make it again") from error
        if table.vectors.shape != (len(states), len(table.mean)):
            raise InputError(
                f"holds {len(table.vectors):,} vectors for {len(states):,} states", file=folder, remedy="make it again"
            )
        return table


def _scaled(vectors: np.ndarray, norm: float | None) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float32)
    if norm is None:
        return vectors
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (norm * vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)

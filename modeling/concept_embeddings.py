"""Concept states as vectors: of their names by a text encoder, or without meaning, as one-hot and random controls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corpora.array_files import read_arrays_if_whole
from corpora.encounters import ABSENT, MEASURED, PRESENT, ConceptState
from corpora.errors import InputError

RANDOM_SIZE = 384


@dataclass(frozen=True)
class ConceptTemplates:
    """How the text of a state is made of the concept's name.

    Args:
        present: Of a concept that is present or was measured; holds `{name}`.
        absent: Of one that is absent; holds `{name}`.
        level: Of any other state, a level such as `high`; holds `{name}` and `{state}`.

    Raises:
        InputError: A template lacks what it must hold, or holds something else in braces.
    """

    present: str = "{name}"
    absent: str = "Not {name}"
    level: str = "{state} {name}"

    def __post_init__(self) -> None:
        for template, needed in ((self.present, ["name"]), (self.absent, ["name"]), (self.level, ["name", "state"])):
            found = sorted(re.findall(r"\{([^{}]*)\}", template))
            if found != needed or template.count("{") != len(needed) or template.count("}") != len(needed):
                words = " and ".join(f"{{{name}}}" for name in needed)
                raise InputError(f"the template '{template}' does not hold {words} once and nothing else in braces")

    def text(self, state: ConceptState) -> str:
        """Return the text of a state; signs that join words in a name become spaces, as in the study."""
        name = " ".join(re.sub(r"[/_|-]", " ", state.name).split())
        if not name:
            raise InputError(f"concept '{state.code}' has no name", remedy="give every concept a name or a description")
        template = {PRESENT: self.present, MEASURED: self.present, ABSENT: self.absent}.get(state.state, self.level)
        return template.replace("{state}", state.state).replace("{name}", name)


def concept_texts(states: Sequence[ConceptState], templates: ConceptTemplates | None = None) -> list[str]:
    """Return the text of each state.

    Args:
        states: The states.
        templates: How texts are made; by default those of Gao et al. (2024, arXiv 2409.13893): the name, and "Not"
            before the name of what is absent.

    Raises:
        InputError: A concept has no name.
    """
    templates = templates or ConceptTemplates()
    return [templates.text(state) for state in states]


def embed_concepts(
    states: Sequence[ConceptState],
    encoder: str | Path,
    templates: ConceptTemplates | None = None,
    cache: str | Path | None = None,
    device: str | None = None,
) -> np.ndarray:
    """Embed the texts of concept states, each different text once.

    Args:
        states: The states.
        encoder: Checkpoint folder or Hub id that `DocumentEncoder` loads. It is not loaded where all texts are cached.
        templates: How texts are made.
        cache: Folder in which embeddings are kept by the checkpoint's files and the text; of a Hub id nothing is kept,
            as files of the Hub may change under the same name.
        device: Where to compute; a GPU if there is one by default.

    Returns:
        `(states, hidden)` float32, neither centred nor scaled.

    Raises:
        InputError: The checkpoint cannot be loaded, or a concept has no name.
    """
    texts = concept_texts(states, templates)
    store = _TextStore(encoder, cache)
    missing = [text for text in dict.fromkeys(texts) if text not in store]
    if missing:
        from modeling.document_encoder import DocumentEncoder

        store.add(missing, DocumentEncoder.from_pretrained(encoder, device=device, dtype="float32").encode(missing))
    return np.stack([store[text] for text in texts]) if texts else np.zeros((0, 0), dtype=np.float32)


def random_vectors(states: Sequence[ConceptState], size: int = RANDOM_SIZE, seed: int = 0) -> np.ndarray:
    """Draw a vector for each state from a standard normal distribution.

    The draw depends on the seed and the state's key alone, so that one state has one vector at all sites.

    Returns:
        `(states, size)` float32.
    """
    rows = []
    for state in states:
        digest = hashlib.blake2b(f"{seed}\0{state.key}".encode(), digest_size=16).digest()
        rows.append(np.random.default_rng(int.from_bytes(digest, "little")).standard_normal(size, dtype=np.float32))
    return np.stack(rows) if rows else np.zeros((0, size), dtype=np.float32)


def one_hot_vectors(states: Sequence[ConceptState], vocabulary: Sequence[ConceptState]) -> np.ndarray:
    """Give each state of a vocabulary a dimension of its own.

    Args:
        states: The states; those that the vocabulary lacks become zero.
        vocabulary: Of all sites.

    Returns:
        `(states, vocabulary)` float32.
    """
    place = {state.key: number for number, state in enumerate(vocabulary)}
    vectors = np.zeros((len(states), len(vocabulary)), dtype=np.float32)
    for row, state in enumerate(states):
        if state.key in place:
            vectors[row, place[state.key]] = 1
    return vectors


class _TextStore:
    """Embeddings by text, in memory and, where there is a cache, in one file for each checkpoint."""

    def __init__(self, encoder: str | Path, cache: str | Path | None) -> None:
        self.file: Path | None = None
        self._known: dict[bytes, np.ndarray] = {}
        if cache is None or not Path(encoder).is_dir():
            return
        if Path(cache).exists() and not Path(cache).is_dir():
            raise InputError("the cache is a file, not a folder", file=cache, remedy="choose another folder")
        Path(cache).mkdir(parents=True, exist_ok=True)
        self.file = Path(cache) / f"{_files_digest(Path(encoder))}.npz"
        stored = read_arrays_if_whole(self.file)  # of a broken file the texts are embedded again
        if stored is not None:
            rows = zip(stored["digests"], stored["vectors"], strict=True)
            self._known = {row.tobytes(): vector for row, vector in rows}

    def __contains__(self, text: str) -> bool:
        return _digest(text) in self._known

    def __getitem__(self, text: str) -> np.ndarray:
        return self._known[_digest(text)]

    def add(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        self._known.update(zip(map(_digest, texts), vectors.astype(np.float32), strict=True))
        if self.file is not None:
            digests = np.frombuffer(b"".join(self._known), dtype=np.uint8).reshape(len(self._known), -1)
            partial = self.file.with_name(self.file.name + ".partial")
            with partial.open("wb") as stream:
                np.savez(stream, digests=digests, vectors=np.stack(list(self._known.values())))
            partial.replace(self.file)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _files_digest(folder: Path) -> str:
    """Return a digest of the weights and of the settings that decide an embedding."""
    from modeling.weights_digest import weights_digest

    digest = hashlib.blake2b((weights_digest(folder) or "").encode(), digest_size=16)
    for file in sorted([*folder.glob("*.json"), *folder.glob("*/config.json"), *folder.glob("*.txt")]):
        digest.update(f"\0{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()

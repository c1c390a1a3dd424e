"""Document embeddings kept between runs, so that several labels and studies of one corpus embed it once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpora.array_files import read_arrays_if_whole
from corpora.errors import InputError
from corpora.json_files import write_json

SHARD = 256  # documents between two saves


class EmbeddingCache:
    """Embeddings by document, in a folder of shards that survives a kill.

    Documents are known by a digest of their token ids, so the folder tells nothing of their text and fits any corpus
    that holds them. Embeddings do not depend on the documents read beside them but in their last bits.

    Args:
        folder: Shared by all studies.
        key: All that decides an embedding but the document: the weights, and how documents are read.

    Raises:
        InputError: The folder is a file.
    """

    def __init__(self, folder: str | Path, key: dict[str, Any]) -> None:
        import xxhash

        if Path(folder).exists() and not Path(folder).is_dir():
            raise InputError("the cache is a file, not a folder", file=folder, remedy="choose another folder")
        text = json.dumps(key, sort_keys=True)
        self.folder = Path(folder) / xxhash.xxh3_64_hexdigest(text.encode())
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "key.json", key)

    def embed(
        self,
        documents: Sequence[Sequence[int]],
        size: int,
        make: Callable[[list[int]], np.ndarray],
    ) -> np.ndarray:
        """Return embeddings of documents, computing those that are not there yet.

        Args:
            documents: Token ids of each.
            size: Length of an embedding.
            make: Gives `(documents, size)` embeddings of the documents at some places.

        Returns:
            `(documents, size)` float32.
        """
        digests = _digests(documents)
        known = self._read()
        places: dict[bytes, int] = {}
        for place, digest in enumerate(digests):
            if digest not in known:
                places.setdefault(digest, place)
        # The longest first, so that documents of like length share a batch.
        missing = sorted(places.values(), key=lambda place: -len(documents[place]))
        for start in range(0, len(missing), SHARD):
            chosen = missing[start : start + SHARD]
            rows = make(chosen)
            self._write([digests[place] for place in chosen], rows)
            known.update(zip((digests[place] for place in chosen), rows, strict=True))
        return np.stack([known[digest] for digest in digests]) if digests else np.zeros((0, size), dtype=np.float32)

    def _read(self) -> dict[bytes, np.ndarray]:
        known = {}
        for file in sorted(self.folder.glob("*.npz")):
            stored = read_arrays_if_whole(file)
            if stored is None:  # broken: its documents are embedded again, into a new shard
                continue
            known.update(zip((row.tobytes() for row in stored["digests"]), stored["embeddings"], strict=True))
        return known

    def _write(self, digests: Sequence[bytes], embeddings: np.ndarray) -> None:
        # Two runs may fill one cache at once; a name of its own for each shard keeps them apart.
        file = self.folder / f"{uuid.uuid4().hex}.npz"
        partial = file.with_suffix(".partial")
        names = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), -1)
        with partial.open("wb") as stream:
            np.savez(stream, digests=names, embeddings=embeddings.astype(np.float32))
        partial.replace(file)


def _digests(documents: Sequence[Sequence[int]]) -> list[bytes]:
    import xxhash

    return [xxhash.xxh3_128_digest(np.asarray(ids, dtype=np.int64).tobytes()) for ids in documents]

"""A share of a file of embeddings, made on one of several machines, and joining the shares."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.shards import MANIFEST, Shard, Shards, write_manifest
from embedding_files import EmbeddingOutput

KIND = "embeddings"
IDS = "ids.json"


class EmbeddingShard(EmbeddingOutput):
    """Some of the blocks of an output, in a folder beside it (`Shard.folder`), whole or not there.

    Args:
        path: The `.npy` or `.parquet` file of all shards together.
        shard: Which share.
        overwrite: Replace the shard where it exists.

    Raises:
        InputError: The name has another suffix, or the shard exists.
    """

    def __init__(self, path: str | Path, shard: Shard, *, overwrite: bool = False) -> None:
        super().__init__(path, overwrite=True)
        self.shard, self.folder = shard, shard.folder(self.path)
        self.partial = self.folder.with_name(self.folder.name + ".partial")
        self.corpus = ""
        """Digest of all documents, of this shard and of others; set before the shard is finished."""
        if self.folder.exists() and not overwrite:
            raise InputError("the shard exists", file=self.folder, remedy="pass --overwrite to encode it again")
        if self.folder.exists() and not (self.folder / MANIFEST).is_file():
            raise InputError("is in the way and is no shard", file=self.folder, remedy="move it away")

    def finish(self, blocks: Sequence[Path], ids: Iterable[Sequence[str]], rows: int, size: int) -> None:
        """Describe the blocks and move the folder to its place.

        Args:
            blocks: The files of this shard, in order.
            ids: The document ids of each.
            rows: Documents of all shards.
            size: Length of an embedding.
        """
        job = json.loads((self.partial / "fingerprint.json").read_text(encoding="utf-8"))
        job |= {"corpus": self.corpus, "documents": rows, "size": size}
        names = {block.name: list(names) for block, names in zip(blocks, ids, strict=True)}
        (self.partial / IDS).write_text(json.dumps(names), encoding="utf-8")
        for file in self.partial.iterdir():  # what other documents or a kill left
            if file.name not in names and file.name not in (IDS, "fingerprint.json"):
                file.unlink()
        write_manifest(self.partial, KIND, self.shard, json.dumps(job, sort_keys=True), job)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.partial.replace(self.folder)


def merge_embeddings(shards: Shards, output: EmbeddingOutput) -> tuple[int, int]:
    """Join the blocks of all shards to the file that a run in one piece writes.

    Args:
        shards: From `read_shards`; left as they are.
        output: Where to; prepared.

    Returns:
        Number of documents and length of an embedding.

    Raises:
        InputError: A block is missing, or two documents have the same id.
    """
    job: dict[str, Any] = shards.job
    found = [_blocks(folder) for folder in shards.folders]
    total = -(-job["documents"] // job["block"])
    blocks: list[Path] = []
    ids: list[list[str]] = []
    seen: set[str] = set()
    for number in range(total):
        folder, names = shards.owner(number), found[number % len(found)]
        if number not in names or not names[number][0].is_file():
            raise InputError(f"block {number} of the shard is missing", file=folder, remedy="run the shard again")
        blocks.append(names[number][0])
        ids.append(names[number][1])
        known = len(seen)
        seen.update(ids[-1])
        if len(seen) < known + len(ids[-1]):
            raise InputError("a document id occurs twice", file=folder, remedy="give each document its own id")
    output.finish(blocks, ids, job["documents"], job["size"])
    return job["documents"], job["size"]


def _blocks(folder: Path) -> dict[int, tuple[Path, list[str]]]:
    try:
        names = json.loads((folder / IDS).read_text(encoding="utf-8"))
        return {int(name.split("-")[0]): (folder / name, ids) for name, ids in names.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError("the shard is damaged", file=folder / IDS, remedy="run the shard again") from error

"""Embeddings on disk: `.npy` with a list of ids beside it, or Parquet; written in blocks that survive a kill."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.errors import InputError
from corpora.shards import Shard

if TYPE_CHECKING:
    import numpy as np

SUFFIXES = (".npy", ".parquet")
CHECKED_ROWS = 65_536  # at a time


def ids_file(embeddings: Path) -> Path:
    """Return the file of ids, one a line, that belongs to a `.npy` file."""
    return embeddings.with_suffix(".ids.txt")


class EmbeddingOutput:
    """An output that appears whole or not at all.

    Blocks of documents lie in `OUTPUT.partial/` until all are there. Each bears a digest of its documents in its name,
    and the folder a fingerprint of everything else that decides the numbers, so that a run that was killed goes on
    where it stopped, and never mixes embeddings of two models or of changed notes.

    Args:
        path: `.npy` or `.parquet` file.
        overwrite: Replace an existing output, at the very end.

    Raises:
        InputError: The name has another suffix, or the output exists.
    """

    shard = Shard(1, 1)
    """Which blocks belong to this output."""

    def __init__(self, path: str | Path, *, overwrite: bool = False) -> None:
        self.path = Path(path)
        self.partial = self.path.with_name(self.path.name + ".partial")
        self._created: list[Path] = []
        if self.path.suffix not in SUFFIXES:
            raise InputError("the output is neither .npy nor .parquet", file=path, remedy="name it with one of these")
        if self.path.is_dir():
            raise InputError("the output is a folder", file=path, remedy="name a file")
        targets = [self.path] if self.path.suffix == ".parquet" else [self.path, ids_file(self.path)]
        existing = [target for target in targets if target.exists()]
        # The ids are moved first: without the embeddings beside them they are what a kill left behind.
        if self.path.exists() and existing and not overwrite:
            raise InputError("the output exists", file=self.path, remedy="choose another name, or pass --overwrite")

    def prepare(self) -> None:
        """Create the folder of blocks.

        Raises:
            InputError: Nothing can be written there.
        """
        missing = [folder for folder in (self.partial, *self.partial.parents) if not folder.exists()]
        try:
            self.partial.mkdir(parents=True, exist_ok=True)
            probe = self.partial / "writable"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise InputError(f"the output cannot be written ({error.strerror})", file=self.path) from error
        self._created = missing

    def abandon(self) -> None:
        """Remove the folders that `prepare` made, as far as they are empty."""
        for folder in self._created:
            try:
                folder.rmdir()
            except OSError:
                return

    def resume(self, fingerprint: dict[str, Any]) -> bool:
        """Keep the blocks of an earlier run with the same fingerprint; remove those of any other.

        Returns:
            Whether an earlier run with other settings was removed.
        """
        file = self.partial / "fingerprint.json"
        content = json.dumps(fingerprint, indent=2, sort_keys=True)
        if file.is_file() and file.read_text(encoding="utf-8") == content:
            return False
        stale = file.is_file()
        for old in self.partial.iterdir():
            old.unlink()
        self._write(file, lambda stream: stream.write(content.encode()))
        return stale

    def block(self, number: int, digest: str) -> Path:
        """Return the file of a block: its number and the digest of its documents."""
        return self.partial / f"{number:06d}-{digest}.npy"

    def write_block(self, file: Path, embeddings: np.ndarray) -> None:
        """Write a block whole."""
        import numpy as np

        self._write(file, lambda stream: np.save(stream, embeddings))

    def finish(self, blocks: Sequence[Path], ids: Iterable[Sequence[str]], rows: int, size: int) -> None:
        """Join the blocks in order, move the result to its place and remove the folder.

        Args:
            blocks: The files, in order.
            ids: The document ids of each block.
            rows: Number of documents.
            size: Length of an embedding.

        Raises:
            InputError: An id holds a line break and cannot stand in a list of lines.
        """
        joined = self.partial / ("joined" + self.path.suffix)
        if self.path.suffix == ".parquet":
            _write_parquet(joined, blocks, ids, size)
        else:
            names = self.partial / "ids.txt"
            _write_npy(joined, names, blocks, ids, (rows, size))
            names.replace(ids_file(self.path))
        joined.replace(self.path)
        shutil.rmtree(self.partial)

    def _write(self, file: Path, write: Any) -> None:
        # A name of its own: processes may share the folder.
        unfinished = file.with_name(f"unfinished-{uuid.uuid4().hex}")
        with unfinished.open("wb") as stream:
            write(stream)
        unfinished.replace(file)


def _write_npy(
    file: Path, names: Path, blocks: Sequence[Path], ids: Iterable[Sequence[str]], shape: tuple[int, int]
) -> None:
    import numpy as np

    joined = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    start = 0
    with names.open("w", encoding="utf-8", newline="\n") as stream:
        for block, block_ids in zip(blocks, ids, strict=True):
            part = np.load(block)
            joined[start : start + len(part)] = part
            start += len(part)
            for name in block_ids:
                if len(name.splitlines()) > 1:
                    raise InputError("a document id holds a line break", remedy="write .parquet instead")
                stream.write(name + "\n")
    joined.flush()


def _write_parquet(file: Path, blocks: Sequence[Path], ids: Iterable[Sequence[str]], size: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = pa.list_(pa.float32(), size)
    schema = pa.schema([("document_id", pa.string()), ("embedding", kind)])
    with pq.ParquetWriter(file, schema) as writer:
        for block, block_ids in zip(blocks, ids, strict=True):
            values = pa.FixedSizeListArray.from_arrays(pa.array(np.load(block).ravel()), size)
            writer.write_table(pa.table([pa.array(block_ids, pa.string()), values], schema=schema))


def read_embeddings(file: str | Path, *, in_memory: bool = True) -> tuple[np.ndarray, list[str]]:
    """Read what `EmbeddingOutput` wrote, or embeddings of other programs in the same form.

    Args:
        file: `.npy` with the list of ids beside it, or `.parquet`.
        in_memory: Otherwise a `.npy` file is mapped and stays in the dtype that it has.

    Returns:
        `(documents, hidden)` embeddings, float32 in memory, and the documents' ids.

    Raises:
        InputError: A file is missing or damaged, ids and embeddings do not match, an id occurs twice, or a number is
            not finite.
    """
    import numpy as np

    path = Path(file)
    if not path.is_file():
        raise InputError("no such file of embeddings", file=path, remedy="write it with encode.py")
    try:
        embeddings, ids = _read_parquet(path) if path.suffix == ".parquet" else _read_npy(path, in_memory)
    except (ValueError, OSError, LookupError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("is not a file of embeddings", file=path, remedy="write it with encode.py") from error
    if embeddings.dtype.kind != "f":
        raise InputError(f"holds {embeddings.dtype} values, not floating point numbers", file=path)
    if embeddings.ndim != 2 or len(embeddings) != len(ids):
        shape = " x ".join(map(str, embeddings.shape))
        raise InputError(f"holds {shape} numbers for {len(ids)} document ids", file=path)
    if len(set(ids)) < len(ids):
        raise InputError("a document id occurs twice", file=path)
    for start in range(0, len(ids), CHECKED_ROWS):
        finite = np.isfinite(embeddings[start : start + CHECKED_ROWS]).all(1)
        if not finite.all():
            row = start + int(np.flatnonzero(~finite)[0])
            raise InputError(f"the embedding of '{ids[row]}' holds a number that is not finite", file=path, row=row + 1)
    return embeddings, ids


def rows_of_documents(ids: Sequence[str], wanted: Sequence[str], file: str | Path, whose: str = "") -> list[int]:
    """Return where the embeddings of documents lie in a file.

    Args:
        ids: Of the file's embeddings.
        wanted: Ids of the documents.
        file: For the message.
        whose: Which documents they are, for the message: " of the test split".

    Raises:
        InputError: A document has no embedding.
    """
    position = {name: row for row, name in enumerate(ids)}
    missing = [name for name in wanted if name not in position]
    if missing:
        raise InputError(
            f"{len(missing):,} of {len(wanted):,} documents{whose} have no embedding, the first is '{missing[0]}'",
            file=file,
            remedy="encode the same data",
        )
    return [position[name] for name in wanted]


def _read_npy(path: Path, in_memory: bool) -> tuple[np.ndarray, list[str]]:
    import numpy as np

    names = ids_file(path)
    if not names.is_file():
        raise InputError("the list of document ids is missing", file=names, remedy="keep it beside the .npy file")
    ids = names.read_text(encoding="utf-8").split("\n")[:-1]
    if in_memory:
        return np.load(path, allow_pickle=False).astype(np.float32, copy=False), ids
    return np.load(path, allow_pickle=False, mmap_mode="r"), ids


def _read_parquet(path: Path) -> tuple[np.ndarray, list[str]]:
    import numpy as np
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=["document_id", "embedding"]).combine_chunks()
    size = table.schema.field("embedding").type.list_size
    values = np.concatenate([chunk.flatten().to_numpy() for chunk in table["embedding"].chunks])
    return values.astype(np.float32, copy=False).reshape(-1, size), table["document_id"].to_pylist()


def digest_of(ids: Sequence[str], texts: Sequence[str]) -> str:
    """Return a digest of documents and their ids."""
    import xxhash

    state = xxhash.xxh3_128()
    for value in _fields(ids, texts):
        state.update(len(value).to_bytes(8, "little"))
        state.update(value)
    return state.hexdigest()


def _fields(ids: Sequence[str], texts: Sequence[str]) -> Iterator[bytes]:
    for name, text in zip(ids, texts, strict=True):
        yield name.encode("utf-8", "surrogatepass")
        yield text.encode("utf-8", "surrogatepass")


def digest_of_checkpoint(folder: Path) -> str:
    """Return a digest of the files that decide a checkpoint's embeddings."""
    import xxhash

    folders = {folder}
    if (folder / "modules.json").is_file():
        folders |= {folder / module["path"] for module in json.loads((folder / "modules.json").read_text())}
    state = xxhash.xxh3_128()
    # A module without settings of its own, such as a normalisation, may have no folder.
    files = (file for place in folders if place.is_dir() for file in place.iterdir() if file.is_file())
    for file in sorted(file for file in files if file.suffix in (".json", ".safetensors", ".bin", ".txt", ".model")):
        state.update(str(file.relative_to(folder)).encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                state.update(block)
    return state.hexdigest()


def digest_of_model(name_or_path: str) -> str:
    """Return the digest of a checkpoint folder; of a model from the Hub, whose files are not at hand, its name."""
    path = Path(name_or_path)
    return digest_of_checkpoint(path) if path.is_dir() else name_or_path

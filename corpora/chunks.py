"""Cleaned chunks on disk: what a killed preparation keeps, and what the later stages read column by column."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from corpora.cleaning import Cleaner, CleaningOptions, count_words
from corpora.columns import NoteColumns
from corpora.deduplication import signatures, text_hash
from corpora.records import NoteRecord, ReadingOptions, kind_of_label, read_records
from corpora.shards import Shard
from corpora.sources import Source

CHUNK_ROWS = 10_000
CHUNK_CHARACTERS = 16_000_000
NO_CATEGORY = "(none)"


@dataclass
class ChunkCounts:
    """What was counted while rows became a chunk; kept in its file.

    Args:
        source: Index of the source of the last row.
        rows: Rows of that source read so far.
        read: Rows read for this chunk.
        dropped: Rows left out, by reason.
        cleaned: Documents changed, by cleaning step.
        categories: Rows read of each note category.
        label_kinds: For each label column, the kinds of its values.
    """

    source: int = 0
    rows: int = 0
    read: int = 0
    dropped: Counter = field(default_factory=Counter)
    cleaned: Counter = field(default_factory=Counter)
    categories: Counter = field(default_factory=Counter)
    label_kinds: list[list[str]] = field(default_factory=list)


class CleanedChunks:
    """Reads, cleans and hashes the sources into `chunk-NNNNN.parquet` files.

    Each file is written under another name and renamed, so that it is whole or not there. It has the columns text,
    document_id, patient_id, note_category, split, labels (JSON), text_hash, id_hash, patient_hash, label_hash,
    signature, words, source and row.

    Args:
        folder: Where the files lie.
        sources: The inputs.
        columns: The resolved columns of each.
        reading: What to do about rows that hold no usable note.
        cleaning: The cleaning steps.
        excluded_admissions: Ids of admissions to leave out.
        with_signatures: Whether near-duplicates will be looked for.
        num_proc: Processes that clean and hash.
        shard: Which chunks to write, for machines that share the work; all by default. Where a chunk begins does not
            depend on it, so every machine reads all rows, and cleans and hashes its own.
    """

    def __init__(
        self,
        folder: Path,
        sources: Sequence[Source],
        columns: Sequence[NoteColumns],
        reading: ReadingOptions,
        cleaning: CleaningOptions,
        excluded_admissions: frozenset[str],
        with_signatures: bool,
        num_proc: int = 1,
        shard: Shard | None = None,
    ) -> None:
        self.folder, self.sources, self.columns = folder, sources, columns
        self.reading, self.excluded, self.with_signatures = reading, excluded_admissions, with_signatures
        self.cleaning, self.num_proc, self.shard = cleaning, num_proc, shard or Shard(1, 1)
        self.total = 0
        """Chunks of all shards together, once `write_missing` has returned."""

    @property
    def files(self) -> list[Path]:
        """The finished files in the order of their rows."""
        numbers = itertools.count(self.shard.number - 1, self.shard.count)
        numbered = zip(sorted(self.folder.glob("chunk-*.parquet")), numbers, strict=False)
        # Processes may have finished later chunks than the one they were stopped at: those are written again.
        return [
            file for file, _ in itertools.takewhile(lambda pair: pair[0] == chunk_file(self.folder, pair[1]), numbered)
        ]

    def write_missing(self, advance: Callable[[int], None]) -> None:
        """Write the chunks that are not there yet.

        Args:
            advance: Called with the number of rows that each chunk covers, finished ones included.

        Raises:
            InputError: A row is at fault.
        """
        self.folder.mkdir(exist_ok=True)
        done = [read_counts(file) for file in self.files]
        for counts in done:
            advance(counts.read)
        tasks = self._tasks(done)
        for read in map(write_chunk, tasks) if self.num_proc == 1 else _in_processes(tasks, self.num_proc):
            advance(read)

    def _tasks(self, done: Sequence[ChunkCounts]) -> Iterator[ChunkTask]:
        """Yield the shard's chunks after those that are done, and count those of all shards."""
        if done:
            self.total = (len(done) - 1) * self.shard.count + self.shard.number
        for batch, counts in self._batches(done[-1] if done else ChunkCounts()):
            number, self.total = self.total, self.total + 1
            if self.shard.owns(number):
                yield ChunkTask(chunk_file(self.folder, number), batch, counts, self.cleaning, self.with_signatures)

    def _batches(self, start: ChunkCounts) -> Iterator[tuple[list[tuple[int, NoteRecord]], ChunkCounts]]:
        """Gather rows into batches, bounded in rows and characters, from the position that `start` reached."""
        batch: list[tuple[int, NoteRecord]] = []
        counts = ChunkCounts(source=start.source, rows=start.rows)
        characters = 0
        for index in range(start.source, len(self.sources)):
            records = read_records(self.sources[index], self.columns[index], self.reading, self.excluded)
            done = start.rows if index == start.source else 0
            counts.source, counts.rows = index, done
            for position, record in enumerate(records, 1):
                if position <= done:
                    continue
                batch.append((index, record))
                counts.rows = position
                characters += len(record.text)
                if len(batch) >= CHUNK_ROWS or characters >= CHUNK_CHARACTERS:
                    yield batch, counts
                    batch, counts, characters = [], ChunkCounts(source=index, rows=position), 0
        if batch:
            yield batch, counts


def chunk_file(folder: Path, number: int) -> Path:
    """Return the file of a chunk, counted from 0."""
    return folder / f"chunk-{number:05d}.parquet"


class ChunkTask(NamedTuple):
    """One chunk to clean, hash and write.

    Args:
        file: The file to make.
        batch: Source index and record of each row.
        counts: The position that the rows reach in the input.
        cleaning: The cleaning steps.
        with_signatures: Whether near-duplicates will be looked for.
    """

    file: Path
    batch: list[tuple[int, NoteRecord]]
    counts: ChunkCounts
    cleaning: CleaningOptions
    with_signatures: bool


def write_chunk(task: ChunkTask) -> int:
    """Write a chunk's file and return the number of its rows; it appears under its name only when it is whole."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    cleaner, counts = Cleaner(task.cleaning), task.counts
    kept: list[dict[str, Any]] = []
    kinds: list[set[str]] = [set() for _ in task.batch[0][1].labels]
    counts.read = len(task.batch)
    for index, record in task.batch:
        counts.categories[record.note_category or NO_CATEGORY] += 1
        if record.dropped:
            counts.dropped[record.dropped] += 1
            continue
        text, changed = cleaner.clean(record.text)
        words = count_words(text)
        if cleaner.is_too_short(text, words):
            counts.dropped["too short"] += 1
            continue
        counts.cleaned.update(changed)
        for kind, label in zip(kinds, record.labels, strict=True):
            if label is not None:
                kind.add(kind_of_label(label))
        kept.append(_row(index, record, text, words))
    counts.label_kinds = [sorted(kind) for kind in kinds]
    if task.with_signatures:
        for row, signature in zip(kept, signatures([row["text"] for row in kept]), strict=True):
            row["signature"] = signature.tobytes()
    metadata = {"counts": json.dumps(vars(counts))}
    table = pa.Table.from_pylist(kept, schema=_schema().with_metadata(metadata))
    unfinished = task.file.with_suffix(".unfinished")
    pq.write_table(table, unfinished, compression="zstd", use_dictionary=["note_category", "split"])
    unfinished.replace(task.file)
    return counts.read


def _in_processes(tasks: Iterator[ChunkTask], num_proc: int) -> Iterator[int]:
    """Write chunks in several processes, with at most two for each in memory, and yield their rows in order."""
    context = multiprocessing.get_context("spawn")  # forking would copy Arrow's threads in an unknown state
    with ProcessPoolExecutor(num_proc, mp_context=context, initializer=_end_with_parent) as pool:
        pending: deque = deque()
        try:
            for task in tasks:
                pending.append(pool.submit(write_chunk, task))
                if len(pending) >= 2 * num_proc:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _end_with_parent() -> None:
    """End this process when the one that started it has been killed, which a waiting worker does not notice."""

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _row(source: int, record: NoteRecord, text: str, words: int) -> dict[str, Any]:
    # Joining the JSON texts is unambiguous, and null differs from "null".
    labels = json.dumps([record.note_category, *record.labels])
    return {
        "text": text,
        "document_id": record.document_id,
        "patient_id": record.patient_id,
        "note_category": record.note_category,
        "split": record.split,
        "labels": list(record.labels),
        "text_hash": text_hash(text),
        "id_hash": text_hash(record.document_id),
        # A document of an unknown patient is a patient of its own; the NUL keeps it apart from true ids.
        "patient_hash": text_hash(record.patient_id or f"\0{source}-{record.row}"),
        "label_hash": text_hash(labels),
        "words": words,
        "source": source,
        "row": record.row,
    }


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        {
            "text": pa.large_string(),
            "document_id": pa.string(),
            "patient_id": pa.string(),
            "note_category": pa.string(),
            "split": pa.string(),
            "labels": pa.list_(pa.string()),
            "text_hash": pa.binary(16),
            "id_hash": pa.binary(16),
            "patient_hash": pa.binary(16),
            "label_hash": pa.binary(16),
            "signature": pa.binary(),
            "words": pa.int32(),
            "source": pa.int32(),
            "row": pa.int64(),
        }
    )


def read_counts(file: Path) -> ChunkCounts:
    """Return the counts kept in a chunk's file."""
    import pyarrow.parquet as pq

    counts = ChunkCounts(**json.loads(pq.read_schema(file).metadata[b"counts"]))
    for name in ("dropped", "cleaned", "categories"):
        setattr(counts, name, Counter(getattr(counts, name)))
    return counts


def read_columns(file: Path, columns: Sequence[str]) -> Any:
    """Return some columns of a chunk as an Arrow table."""
    import pyarrow.parquet as pq

    return pq.read_table(file, columns=list(columns), use_threads=False)

"""The preparation job: inputs to a clean, grouped and split `DatasetDict` on disk; restartable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from corpora.canaries import CanaryOptions
from corpora.chunks import CleanedChunks
from corpora.cleaning import CleaningOptions
from corpora.columns import NoteColumns, read_admissions
from corpora.deduplication import DuplicateOptions
from corpora.errors import InputError
from corpora.preparation_folder import Workshop, progress_bar
from corpora.preparation_output import PreparationPlan, finish_preparation
from corpora.preparation_report import SCHEMA_VERSION
from corpora.preparation_shards import finish_shard
from corpora.records import ReadingOptions, resolve_all
from corpora.shards import MANIFEST, Shard
from corpora.sources import find_sources
from corpora.splitting import SplitOptions


def prepare_notes(
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    columns: NoteColumns | None = None,
    *,
    reading: ReadingOptions | None = None,
    cleaning: CleaningOptions | None = None,
    duplicates: DuplicateOptions | None = None,
    splits: SplitOptions | None = None,
    canaries: CanaryOptions | None = None,
    exclude_admissions: str | Path | None = None,
    shard: Shard | None = None,
    overwrite: bool = False,
    num_proc: int = 1,
    progress: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Clean, deduplicate and split notes into a folder for `load_corpus` and `datasets.load_from_disk`.

    Work in progress lies in `OUTPUT.partial`. A killed job goes on from its last chunk of cleaned rows when it is
    started again with the same inputs and options, and ends with the same bytes as one that was not killed.

    Args:
        inputs: Files, globs, saved datasets or Hub ids; see `find_sources`.
        output: The folder to make.
        columns: Names of the input's columns.
        reading: What to do about rows that hold no usable note.
        cleaning: The cleaning steps.
        duplicates: What counts as a duplicate.
        splits: Shares and seed.
        canaries: Random identifiers to plant into the training split; see `corpora.canaries`.
        exclude_admissions: File of admission ids to leave out.
        shard: Read, clean and hash only this share of the notes, into a folder of its own (`Shard.folder`); see
            `corpora.preparation_shards`.
        overwrite: Replace a corpus that was prepared with other inputs or options.
        num_proc: Processes that clean and hash; the result does not depend on it.
        progress: Show progress bars on stderr.
        say: Called with each message for the user.

    Returns:
        The content of `OUTPUT/preparation.json`; see `corpora.preparation_report`. Of a shard, the content of its
        `shard.json`.

    Raises:
        InputError: An input, a row or an option is at fault, or the output cannot be written.
    """
    columns, reading, cleaning = columns or NoteColumns(), reading or ReadingOptions(), cleaning or CleaningOptions()
    duplicates, splits, output = duplicates or DuplicateOptions(), splits or SplitOptions(), Path(output)
    if num_proc < 1:
        raise InputError(f"--num_proc {num_proc} is below 1", remedy="give the number of processes")
    sources = find_sources(inputs)
    resolved = resolve_all(sources, columns, reading)
    excluded: frozenset[str] = frozenset()
    if exclude_admissions is not None:
        if columns.admission_column is None:
            raise InputError(
                "--exclude_admissions needs the admissions' column", remedy="name it with --admission_column"
            )
        excluded = read_admissions(exclude_admissions, columns.admission_column)
    options = {
        "columns": asdict(columns) | {"label_columns": list(columns.label_columns)},
        "reading": asdict(reading),
        "cleaning": asdict(cleaning),
        "duplicates": asdict(duplicates),
        "splits": splits.as_dict(),
        "excluded_admissions": len(excluded),
    }
    if canaries is not None and canaries.canaries:  # only then: a corpus without them stays the job that it was
        options["canaries"] = asdict(canaries)
    identity = {
        "schema_version": SCHEMA_VERSION,
        "sources": [[Path(s.name).name, s.kind, s.state, s.stem, s.split] for s in sources],
        "resolved": [asdict(one) for one in resolved],
        "options": options,
        "excluded": sorted(excluded),
        "rensa": version("rensa"),
    }
    fingerprint = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=16).hexdigest()
    if any(Path(source.name).resolve() == output.resolve() for source in sources):
        raise InputError("the output is one of the inputs", file=output, remedy="name another output folder")
    plan = PreparationPlan(fingerprint, tuple(sources), resolved[0], options)
    workshop = Workshop(output, fingerprint)
    if shard is not None:
        workshop = Workshop(shard.folder(output), fingerprint, record=MANIFEST)
    finished = workshop.finished_report(overwrite)
    if finished is not None:
        say(f"{workshop.output} is already prepared from these inputs and options")
        return finished
    chunks = CleanedChunks(
        workshop.folder / "chunks",
        sources,
        resolved,
        reading,
        cleaning,
        excluded,
        with_signatures=duplicates.near_duplicate_threshold > 0,
        num_proc=num_proc,
        shard=shard,
    )
    if workshop.open():
        say(f"going on with a preparation that was stopped: {len(chunks.files)} chunks of rows are done")
    try:
        with progress_bar("Cleaning", "documents", progress) as bar:
            chunks.write_missing(bar.update)
    except InputError:
        # The user will mend the input, which makes it another job: nothing here can be used again.
        workshop.discard()
        raise
    if shard is None:
        return finish_preparation(plan, chunks.files, workshop, progress)
    return finish_shard(plan, shard, chunks, workshop)

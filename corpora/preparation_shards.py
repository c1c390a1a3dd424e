"""A preparation shared among machines: each cleans and hashes its chunks of rows, one command joins them.

Cleaning and hashing take most of the time and look at one document at a time, so they are shared. What looks at all
documents comes after them, when the shards are merged: exact and near-duplicates, units of patients, splits. It reads
hashes and signatures alone. The chunks are those of a preparation in one piece, and so is every byte of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from corpora.chunks import CleanedChunks, chunk_file
from corpora.errors import InputError
from corpora.preparation_folder import Workshop
from corpora.preparation_output import PreparationPlan, finish_preparation
from corpora.shards import Shard, Shards, write_manifest

KIND = "preparation"


def finish_shard(plan: PreparationPlan, shard: Shard, chunks: CleanedChunks, workshop: Workshop) -> dict[str, Any]:
    """Describe the chunks of a shard and put them in their place.

    Args:
        plan: The whole job.
        shard: Which share.
        chunks: Written.
        workshop: Where it works.

    Returns:
        The content of `shard.json`.
    """
    write_manifest(chunks.folder, KIND, shard, plan.fingerprint, {**plan.as_dict(), "chunks": chunks.total})
    workshop.publish(chunks.folder.name)
    return workshop.finished_report(overwrite=False) or {}


def merge_prepared(
    shards: Shards,
    output: str | Path,
    *,
    overwrite: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Find duplicates over all shards, split, and write the corpus that a preparation in one piece writes.

    Args:
        shards: From `read_shards`; left as they are.
        output: The folder to make.
        overwrite: Replace a corpus that was prepared with other inputs or options.
        progress: Show progress bars on stderr.
        say: Called with each message for the user.

    Returns:
        The content of `OUTPUT/preparation.json`.

    Raises:
        InputError: A shard lacks a chunk, the documents contradict each other, or the output cannot be written.
    """
    output = Path(output)
    if output.resolve() in {folder.resolve() for folder in shards.folders}:
        raise InputError("the output is one of the shards", file=output, remedy="name another output folder")
    files = [chunk_file(shards.owner(number), number) for number in range(shards.job["chunks"])]
    _refuse_missing(files)
    workshop = Workshop(output, shards.fingerprint)
    finished = workshop.finished_report(overwrite)
    if finished is not None:
        say(f"{output} is already prepared from these inputs and options")
        return finished
    workshop.open()
    return finish_preparation(PreparationPlan.from_dict(shards.fingerprint, shards.job), files, workshop, progress)


def _refuse_missing(files: Sequence[Path]) -> None:
    for file in files:
        if not file.is_file():
            raise InputError("a part of the shard is missing", file=file, remedy="run the shard again")

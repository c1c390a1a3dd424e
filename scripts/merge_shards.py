"""Shards in, the result of the whole job out: joins what runs with `--shard` left.

    python scripts/merge_shards.py corpus.shard-* --output corpus
    python scripts/merge_shards.py embeddings.npy.shard-* --output embeddings.npy

The result is that of a run without shards, byte for byte. The shards stay; delete them when the result is there.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field

from command_line import RecipeParser, run
from corpora.errors import InputError
from corpora.preparation_shards import KIND as PREPARATION
from corpora.preparation_shards import merge_prepared
from corpora.shards import Shards, read_shards
from embedding_files import EmbeddingOutput
from embedding_shards import KIND as EMBEDDINGS
from embedding_shards import merge_embeddings
from preparation_messages import print_preparation


@dataclass
class MergeOptions:
    """What is merged, and where to."""

    _argument_group_name = "Shards"

    shards: list[str] = field(
        metadata={
            "positional": True,
            "help": "Folders that runs of prepare_notes.py or encode.py with --shard left, all of one job, in any "
            "order; they begin the command line.",
        }
    )
    output: str = field(metadata={"help": "Folder of the corpus, or file of embeddings (.npy or .parquet)."})
    overwrite: bool = field(default=False, metadata={"help": "Replace an existing output."})
    quiet: bool = field(default=False, metadata={"help": "No progress bars and no tables."})


def main(argv: list[str] | None = None) -> None:
    """Merge as the command line says."""
    (options,) = RecipeParser([MergeOptions], description=" ".join(__doc__.split("\n\n")[0].split())).parse(argv)
    shards = read_shards(options.shards)
    kinds = {PREPARATION: _merge_notes, EMBEDDINGS: _merge_embeddings}
    if shards.kind not in kinds:
        raise InputError(f"'{shards.kind}' is no kind of shard of this version", file=shards.folders[0])
    kinds[shards.kind](shards, options)


def _merge_notes(shards: Shards, options: MergeOptions) -> None:
    report = merge_prepared(
        shards,
        options.output,
        overwrite=options.overwrite,
        progress=not options.quiet,
        say=lambda message: print(message, file=sys.stderr),
    )
    print_preparation(report, options.output, quiet=options.quiet)


def _merge_embeddings(shards: Shards, options: MergeOptions) -> None:
    output = EmbeddingOutput(options.output, overwrite=options.overwrite)
    output.prepare()
    try:
        documents, size = merge_embeddings(shards, output)
    except BaseException:
        shutil.rmtree(output.partial, ignore_errors=True)
        raise
    finally:
        output.abandon()
    if not options.quiet:
        print(f"{documents:,} documents, {size} numbers each: {output.path}")


if __name__ == "__main__":
    run(main)

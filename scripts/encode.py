"""Documents in, embeddings out: `python scripts/encode.py CHECKPOINT --data notes.csv --output embeddings.npy`.

Several GPUs: `accelerate launch --multi_gpu --num_processes 4 scripts/encode.py ...`. Several machines: `--shard I/N`
on each, then `scripts/merge_shards.py`. Either way the file holds the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from column_options import DocumentColumns
from command_line import RecipeParser, run
from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.records import ReadingOptions
from corpora.shards import Shard
from embedding_files import EmbeddingOutput, ids_file
from embedding_shards import EmbeddingShard
from encoded_documents import encode_documents
from encoder_options import EncoderOptions
from launching import Processes, joined_processes, warn_about_missing_processes
from modeling.checkpoint_folder import check_checkpoint
from modeling.devices import check_device

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(kw_only=True)
class EncodeOptions(DocumentColumns):
    """What to encode, and where to."""

    _argument_group_name = "Documents"

    model: str = field(
        metadata={"positional": True, "help": "Checkpoint folder, or Hub id; anything sentence-transformers loads."}
    )
    data: list[str] = field(
        metadata={
            "help": "Folder of prepare_notes.py, files of notes (CSV, TSV, JSON lines, Parquet; .gz too), globs, or "
            "a Hub dataset id."
        }
    )
    output: str = field(
        metadata={"help": "FILE.npy, with the ids line by line in FILE.ids.txt, or FILE.parquet with both."}
    )
    overwrite: bool = field(default=False, metadata={"help": "Replace an existing output."})
    split: list[str] | None = field(default=None, metadata={"help": "Splits to encode, in this order; all by default."})
    shard: str | None = field(
        default=None,
        metadata={
            "help": "I/N: encode only the I-th of N shares, into OUTPUT.shard-I-of-N, for machines that work side by "
            "side; merge_shards.py joins the shares to the file of a run without it."
        },
    )
    quiet: bool = field(default=False, metadata={"help": "No progress bars."})


def main(argv: list[str] | None = None) -> None:
    """Encode documents as the command line says."""
    options, encoding, reading = RecipeParser(
        [EncodeOptions, EncoderOptions, ReadingOptions], description=" ".join(__doc__.split("\n\n")[0].split())
    ).parse(argv)
    shard = Shard.parse(options.shard)
    if shard is None:
        output = EmbeddingOutput(options.output, overwrite=options.overwrite)
    else:
        output = EmbeddingShard(options.output, shard, overwrite=options.overwrite)
    check_checkpoint(options.model)
    check_device(encoding.device)  # before documents are read, which can take long
    with joined_processes() as processes:
        warn_about_missing_processes(processes.count)
        _encode(options, encoding, reading, output, processes)


def _encode(
    options: EncodeOptions,
    encoding: EncoderOptions,
    reading: ReadingOptions,
    output: EmbeddingOutput,
    processes: Processes,
) -> None:
    quiet = options.quiet or not processes.is_main
    try:
        with processes.main_first():
            if processes.is_main:
                output.prepare()
            if quiet:
                _silence_libraries()
            documents = _load_documents(options, reading)
        if isinstance(output, EmbeddingShard) and processes.is_main:
            from corpora.digest import corpus_digest

            output.corpus = corpus_digest(documents)
        encoder = encode_documents(documents, options.model, encoding, output, quiet=quiet, processes=processes)
    finally:
        output.abandon()
    if not processes.is_main:
        return
    if isinstance(output, EmbeddingShard):
        print(f"Shard {output.shard} of the embeddings of {len(documents):,} documents: {output.folder}")
        return
    beside = f" (ids: {ids_file(output.path)})" if output.path.suffix == ".npy" else ""
    print(f"{len(documents):,} documents, {encoder.embedding_size} numbers each: {output.path}{beside}")


def _load_documents(options: EncodeOptions, reading: ReadingOptions) -> Dataset:
    from corpora.loading import load_corpus

    corpus = load_corpus(options.data, NoteColumns(options.text_column, options.document_id_column), reading)
    splits = options.split or list(corpus)
    if not splits:
        raise InputError("there are no documents", file=options.data[0])
    for split in splits:
        if split not in corpus:
            raise InputError(
                f"there is no split '{split}'", file=options.data[0], remedy=f"choose from {', '.join(corpus)}"
            )
    from datasets import concatenate_datasets

    return concatenate_datasets([corpus[split].select_columns(["document_id", "text"]) for split in splits])


def _silence_libraries() -> None:
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()


if __name__ == "__main__":
    run(main)

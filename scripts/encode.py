"""Documents in, embeddings out: `python scripts/encode.py CHECKPOINT --data notes.csv --output embeddings.npy`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from column_options import DocumentColumns
from command_line import RecipeParser, run
from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.records import ReadingOptions
from embedding_files import EmbeddingOutput, digest_of, digest_of_checkpoint, ids_file
from encoder_options import EncoderOptions
from modeling.checkpoint_folder import check_checkpoint

if TYPE_CHECKING:
    from datasets import Dataset

    from modeling.document_encoder import DocumentEncoder

# Documents between two saves. The order of computation within a shard decides the last bits of an embedding, so shards
# begin at the same documents in every run.
SHARD = 256


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
    quiet: bool = field(default=False, metadata={"help": "No progress bars."})


def main(argv: list[str] | None = None) -> None:
    """Encode documents as the command line says."""
    options, encoding, reading = RecipeParser(
        [EncodeOptions, EncoderOptions, ReadingOptions], description=__doc__
    ).parse(argv)
    output = EmbeddingOutput(options.output, overwrite=options.overwrite)
    checkpoint = check_checkpoint(options.model)
    output.prepare()
    try:
        if options.quiet:
            _silence_libraries()
        documents = _load_documents(options, reading)
        encoder = encoding.load(options.model)
        fingerprint = _fingerprint(encoder, checkpoint, options.model, encoding, len(documents))
        if output.resume(fingerprint):
            print("An unfinished run with another model or other options was discarded.", file=sys.stderr)
        shards = _encode_shards(encoder, documents, output, encoding.batch_size, quiet=options.quiet)
        ids = (part["document_id"] for part in _parts(documents.select_columns(["document_id"])))
        output.finish(shards, ids, len(documents), encoder.embedding_size)
    finally:
        output.abandon()
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


def _fingerprint(
    encoder: DocumentEncoder, checkpoint: Path | None, name: str, options: EncoderOptions, documents: int
) -> dict[str, Any]:
    """Describe all that decides the numbers, except for the documents themselves."""
    import sentence_transformers
    import torch
    import transformers

    if checkpoint is not None:
        identity = digest_of_checkpoint(checkpoint)
    else:
        identity = f"{name}@{getattr(encoder.model[0].auto_model.config, '_commit_hash', None)}"
    return {
        "checkpoint": identity,
        "options": {**asdict(options), "device": str(encoder.model.device), "max_length": encoder.max_length},
        "documents": documents,
        "shard": SHARD,
        "versions": [module.__version__ for module in (torch, transformers, sentence_transformers)],
    }


def _parts(documents: Dataset) -> Iterator[dict[str, list[str]]]:
    for start in range(0, len(documents), SHARD):
        yield documents[start : start + SHARD]


def _encode_shards(
    encoder: DocumentEncoder, documents: Dataset, output: EmbeddingOutput, batch_size: int, *, quiet: bool
) -> list[Path]:
    """Write the shards that are not there yet; return all, in order."""
    from tqdm.auto import tqdm

    shards = []
    with tqdm(total=len(documents), unit=" documents", desc="encoding", disable=quiet) as bar:
        for index, part in enumerate(_parts(documents)):
            shards.append(output.shard(index, digest_of(part["document_id"], part["text"])))
            if not shards[-1].is_file():
                output.write_shard(shards[-1], encoder.encode(part["text"], batch_size))
            bar.update(len(part["text"]))
    return shards


def _silence_libraries() -> None:
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()


if __name__ == "__main__":
    run(main)

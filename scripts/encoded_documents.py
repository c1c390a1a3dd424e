"""Documents to a file of embeddings, in shards that survive a kill."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedding_files import EmbeddingOutput, digest_of, digest_of_checkpoint
from encoder_options import EncoderOptions
from modeling.checkpoint_folder import check_checkpoint

if TYPE_CHECKING:
    from datasets import Dataset

    from modeling.document_encoder import DocumentEncoder

# Documents between two saves. The order of computation within a shard decides the last bits of an embedding, so shards
# begin at the same documents in every run.
SHARD = 256


def encode_documents(
    documents: Dataset, model: str, encoding: EncoderOptions, output: EmbeddingOutput, *, quiet: bool = False
) -> DocumentEncoder:
    """Encode documents to a file; what an earlier run with the same model and options left is not done again.

    Args:
        documents: With `document_id` and `text`.
        model: Checkpoint folder or Hub id.
        encoding: How it reads documents.
        output: Where to; prepared.
        quiet: No progress bar.

    Returns:
        The encoder.
    """
    checkpoint = check_checkpoint(model)
    encoder = encoding.load(model)
    if output.resume(_fingerprint(encoder, checkpoint, model, encoding, len(documents))):
        print("An unfinished run with another model or other options was discarded.", file=sys.stderr)
    shards = _encode_shards(encoder, documents, output, encoding.batch_size, quiet=quiet)
    ids = (part["document_id"] for part in _parts(documents.select_columns(["document_id"])))
    output.finish(shards, ids, len(documents), encoder.embedding_size)
    return encoder


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

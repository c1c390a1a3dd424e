"""Documents to a file of embeddings, in blocks that survive a kill and that processes and machines can share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedding_files import EmbeddingOutput, digest_of, digest_of_checkpoint
from encoder_options import EncoderOptions
from launching import Processes
from modeling.checkpoint_folder import check_checkpoint

if TYPE_CHECKING:
    from datasets import Dataset

    from modeling.document_encoder import DocumentEncoder

# Documents between two saves. The order of computation within a block decides the last bits of an embedding, so blocks
# begin at the same documents in every run, and processes and machines share whole blocks.
BLOCK = 256


def encode_documents(
    documents: Dataset,
    model: str,
    encoding: EncoderOptions,
    output: EmbeddingOutput,
    *,
    quiet: bool = False,
    processes: Processes | None = None,
) -> DocumentEncoder:
    """Encode documents to a file; what an earlier run with the same model and options left is not done again.

    Args:
        documents: With `document_id` and `text`.
        model: Checkpoint folder or Hub id.
        encoding: How it reads documents.
        output: Where to; prepared.
        quiet: No progress bar.
        processes: Share the blocks; each has called this function.

    Returns:
        The encoder.
    """
    processes = processes or Processes()
    checkpoint = check_checkpoint(model)
    encoder = encoding.load(model)
    fingerprint = _fingerprint(encoder, checkpoint, model, encoding, len(documents))
    if processes.is_main and output.resume(fingerprint):
        print("An unfinished run with another model or other options was discarded.", file=sys.stderr)
    processes.wait()
    numbers = [number for number in range(-(-len(documents) // BLOCK)) if output.shard.owns(number)]
    _encode_blocks(encoder, documents, output, numbers[processes.rank :: processes.count], encoding.batch_size, quiet)
    processes.wait()
    if processes.is_main:
        blocks = [output.block(number, _digest(_part(documents, number))) for number in numbers]
        ids = (_part(documents.select_columns(["document_id"]), number)["document_id"] for number in numbers)
        output.finish(blocks, ids, len(documents), encoder.embedding_size)
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
        "options": {**asdict(options), "device": encoder.model.device.type, "max_length": encoder.max_length},
        "documents": documents,
        "block": BLOCK,
        "versions": [module.__version__ for module in (torch, transformers, sentence_transformers)],
    }


def _part(documents: Dataset, number: int) -> dict[str, list[str]]:
    return documents[number * BLOCK : (number + 1) * BLOCK]


def _digest(part: dict[str, list[str]]) -> str:
    return digest_of(part["document_id"], part["text"])


def _encode_blocks(
    encoder: DocumentEncoder,
    documents: Dataset,
    output: EmbeddingOutput,
    numbers: Sequence[int],
    batch_size: int,
    quiet: bool,
) -> None:
    """Write the blocks that are not there yet."""
    from tqdm.auto import tqdm

    total = sum(min(BLOCK, len(documents) - number * BLOCK) for number in numbers)
    with tqdm(total=total, unit=" documents", desc="encoding", disable=quiet) as bar:
        for number in numbers:
            part = _part(documents, number)
            file = output.block(number, _digest(part))
            if not file.is_file():
                output.write_block(file, encoder.encode(part["text"], batch_size))
            bar.update(len(part["text"]))

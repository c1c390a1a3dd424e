"""A fingerprint of documents that does not depend on where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import xxhash

if TYPE_CHECKING:
    from datasets import Dataset


def corpus_digest(documents: Dataset) -> str:
    """Return a hash of ids and texts in their order; equal for equal documents in any file or folder.

    Args:
        documents: Columns `document_id` and `text`.
    """
    digest = xxhash.xxh3_128()
    for batch in documents.select_columns(["document_id", "text"]).iter(batch_size=1000):
        for identity, text in zip(batch["document_id"], batch["text"], strict=True):
            digest.update(f"{identity}\0{text}\0".encode())
    return f"{len(documents)}-{digest.hexdigest()}"

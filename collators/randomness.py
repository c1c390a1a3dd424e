"""Random numbers that belong to a document, not to a process.

Spans and masks of a document depend on (seed, epoch, document id) alone, so a run gives the same batches with any
number of loader workers or processes, and before and after an interruption.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np


def document_generator(seed: int, epoch: int, document_id: str) -> np.random.Generator:
    """Return the random generator of one document in one epoch.

    Args:
        seed: Seed of the run.
        epoch: Epoch, counted from 0. Evaluation uses a constant.
        document_id: Stable id of the document.
    """
    key = hashlib.blake2b(f"{seed}\x1f{epoch}\x1f{document_id}".encode(), digest_size=16).digest()
    # Philox takes the key as it is; the hash above already mixes the bits, so no SeedSequence is needed.
    return np.random.Generator(np.random.Philox(key=np.frombuffer(key, dtype="<u8")))


def feature_generator(seed: int, feature: Mapping[str, Any]) -> np.random.Generator:
    """Return the random generator of an item of an `EpochDataset`; each draw of a document has its own."""
    name, draw = feature["document_id"], feature.get("draw", 0)
    return document_generator(seed, feature["epoch"], f"{name}\x1f{draw}" if draw else name)

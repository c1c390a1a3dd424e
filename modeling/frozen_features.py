"""What the frozen part of a classifier gives for each document, computed once.

With the whole encoder frozen that is the document embedding; with a part of it frozen, the hidden states of each window
where the trained layers begin. A head, or the remaining layers, train on them exactly as on the documents, because
frozen modules have no dropout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from collators.classification import ClassificationCollator, StoredWindow
from corpora.errors import InputError
from modeling.encoder_layers import boundary_states
from modeling.note_classifier import NoteClassifier


def can_be_cached(model: NoteClassifier) -> bool:
    """Tell whether a part of the model never changes, so that what it gives can be stored."""
    if model.frozen_depth == "all":
        return model.window_attention is None
    return model.frozen_depth != "none"


@torch.inference_mode()
def embed_documents(
    model: NoteClassifier,
    documents: Sequence[Mapping[str, Any]],
    collator: ClassificationCollator,
    batch_size: int = 16,
) -> np.ndarray:
    """Return the document embeddings `(documents, hidden)` float32 of a wholly frozen encoder.

    Args:
        model: The classifier.
        documents: Tokenised documents.
        collator: Reads them.
        batch_size: Documents at a time.

    Raises:
        InputError: An embedding is not finite.
    """
    found = np.zeros((len(documents), model.encoder.config.hidden_size), dtype=np.float32)
    for places, batch in _batches(model, documents, collator, batch_size):
        found[places] = model.embed(**batch).cpu().numpy()
    if not np.isfinite(found).all():
        raise InputError("an encoder gives embeddings that are not finite", remedy="its training may have diverged")
    return found


@torch.inference_mode()
def store_boundary_states(
    model: NoteClassifier,
    documents: Sequence[Mapping[str, Any]],
    collator: ClassificationCollator,
    file: str | Path,
    batch_size: int = 16,
) -> list[dict[str, Any]]:
    """Write the hidden states at the frozen boundary to a file, and return items for `collate_frozen`.

    Args:
        model: A partly frozen classifier.
        documents: Tokenised documents.
        collator: Reads them.
        file: Raw float32, `(tokens, hidden)`; it must outlive the items. 4 x hidden bytes a token.
        batch_size: Documents at a time.
    """
    size, end = model.encoder.config.hidden_size, 0
    windows: dict[int, list[StoredWindow]] = {}
    with Path(file).open("wb") as stream:
        for places, batch in _batches(model, documents, collator, batch_size):
            states = boundary_states(model.encoder, model.frozen_depth, batch["input_ids"], batch["attention_mask"])
            lengths = batch["attention_mask"].sum(1).tolist()
            origin, tokens = batch["window_documents"].tolist(), batch["window_tokens"].tolist()
            for row, length in enumerate(lengths):
                stream.write(states[row, :length].float().cpu().numpy().tobytes())
                windows.setdefault(places[origin[row]], []).append(StoredWindow(end, length, tokens[row]))
                end += length
    stored = np.memmap(file, dtype=np.float32, mode="r", shape=(end, size))
    return [{"boundary_states": stored, "windows": windows[place]} for place in range(len(documents))]


def _batches(
    model: NoteClassifier, documents: Sequence[Mapping[str, Any]], collator: ClassificationCollator, batch_size: int
) -> Any:
    training = model.training
    model.eval()
    lengths = [len(document["input_ids"]) for document in documents]
    order = sorted(range(len(documents)), key=lambda place: -lengths[place])
    for start in range(0, len(order), batch_size):
        places = order[start : start + batch_size]
        batch = collator([{"input_ids": documents[place]["input_ids"]} for place in places])
        yield places, {name: tensor.to(model.device) for name, tensor in batch.items()}
    model.train(training)

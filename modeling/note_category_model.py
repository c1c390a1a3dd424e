"""Texts to probabilities of their metadata categories, with a checkpoint that was trained with category heads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modeling.category_heads import FOLDER, CategoryHeads
from modeling.document_encoder import DocumentEncoder


class NoteCategoryModel:
    """An encoder and the category heads that were trained with it.

    Documents are read whole, in windows (`DocumentEncoder`); the heads read the document embedding. Checkpoints
    trained by a supervised contrastive loss have heads too: probes trained on the embeddings, without effect on them.

    Example:
        ```python
        model = NoteCategoryModel.from_pretrained("runs/model")
        probabilities = model.predict(texts)["note_category"]  # (documents, categories)
        names = model.labels["note_category"]
        ```

    Args:
        encoder: The document encoder.
        heads: The heads.
    """

    def __init__(self, encoder: DocumentEncoder, heads: CategoryHeads) -> None:
        self.encoder, self.heads = encoder, heads

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> NoteCategoryModel:
        """Load a checkpoint folder, or a Hub id.

        Args:
            folder: The checkpoint.
            options: As in `DocumentEncoder.from_pretrained`: `device`, `dtype`, `max_length`, `window_overlap`,
                `windows`.

        Raises:
            InputError: There is no such checkpoint, or it has no category heads.
        """
        local = Path(folder)
        if not local.is_dir():
            from huggingface_hub import snapshot_download

            local = Path(snapshot_download(str(folder), allow_patterns=f"{FOLDER}/*"))
        heads = CategoryHeads.from_pretrained(local)
        return cls(DocumentEncoder.from_pretrained(folder, **options), heads)

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Names of the categories by column, in the order of the probabilities."""
        return {column.name: column.labels for column in self.heads.columns}

    def predict(self, texts: Iterable[str], batch_size: int = 32) -> dict[str, np.ndarray]:
        """Return the probabilities of each column's categories.

        Args:
            texts: The documents.
            batch_size: Windows of full length in a batch.

        Returns:
            By column `(documents, categories)` float32. A row sums to one, except in multi-label columns, where each
            category has a probability of its own.
        """
        embeddings = torch.from_numpy(self.encoder.encode(texts, batch_size))
        with torch.inference_mode():
            return {name: values.numpy() for name, values in self.heads.probabilities(embeddings).items()}

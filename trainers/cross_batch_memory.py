"""Cross-batch memory: embeddings of earlier batches as further negatives (Wang et al. 2020, arXiv 1912.06798)."""

from __future__ import annotations

from pathlib import Path

import torch

from corpora.errors import InputError
from trainers.contrastive_loss import PairRelations

SPAN = 3  # column of `vector_keys`
# Not safetensors: it belongs to the state of a run as the optimizer's files do, and nothing publishes a `.pt`.
MEMORY_FILE = "cross_batch_memory.pt"


def vector_keys(
    document_keys: torch.Tensor,
    patient_keys: torch.Tensor,
    content_keys: torch.Tensor,
    span_keys: torch.Tensor,
    category_keys: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return what each of the 2N vectors of a batch, `[anchors; mean positives]`, comes from.

    Args:
        document_keys: `(N,)`, as in `pair_relations`.
        patient_keys: `(N,)`.
        content_keys: `(N,)`.
        span_keys: `(2, N)`.
        category_keys: `(N,)`; None for no categories.

    Returns:
        `(2N, 5)` int64: keys of document, patient, text, tokens and category.
    """
    categories = document_keys if category_keys is None else category_keys
    both = (keys.repeat(2) for keys in (document_keys, patient_keys, content_keys))
    return torch.stack((*both, span_keys.flatten(), categories.repeat(2)), dim=1)


class CrossBatchMemory:
    """The newest vectors of earlier batches: first in, first out, each with what it comes from.

    Weights move little from step to step, so that an embedding of some steps ago is close to what the present weights
    would give, and costs no pass through the encoder.

    Vectors are kept in float32 whatever the training computes in, for the loss computes in float32: half precision
    would add its rounding, divided by the temperature, to every similarity, to save some megabytes. They are kept where
    they were made, on the accelerator.

    Args:
        size: Vectors to keep.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.clear()

    def __len__(self) -> int:
        return 0 if self.vectors is None else len(self.vectors)

    def clear(self) -> None:
        """Forget all vectors."""
        self.vectors: torch.Tensor | None = None
        self.keys: torch.Tensor | None = None

    @torch.no_grad()
    def add(self, vectors: torch.Tensor, keys: torch.Tensor) -> None:
        """Keep the vectors of a batch in place of the oldest.

        A vector that is not finite, as half precision may give in a step that is then skipped, is not kept: it would
        spoil every step until it falls out.

        Args:
            vectors: `(2N, hidden)` of all processes; kept without their graph.
            keys: From `vector_keys`, of the same rows.
        """
        new = vectors.detach().float()
        finite = new.isfinite().all(1)
        new, keys = new[finite], keys[finite]
        if self.vectors is not None:
            new, keys = torch.cat((self.vectors, new)), torch.cat((self.keys, keys))
        # A copy, for a view would keep all that was cut off.
        self.vectors, self.keys = new[-self.size :].clone(), keys[-self.size :].clone()

    def widened(
        self,
        relations: PairRelations,
        keys: torch.Tensor,
        same_patient: str = "hard_negative",
        same_category: str = "negative",
        rows: torch.Tensor | None = None,
    ) -> PairRelations:
        """Add a column for each kept vector to the relations of a batch: a negative, or left out.

        Left out are vectors of the row's own document, of equal text, of the same tokens as the row or its own
        positive, and of the same patient or category unless their policy makes these negatives. None is a positive: it
        would pull towards what the weights of an earlier step gave.

        Args:
            relations: Of R of the 2N vectors of the batch to all of them.
            keys: `(2N, 5)` from `vector_keys`.
            same_patient: As in `pair_relations`.
            same_category: As in `pair_relations`.
            rows: `(R,)` places of the vectors that the relations are of; all when not given.

        Returns:
            `(R, 2N + M)` booleans each, with M kept vectors.
        """
        if self.keys is None:
            return relations
        partners = keys.roll(len(keys) // 2, dims=0)
        if rows is not None:
            keys, partners = keys[rows], partners[rows]
        document, patient, content, span, category = (
            mine[:, None] == kept[None, :] for mine, kept in zip(keys.T, self.keys.T, strict=True)
        )
        excluded = document | content | span | (partners[:, SPAN, None] == self.keys[None, :, SPAN])
        if same_patient != "hard_negative":
            excluded |= patient
        if same_category != "negative":
            excluded |= category & ~patient
        return PairRelations(
            torch.cat((relations.positive, torch.zeros_like(excluded)), dim=1),
            torch.cat((relations.excluded, excluded), dim=1),
        )

    def save(self, folder: str | Path) -> None:
        """Write the memory into a checkpoint folder."""
        torch.save({"vectors": self.vectors, "keys": self.keys}, Path(folder) / MEMORY_FILE)

    def load(self, folder: str | Path, device: torch.device) -> None:
        """Read the memory from a checkpoint folder.

        Raises:
            InputError: The run that wrote it had no memory.
        """
        file = Path(folder) / MEMORY_FILE
        if not file.is_file():
            raise InputError(
                "the checkpoint holds no cross-batch memory",
                file=file,
                remedy="go on without --cross_batch_memory, or start a new run",
            )
        stored = torch.load(file, map_location=device, weights_only=True)
        self.vectors, self.keys = stored["vectors"], stored["keys"]

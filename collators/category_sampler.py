"""Which documents stand together in a batch: balanced by category, or all of one category."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from collators.epochs import EpochDataset
from collators.randomness import document_generator
from corpora.category_columns import NO_CATEGORY


def tempered_counts(counts: np.ndarray, total: int, temperature: float) -> np.ndarray:
    """Return how many of `total` draws fall to each category.

    Category c is drawn with probability proportional to `n_c ** (1 / temperature)` (temperature-scaled mixing, Raffel
    et al. 2020, section 3.5.2): 1 leaves the corpus as it is, infinity makes all categories equally frequent.

    Args:
        counts: `(categories,)` documents of each category.
        total: Draws, shared out by largest remainder.
        temperature: At least 1.

    Returns:
        `(categories,)` int64, with the sum `total`; an empty category gets none.
    """
    shares = np.where(counts > 0, np.power(np.maximum(counts, 1.0), 1.0 / temperature), 0.0)
    exact = shares / shares.sum() * total
    draws = np.floor(exact).astype(np.int64)
    draws[np.argsort(draws - exact, kind="stable")[: total - draws.sum()]] += 1
    return draws


class CategorySampler(Sampler[int]):
    """Draws as many documents an epoch as there are, by category.

    An epoch depends on (seed, epoch) alone. Within a category every document is drawn once before any is drawn again,
    so those of a rare category come several times an epoch, and those of a frequent one may wait for a later epoch.
    Documents without a category keep their share. The second draw of a document has an index beyond the documents
    (see `EpochDataset`), so that it gets another window and other masks.

    Args:
        categories: `(documents,)` category of each; any integers, -100 for none.
        dataset: Tells the running epoch.
        seed: Seed of the run.
        temperature: See `tempered_counts`; 1 changes nothing.
        batch_size: Documents of a batch (all processes together) that shall be of one category; None mixes freely.
            What is left of each category when no full batch remains is mixed.
    """

    def __init__(
        self,
        categories: Sequence[int] | np.ndarray,
        dataset: EpochDataset,
        seed: int,
        temperature: float = 1.0,
        batch_size: int | None = None,
    ) -> None:
        self._names, self._categories = np.unique(np.asarray(categories), return_inverse=True)
        self._dataset, self._seed = dataset, seed
        self._temperature, self._batch_size = temperature, batch_size

    def __len__(self) -> int:
        return len(self._categories)

    def __iter__(self) -> Iterator[int]:
        generator = document_generator(self._seed, self._dataset.epoch, "order of the documents")
        drawn = self._draw(generator)
        if self._batch_size is None:
            return iter(generator.permutation(np.concatenate(drawn)).tolist())
        size = self._batch_size
        whole = [part[: len(part) // size * size].reshape(-1, size) for part in drawn]
        rest = np.concatenate([part[len(part) // size * size :] for part in drawn])
        batches = generator.permutation(np.concatenate(whole), axis=0)
        return iter([*batches.ravel().tolist(), *generator.permutation(rest).tolist()])

    def _draw(self, generator: np.random.Generator) -> list[np.ndarray]:
        counts = np.bincount(self._categories)
        order = np.argsort(self._categories, kind="stable")
        members = np.split(order, np.cumsum(counts)[:-1])
        known = self._names != NO_CATEGORY
        draws = counts.copy()
        if known.any():
            draws[known] = tempered_counts(counts[known], counts[known].sum(), self._temperature)
        drawn = []
        for documents, number in zip(members, draws.tolist(), strict=True):
            rounds = -(-number // len(documents))
            indices = [generator.permutation(documents) + draw * len(self) for draw in range(rounds)]
            drawn.append(np.concatenate([*indices, documents[:0]])[:number])
        return drawn

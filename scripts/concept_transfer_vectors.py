"""The vectors of a transfer study: tables of concepts, and what logistic regression reads of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from concept_transfer_cells import TransferCell, TransferFolder
from concept_transfer_options import ConceptOptions
from concept_transfer_sites import Pair
from modeling.concept_embeddings import ConceptTemplates, embed_concepts, one_hot_vectors, random_vectors
from modeling.concept_table import ConceptTable


class ConceptVectors:
    """Makes the vectors of a pair of sites, and keeps the last ones.

    Args:
        options: Embeddings and what is done to them.
        checkpoints: Text encoders by name.
        folder: Where tables are saved.
    """

    def __init__(self, options: ConceptOptions, checkpoints: dict[str, str], folder: TransferFolder) -> None:
        self.options, self.checkpoints, self.folder = options, checkpoints, folder
        self.templates = ConceptTemplates(options.template, options.negation, options.level)
        self.cache = options.embedding_cache or folder.folder / "embeddings"
        self._kept: tuple[Any, ConceptTable] | None = None
        self._features: tuple[Any, np.ndarray] | None = None

    def table(self, cell: TransferCell, pair: Pair) -> ConceptTable:
        """Return the vectors of the pair's states, in their order; the table is saved as well.

        Text embeddings are centred by the mean over the source's states, as if the target were not known. The controls
        have no common direction to take away.
        """
        key = (cell.vocabulary, cell.source, cell.embedding, cell.setting)
        if self._kept is None or self._kept[0] != key:
            raw = self._raw(cell.embedding, pair)
            scaled, text = cell.setting == "scaled", cell.embedding in self.checkpoints
            table = ConceptTable.build(
                pair.states[: pair.known],
                raw[: pair.known],
                centre=scaled and text and self.options.centre,
                norm=self.options.norm if scaled else None,
            ).extended(pair.states, raw)
            table.save(self.folder.table(*key))
            self._kept = (key, table)
        return self._kept[1]

    def _raw(self, embedding: str, pair: Pair) -> np.ndarray:
        if embedding == "one_hot":
            return one_hot_vectors(pair.states, pair.states)
        if embedding == "random":
            return random_vectors(pair.states, self.options.random_size)
        return embed_concepts(pair.states, self.checkpoints[embedding], self.templates, Path(self.cache))

    def pooled(self, cell: TransferCell, pair: Pair) -> dict[str, np.ndarray]:
        """Return the vectors of each encounter pooled over its states, `(encounters, size)`, of `source` and `target`.

        The maximum of one-hot vectors says what was said of an encounter: logistic regression on it is that on one-hot.
        """
        import torch

        from modeling.concept_set_classifier import bags

        key = (cell.vocabulary, cell.source, cell.embedding, cell.setting, cell.classifier)
        if self._features is None or self._features[0] != key:
            vectors = torch.from_numpy(self.table(cell, pair).rows(pair.states))
            mode = cell.classifier.removeprefix("logistic_")
            found = {}
            for name, site in (("source", pair.source), ("target", pair.target)):
                if site is not None:
                    indices, offsets = bags(site.occurs)
                    found[name] = torch.nn.functional.embedding_bag(indices, vectors, offsets, mode=mode).numpy()
            self._features = (key, found)
        return self._features[1]

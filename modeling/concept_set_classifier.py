"""The classifier of Gao et al. over sets of concept vectors: a shared linear map, ReLU, pooling, dropout, linear."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import nn
from torch.nn import functional as F
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from corpora.encounters import Encounters
from modeling.concept_table import ConceptTable
from modeling.set_pooling import attention_over_sets, max_over_sets, mean_over_sets

SET_POOLINGS = ("max", "mean", "attention")


class ConceptSetConfig(PretrainedConfig):
    """Configuration of a `ConceptSetClassifier`.

    Args:
        embedding_size: Length of a concept vector.
        filters: Outputs of the shared map.
        pooling: Over the concepts of an encounter: `max` (the study), `mean`, or learned `attention`.
        dropout: Before the last layer.
        kwargs: As in `PretrainedConfig`.
    """

    model_type = "concept_set_classifier"

    def __init__(
        self,
        embedding_size: int = 384,
        filters: int = 100,
        pooling: str = "max",
        dropout: float = 0.5,
        **kwargs: Any,
    ) -> None:
        if pooling not in SET_POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(SET_POOLINGS)}, got {pooling!r}")
        self.embedding_size, self.filters, self.pooling, self.dropout = embedding_size, filters, pooling, dropout
        kwargs.setdefault("num_labels", 2)
        super().__init__(**kwargs)


class ConceptSetClassifier(PreTrainedModel):
    """Classifies an encounter by the set of its concept states (Gao et al. 2024, arXiv 2409.13893).

    The study's convolution of width 1 is a linear map that all concepts share. It is computed once for each state of
    the vocabulary, not once for each encounter, and pooled over each encounter's states. What the model knows of a
    concept is its vector, so a concept that was not seen in training needs a vector and nothing else.
    An encounter without any state is pooled to zero.

    Example:
        ```python
        classifier = ConceptSetClassifier.from_pretrained("model")
        table = ConceptTable.load("model")
        new = site.states  # of another hospital
        table = table.extended(new, embed_concepts(new, "ENCODER"))
        classifier.predict(site, table)  # (encounters,) probabilities of the outcome
        ```

    Args:
        config: The configuration.
    """

    config_class = ConceptSetConfig
    main_input_name = "vectors"

    def __init__(self, config: ConceptSetConfig) -> None:
        super().__init__(config)
        self.concept_map = nn.Linear(config.embedding_size, config.filters)
        self.attention = nn.Linear(config.filters, 1, bias=False) if config.pooling == "attention" else None
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.filters, config.num_labels)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        # As torch does, and so the study; transformers would draw much smaller weights.
        if isinstance(module, nn.Linear):
            module.reset_parameters()

    def start_from(self, vectors: torch.Tensor, seed: int) -> None:
        """Draw new weights.

        Those of a dimension that no training vector uses start at zero, so that a one-hot dimension of the other site's
        concepts says nothing until it is tuned there.

        Args:
            vectors: `(states, size)` of the concepts to train on.
            seed: Of the draw.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.apply(self._init_weights)
        with torch.no_grad():
            self.concept_map.weight[:, (vectors == 0).all(0).to(self.device)] = 0

    def forward(
        self,
        vectors: torch.Tensor,
        indices: torch.Tensor,
        offsets: torch.Tensor,
        labels: torch.Tensor | None = None,
        return_dict: bool | None = None,
    ) -> SequenceClassifierOutput | tuple[torch.Tensor, ...]:
        """Classify encounters; the sets lie one after the other, as in a sparse matrix of compressed rows.

        Args:
            vectors: `(states, size)` of the vocabulary; dense or sparse.
            indices: `(n,)` int64 rows of `vectors`.
            offsets: `(encounters,)` int64, where in `indices` the set of each encounter begins.
            labels: `(encounters,)` int64; gives the loss.
            return_dict: False gives a tuple.

        Returns:
            `logits` `(encounters, 2)` and, with labels, the mean cross-entropy as `loss`.
        """
        logits = self.classify(self.pool(vectors, indices, offsets))
        loss = None if labels is None else F.cross_entropy(logits, labels)
        if return_dict is False:
            return (logits,) if loss is None else (loss, logits)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def pool(self, vectors: torch.Tensor, indices: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Return what the shared map finds in each encounter, `(encounters, filters)`; arguments as in `forward`."""
        # Vectors of mostly zeros, as one-hot ones of thousands of concepts, may be a sparse tensor.
        dense = not vectors.is_sparse
        mapped = self.concept_map(vectors) if dense else torch.sparse.mm(vectors, self.concept_map.weight.T)
        mapped = (mapped if dense else mapped + self.concept_map.bias).relu()
        if self.config.pooling == "mean":
            return mean_over_sets(mapped, indices, offsets)
        if self.attention is None:
            return max_over_sets(mapped, indices, offsets)
        # The score belongs to a state, whatever encounter it is in.
        return attention_over_sets(mapped, self.attention(mapped).squeeze(1), indices, offsets)

    def classify(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the logits `(encounters, 2)` from `(encounters, filters)`."""
        return self.classifier(self.dropout(pooled))

    @torch.inference_mode()
    def predict(self, encounters: Encounters, table: ConceptTable, batch_size: int = 1024) -> np.ndarray:
        """Return the probability of the outcome, `(encounters,)` float32.

        Args:
            encounters: Of any site.
            table: Vectors of all their states.
            batch_size: Encounters at a time.

        Raises:
            InputError: The table lacks a state.
        """
        training = self.training
        self.eval()
        vectors = torch.from_numpy(table.rows(encounters.states)).to(self.device)
        parts = [np.zeros(0, dtype=np.float32)]
        for start in range(0, len(encounters), batch_size):
            indices, offsets = (part.to(self.device) for part in bags(encounters.occurs[start : start + batch_size]))
            parts.append(self(vectors, indices, offsets).logits.softmax(-1)[:, 1].cpu().numpy())
        self.train(training)
        return np.concatenate(parts)


def bags(occurs: csr_matrix) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `indices` and `offsets` of `ConceptSetClassifier.forward` from `(encounters, states)` sparse rows."""
    indices = torch.from_numpy(occurs.indices.astype(np.int64))
    return indices, torch.from_numpy(occurs.indptr[:-1].astype(np.int64))

"""Heads that predict document metadata from the document embedding, kept beside the encoder's checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from corpora.category_columns import CategoryColumn
from corpora.errors import InputError

FOLDER = "category_heads"
CONFIG, WEIGHTS = "config.json", "model.safetensors"


@dataclass(frozen=True)
class CategoryHeadOptions:
    """Shape of the heads.

    Args:
        hidden_size: Length of a document embedding.
        head: `linear` (the study) or `mlp` (dropout, linear, tanh, dropout, linear).
        dropout: Of the `mlp` head, and before the `linear` one.
        projection_size: Output of the projection head that a contrastive category loss reads (linear, ReLU, linear;
            Khosla et al. 2020, section 3); 0: that loss reads the embedding itself.
    """

    hidden_size: int
    head: Literal["linear", "mlp"] = "linear"
    dropout: float = 0.0
    projection_size: int = 0


class CategoryHeads(nn.Module):
    """One head for each metadata column.

    Saved in a folder of its own inside the checkpoint, so that `AutoModel` and `SentenceTransformer` load the
    checkpoint as if it were not there.

    Args:
        columns: The metadata columns.
        options: Shape of the heads.
    """

    def __init__(self, columns: Sequence[CategoryColumn], options: CategoryHeadOptions) -> None:
        super().__init__()
        self.columns, self.options = tuple(columns), options
        # Lists rather than dictionaries: a module's name may hold no dot, a column's name may.
        self.heads = nn.ModuleList(_head(len(column.labels), options) for column in self.columns)
        # Columns of lists have no contrastive loss, and would leave a projection without a gradient.
        self.projections = nn.ModuleList(
            _projection(options) if options.projection_size and not column.multi_label else nn.Identity()
            for column in self.columns
        )

    def logits(self, index: int, embeddings: torch.Tensor) -> torch.Tensor:
        """Return `(rows, categories)` logits of one column in float32.

        Args:
            index: Place of the column.
            embeddings: `(rows, hidden)`.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            return _precise(self.heads[index], embeddings)

    def project(self, index: int, embeddings: torch.Tensor) -> torch.Tensor:
        """Return what a contrastive loss on one column reads: `(rows, projection_size)`, or the embeddings."""
        with torch.autocast(embeddings.device.type, enabled=False):
            return _precise(self.projections[index], embeddings)

    def probabilities(self, embeddings: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the probabilities of all columns by name, `(rows, categories)` each.

        They sum to one in a row, except for multi-label columns, where each category has its own.
        """
        found = {}
        for index, column in enumerate(self.columns):
            logits = self.logits(index, embeddings)
            found[column.name] = logits.sigmoid() if column.multi_label else logits.softmax(-1)
        return found

    def save(self, checkpoint: str | Path) -> None:
        """Write the heads into `category_heads/` of a checkpoint folder."""
        folder = Path(checkpoint) / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        config = {
            "schema_version": 1,
            **asdict(self.options),
            "columns": [
                {
                    "name": column.name,
                    "labels": column.labels,
                    "counts": column.counts,
                    "multi_label": column.multi_label,
                }
                for column in self.columns
            ],
        }
        (folder / CONFIG).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)

    def copy_with(self, weights: Mapping[str, torch.Tensor]) -> CategoryHeads:
        """Return heads of the same shape with the weights of a `state_dict`."""
        heads = CategoryHeads(self.columns, self.options)
        heads.load_state_dict(weights)
        return heads

    def load_weights(self, checkpoint: str | Path) -> None:
        """Take over the weights that `save` wrote into a checkpoint folder.

        Raises:
            InputError: They are missing or have other shapes.
        """
        file = Path(checkpoint) / FOLDER / WEIGHTS
        try:
            self.load_state_dict(load_file(file))
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise InputError(
                "the category heads are damaged, or of other columns", file=file, remedy="copy the folder again"
            ) from error

    @classmethod
    def from_pretrained(cls, checkpoint: str | Path) -> CategoryHeads:
        """Load the heads of a checkpoint folder.

        Raises:
            InputError: The folder has none, or they are damaged.
        """
        file = Path(checkpoint) / FOLDER / CONFIG
        if not file.is_file():
            raise InputError(
                "the checkpoint has no category heads",
                file=str(checkpoint),
                remedy="train it with --category_columns",
            )
        try:
            config = json.loads(file.read_text(encoding="utf-8"))
            columns = [
                CategoryColumn(one["name"], tuple(one["labels"]), tuple(one["counts"]), one["multi_label"])
                for one in config["columns"]
            ]
            options = CategoryHeadOptions(**{name: config[name] for name in CategoryHeadOptions.__dataclass_fields__})
            heads = cls(columns, options)
        except (OSError, ValueError, LookupError, TypeError, RuntimeError) as error:
            raise InputError("is not a configuration of category heads", file=file, remedy="copy it again") from error
        heads.load_weights(checkpoint)
        return heads.eval()


def _precise(module: nn.Module, embeddings: torch.Tensor) -> torch.Tensor:
    # FSDP with bf16 hands out weights in bf16.
    weights = {name: parameter.float() for name, parameter in module.named_parameters()}
    return torch.func.functional_call(module, weights, embeddings.float())


def _head(categories: int, options: CategoryHeadOptions) -> nn.Module:
    size, dropout = options.hidden_size, nn.Dropout(options.dropout)
    if options.head == "linear":
        return nn.Sequential(dropout, nn.Linear(size, categories))
    return nn.Sequential(
        dropout, nn.Linear(size, size), nn.Tanh(), nn.Dropout(options.dropout), nn.Linear(size, categories)
    )


def _projection(options: CategoryHeadOptions) -> nn.Module:
    size = options.hidden_size
    return nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, options.projection_size))

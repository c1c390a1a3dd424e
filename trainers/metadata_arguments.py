"""Arguments of the objectives that read document metadata."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args, get_origin, get_type_hints

from trainers.arguments import AdaptationArguments

TOKENIZED_COLUMNS = frozenset(
    ("text", "input_ids", "length", "document_key", "patient_key", "content_key", "epoch", "draw")
)


@dataclass
class MetadataArguments(AdaptationArguments):
    """Arguments of a category loss beside other losses; without `category_columns` there is none.

    Raises:
        ValueError: A value is out of range, or contradicts another.
    """

    _argument_group_name = "Document metadata"

    category_columns: list[str] = field(
        default_factory=list,
        metadata={"help": "Metadata columns to learn from, such as note_category; each gets a head of its own."},
    )
    category_weight: float = field(default=0.1, metadata={"help": "Weight of the category loss."})
    category_column_weights: list[float] = field(
        default_factory=list,
        metadata={"help": "A factor for each column, in the order of category_columns; all 1 when not given."},
    )
    category_loss: Literal["cross_entropy", "supcon"] = field(
        default="cross_entropy",
        metadata={
            "help": "cross_entropy: by a head on the document embedding; supcon: supervised contrastive. Columns of "
            "lists always take binary cross-entropy."
        },
    )
    category_view: Literal["masked", "clean"] = field(
        default="masked",
        metadata={
            "help": "Input of the category loss: masked as for the masked-LM loss (the study), or untouched. With "
            "spans: the anchors, or the positives."
        },
    )
    category_head: Literal["linear", "mlp"] = field(
        default="linear", metadata={"help": "Head on the document embedding: linear (the study) or one hidden layer."}
    )
    category_head_dropout: float = field(default=0.0, metadata={"help": "Dropout of the head."})
    supcon_temperature: float = field(default=0.1, metadata={"help": "supcon: divides the cosine similarities."})
    supcon_projection_size: int = field(
        default=0, metadata={"help": "supcon: size of a projection head's output; 0: no projection head."}
    )
    category_balance: Literal["none", "inverse", "effective", "sampling"] = field(
        default="none",
        metadata={
            "help": "Against rare categories: weights of 1/documents, weights by the effective number of samples, or "
            "drawing documents of rare categories more often (by the first column)."
        },
    )
    effective_number_beta: float = field(default=0.9999, metadata={"help": "effective: 0 weights nothing, 1 is 1/n."})
    sampling_temperature: float = field(
        default=2.0, metadata={"help": "sampling: categories are drawn by documents^(1/T); 1 as they come."}
    )
    max_categories: int = field(
        default=200, metadata={"help": "A column of more different values is refused as free text."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_choices()
        columns = self.category_columns = _list(self.category_columns)
        self.category_column_weights = _list(self.category_column_weights)
        if len(set(columns)) < len(columns):
            raise ValueError("category_columns names a column twice")
        if reserved := {"mlm", "contrastive"} & set(columns):
            raise ValueError(f"a metadata column cannot be called {reserved.pop()}: that is the name of a loss")
        if reserved := TOKENIZED_COLUMNS & set(columns):
            raise ValueError(
                f"a metadata column cannot be called {min(reserved)}: a column of tokenised documents is; rename it"
            )
        if self.category_column_weights and len(self.category_column_weights) != len(columns):
            raise ValueError(
                f"category_column_weights has {len(self.category_column_weights)} numbers for {len(columns)} columns"
            )
        if self.category_weight < 0:
            raise ValueError(f"category_weight must not be negative, got {self.category_weight}")
        if any(weight <= 0 for weight in self.category_column_weights):
            raise ValueError(f"category_column_weights must be positive, got {self.category_column_weights}")
        if doubled := {f"{name}_probe" for name in columns} & set(columns):
            raise ValueError(
                f"a metadata column cannot be called {doubled.pop()} beside one without _probe: logs clash"
            )
        if self.supcon_temperature <= 0:
            raise ValueError(f"supcon_temperature must be positive, got {self.supcon_temperature}")
        if self.supcon_projection_size < 0:
            raise ValueError(f"supcon_projection_size must not be negative, got {self.supcon_projection_size}")
        if self.supcon_projection_size and self.category_loss != "supcon":
            raise ValueError("supcon_projection_size belongs to category_loss supcon")
        if not 0 <= self.category_head_dropout < 1:
            raise ValueError(f"category_head_dropout must lie in [0, 1), got {self.category_head_dropout}")
        if not 0 <= self.effective_number_beta < 1:
            raise ValueError(f"effective_number_beta must lie in [0, 1), got {self.effective_number_beta}")
        if self.sampling_temperature < 1:
            raise ValueError(f"sampling_temperature must be at least 1, got {self.sampling_temperature}")
        if self.category_balance != "none" and not columns:
            raise ValueError("category_balance needs category_columns")
        if self.category_balance in ("inverse", "effective") and not self.category_weight:
            raise ValueError(
                f"category_balance {self.category_balance} weights a loss that category_weight 0 leaves out"
            )
        if self.category_balance in ("inverse", "effective") and self.category_loss == "supcon":
            raise ValueError(
                f"category_balance {self.category_balance} weights a cross-entropy; with supcon take sampling"
            )
        if self.max_categories < 2:
            raise ValueError(f"max_categories must be at least 2, got {self.max_categories}")

    def _check_choices(self) -> None:
        # The command line checks choices itself; from Python a misspelt one would silently mean another.
        for name, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal and getattr(self, name) not in get_args(hint):
                raise ValueError(f"{name} must be one of {', '.join(get_args(hint))}, got {getattr(self, name)!r}")

    @property
    def trains_categories(self) -> bool:
        """Whether there is a category loss."""
        return bool(self.category_columns) and self.category_weight > 0

    def column_weights(self) -> list[float]:
        """Return the weight of each column's loss."""
        factors = self.category_column_weights or [1.0] * len(self.category_columns)
        return [self.category_weight * factor for factor in factors]


def _list(value: object) -> list:
    if value is None:
        return []
    return [value] if isinstance(value, (str, int, float)) else list(value)

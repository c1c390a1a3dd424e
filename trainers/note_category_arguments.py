"""Arguments of the note-category objective."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from trainers.metadata_arguments import MetadataArguments


@dataclass
class NoteCategoryArguments(MetadataArguments):
    """Arguments of `NoteCategoryTrainer`: `L = mlm_weight * L_mlm + category_weight * L_category`.

    Raises:
        ValueError: A value is out of range, or contradicts another.
    """

    _argument_group_name = "Note category"

    category_columns: list[str] = field(
        default_factory=lambda: ["note_category"],
        metadata={"help": "Metadata columns to learn from; each gets a head of its own."},
    )
    mlm_weight: float = field(default=1.0, metadata={"help": "Weight of the masked-LM loss; 0 switches it off."})
    max_length: int | None = field(
        default=None,
        metadata={"help": "Tokens of a document to read; the model's window, at most 512, when not given."},
    )
    document_window: Literal["random", "first"] = field(
        default="random",
        metadata={"help": "Part of a longer document: another one each epoch, or its beginning (the study)."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.trains_categories:
            raise ValueError("the note-category objective needs category_columns, and a category_weight above 0")
        if self.mlm_weight < 0:
            raise ValueError("mlm_weight must not be negative")
        if self.max_length is not None and self.max_length < 8:
            raise ValueError(f"max_length must be at least 8, got {self.max_length}")

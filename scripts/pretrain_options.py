"""Options of pretrain.py that are not the trainer's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from column_options import DocumentColumns
from corpora.columns import STANDARD_COLUMNS, NoteColumns


@dataclass
class ObjectiveOptions:
    """What to train for."""

    _argument_group_name = "Objective"

    objective: Literal["mlm", "declutr", "note_category"] = field(
        metadata={
            "help": "mlm: masked language modelling; declutr: contrastive on spans; note_category: document metadata; "
            "the last two with masked LM beside, declutr with metadata too. --help after it shows its options."
        }
    )
    restart: bool = field(
        default=False,
        metadata={
            "help": "Delete an earlier run in output_dir. Without it a run is resumed, or left as it is when done."
        },
    )
    train_tokens: int | None = field(
        default=None,
        metadata={
            "help": "Train until the encoder has read about so many tokens, in place of epochs or --max_steps: the "
            "same for every objective, whatever it reads of a document."
        },
    )

    def __post_init__(self) -> None:
        if self.train_tokens is not None and self.train_tokens < 1:
            raise ValueError("--train_tokens is below 1")


@dataclass(kw_only=True)
class NotesOptions(DocumentColumns):
    """Where the notes are and how they are read."""

    _argument_group_name = "Notes"

    train_file: list[str] = field(
        metadata={"help": "Folder of prepare_notes.py, or files of notes (CSV, TSV, JSON lines, Parquet; .gz too)."}
    )
    validation_file: list[str] | None = field(
        default=None, metadata={"help": "The same for validation; a prepared folder holds its own validation split."}
    )
    patient_column: str | None = field(default=None, metadata={"help": "Column of the patient's id."})
    category_column: str | None = field(default=None, metadata={"help": "Column of the note's category."})
    max_train_documents: int | None = field(
        default=None, metadata={"help": "Train on so many documents only, drawn by the seed."}
    )

    streaming: bool = field(
        default=False,
        metadata={
            "help": "Read and tokenise the training notes while training, in stretches that are shuffled, in "
            "place of writing all token ids to disk first. Needs max_steps. For corpora too large for a second copy, "
            "and for disks that are slow at random reads."
        },
    )
    shuffle_window: int = field(
        default=10_000,
        metadata={"help": "Streaming: documents shuffled together, in stretches of 1,000 from all over the corpus."},
    )

    def __post_init__(self) -> None:
        if self.shuffle_window < 1:
            raise ValueError(f"--shuffle_window must be at least 1, got {self.shuffle_window}")

    def columns(self, metadata: Sequence[str] = ()) -> NoteColumns:
        """Return the names of the columns, with those of further metadata."""
        return NoteColumns(
            label_columns=tuple(name for name in metadata if name not in STANDARD_COLUMNS),
            text_column=self.text_column,
            document_id_column=self.document_id_column,
            patient_column=self.patient_column,
            category_column=self.category_column,
        )


@dataclass
class RowOptions:
    """How documents become rows of tokens for masked language modelling."""

    _argument_group_name = "Rows"

    max_length: int | None = field(
        default=None, metadata={"help": "Tokens a row; the model's window, at most 512, when not given."}
    )
    concatenate_documents: bool = field(
        default=True,
        metadata={"help": "Lay documents end to end and cut blocks; otherwise one document a row, long ones cut."},
    )


@dataclass
class SpaceOptions:
    """What to watch of the embedding space.

    Raises:
        ValueError: One document makes no space.
    """

    _argument_group_name = "Embedding space"

    log_space: int = field(
        default=0,
        metadata={
            "help": "Log alignment, uniformity, mean cosine and (with categories) silhouette of so many validation "
            "documents at every evaluation, as eval_space_...; 0: none. 500 say enough."
        },
    )

    def __post_init__(self) -> None:
        if self.log_space < 0 or self.log_space == 1:
            raise ValueError(f"log_space must be 0 or at least 2 documents, got {self.log_space}")


@dataclass
class CardOptions:
    """What is written about the model."""

    _argument_group_name = "Model card"

    model_card: bool = field(
        default=True,
        metadata={
            "help": "Write a card (README.md) beside each checkpoint and the finished model. make_card.py adds results "
            "and what only people know: licence, source of the notes, governance, de-identification."
        },
    )


@dataclass
class ModelOptions:
    """Which model to start from.

    Raises:
        ValueError: The options contradict each other, or a size is none.
    """

    _argument_group_name = "Model"

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Checkpoint folder or Hub id to start from; or give config_name."}
    )
    config_name: str | None = field(
        default=None,
        metadata={"help": "Architecture to train from scratch: roberta, bert, distilbert, modernbert, ..."},
    )
    hidden_size: int = field(default=256, metadata={"help": "From scratch: width."})
    num_hidden_layers: int = field(default=4, metadata={"help": "From scratch: layers."})
    num_attention_heads: int = field(default=4, metadata={"help": "From scratch: attention heads a layer."})
    intermediate_size: int | None = field(
        default=None,
        metadata={"help": "From scratch: width of the feed-forward layer; 4 x hidden_size when not given."},
    )
    window: int = field(default=512, metadata={"help": "From scratch: longest input in tokens."})
    dropout: float = field(default=0.1, metadata={"help": "From scratch: dropout of hidden states and attention."})
    tokenizer_name: str | None = field(default=None, metadata={"help": "From scratch: tokenizer folder or Hub id."})
    train_tokenizer: bool = field(
        default=False, metadata={"help": "From scratch: train a byte-level BPE on the training notes."}
    )
    vocab_size: int = field(default=30_000, metadata={"help": "From scratch: vocabulary of the trained tokenizer."})
    lora_rank: int = field(default=0, metadata={"help": "Train low-rank matrices (LoRA) of this rank; 0: all weights."})
    lora_alpha: float | None = field(default=None, metadata={"help": "LoRA scaling; 2 x lora_rank when not given."})
    lora_dropout: float = field(default=0.0, metadata={"help": "LoRA dropout."})
    lora_target_modules: list[str] | None = field(
        default=None, metadata={"help": "Layers to adapt; all linear layers of the encoder when not given."}
    )

    def __post_init__(self) -> None:
        if (self.model_name_or_path is None) == (self.config_name is None):
            raise ValueError("give either --model_name_or_path (adapt a model) or --config_name (train from scratch)")
        if self.config_name is not None and (self.tokenizer_name is None) != self.train_tokenizer:
            raise ValueError("with --config_name give either --tokenizer_name or --train_tokenizer")
        if self.config_name is None and (self.tokenizer_name or self.train_tokenizer):
            raise ValueError("--tokenizer_name and --train_tokenizer belong to --config_name (training from scratch)")
        for name in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "window"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name} is below 1")
        if self.lora_rank < 0:
            raise ValueError("--lora_rank is below 0; give 0 to train all weights")
        for name in ("dropout", "lora_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"--{name} is a share: give 0 or more, and less than 1")

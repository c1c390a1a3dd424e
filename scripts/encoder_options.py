"""Options of the scripts that encode documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from modeling.devices import check_device

if TYPE_CHECKING:
    from modeling.document_encoder import DocumentEncoder


@dataclass
class EncoderOptions:
    """How a checkpoint reads documents."""

    _argument_group_name = "Encoder"

    max_length: int | None = field(
        default=None, metadata={"help": "Tokens in a window, special tokens included; the model's limit by default."}
    )
    window_overlap: int = field(default=0, metadata={"help": "Tokens that a window shares with the one before."})
    windows: Literal["average", "first"] = field(
        default="average",
        metadata={"help": "average: all windows of a document, weighted by tokens; first: the first one only."},
    )
    batch_size: int = field(
        default=32, metadata={"help": "Windows of full length in a batch; more, when they are shorter."}
    )
    dtype: Literal["float32", "bfloat16", "float16"] | None = field(
        default=None,
        metadata={"help": "bfloat16 and float16 compute under autocast; by default as the weights were saved."},
    )
    unpadded: bool = field(
        default=True,
        metadata={"help": "Read real tokens only where the encoder's family is known; --no_unpadded for comparison."},
    )
    device: str | None = field(
        default=None, metadata={"help": "cpu, cuda, cuda:1, ...; a GPU if there is one by default."}
    )

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError("--batch_size is below 1; give at least 1")
        if self.window_overlap < 0:
            raise ValueError("--window_overlap is below 0; give 0 or more")

    def load(self, checkpoint: str | Path) -> DocumentEncoder:
        """Load a checkpoint to read documents in this way.

        Raises:
            InputError: It cannot be loaded, the lengths do not fit it, or the device cannot be used.
        """
        from modeling.document_encoder import DocumentEncoder

        check_device(self.device)
        return DocumentEncoder.from_pretrained(
            checkpoint,
            device=self.device,
            dtype=self.dtype,
            max_length=self.max_length,
            window_overlap=self.window_overlap,
            windows=self.windows,
            unpadded=self.unpadded,
        )

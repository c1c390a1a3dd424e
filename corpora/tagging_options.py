"""Options for reading annotated text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from corpora.errors import InputError
from corpora.span_json_lines import SpanKeys


@dataclass
class TaggingReadingOptions:
    """How annotated text is read and made into tagged sentences."""

    _argument_group_name = "Annotated text"

    format: Literal["auto", "conll", "brat", "jsonl"] = field(
        default="auto",
        metadata={
            "help": "of the files: CoNLL or TSV, BRAT stand-off, or JSON lines with spans; auto goes by their endings"
        },
    )
    tag_scheme: Literal["auto", "IOB1", "IOB2", "BIOES", "IO"] = field(
        default="auto", metadata={"help": "of the tags of CoNLL files; auto finds it file by file"}
    )
    repair_tags: bool = field(
        default=False,
        metadata={"help": "read a tag that breaks the scheme, such as I- without B-, as conlleval does, and count it"},
    )
    token_column: int = field(default=1, metadata={"help": "column of the word in CoNLL files; -1 is the last"})
    tag_column: int = field(default=-1, metadata={"help": "column of the tag in CoNLL files; -1 is the last"})
    text_key: str = field(default="text", metadata={"help": "key of the text in JSON lines"})
    document_id_key: str | None = field(
        default=None,
        metadata={"help": "key of the document's id in JSON lines; by default document_id, doc_id or id, if there"},
    )
    entities_key: str = field(default="entities", metadata={"help": "key of the list of entities in JSON lines"})
    label_key: str = field(default="label", metadata={"help": "key of an entity's type"})
    start_key: str = field(default="start", metadata={"help": "key of an entity's first character"})
    end_key: str = field(default="end", metadata={"help": "key of the character after an entity's last"})
    spans_key: str = field(default="spans", metadata={"help": "key of the list of an entity's parts"})
    entity_types: list[str] = field(
        default_factory=list, metadata={"help": "types to keep, others are left out and counted; by default all"}
    )
    discontinuous: Literal["join", "first", "drop"] = field(
        default="join",
        metadata={
            "help": "an entity with a gap: take all from its first to its last character, if no other entity is in the "
            "gap, else its first part; or take its first part; or drop it"
        },
    )
    overlapping: Literal["longest", "first", "error"] = field(
        default="longest",
        metadata={"help": "of entities that share characters keep the longest, or the one that starts first; or stop"},
    )
    split_lines: bool = field(
        default=False,
        metadata={
            "help": "every line break ends a sentence; by default only a blank line, or one before a list item or a "
            "heading"
        },
    )
    validation_share: float = field(
        default=0.1,
        metadata={"help": "share of the training documents kept for validation where no validation files are given"},
    )
    validation_seed: int = field(default=0, metadata={"help": "draws the documents kept for validation"})

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise InputError(f"--validation_share is {self.validation_share}", remedy="give a share from 0 to below 1")
        for name in ("token_column", "tag_column"):
            if getattr(self, name) == 0:
                raise InputError(f"--{name} is 0", remedy="columns are counted from 1, or from -1 backwards")

    @property
    def keys(self) -> SpanKeys:
        """Names of the keys of JSON lines."""
        return SpanKeys(
            text=self.text_key,
            document_id=self.document_id_key,
            entities=self.entities_key,
            label=self.label_key,
            start=self.start_key,
            end=self.end_key,
            spans=self.spans_key,
        )

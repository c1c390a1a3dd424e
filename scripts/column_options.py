"""Options that name the columns of notes, for every script that reads notes which were not prepared."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(kw_only=True)
class DocumentColumns:
    """The columns that every such script needs; options that name more inherit from it."""

    _argument_group_name = "Columns (a prepared folder needs none)"

    text_column: str = field(default="text", metadata={"help": "Column of the document."})
    document_id_column: str | None = field(
        default=None, metadata={"help": "Column of its id; document_id where there is one, FILE-ROW otherwise."}
    )

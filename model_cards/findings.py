"""What the leak check says of a file, without a word of what it found there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One fault of one file.

    Args:
        file: The file, relative to the checkpoint folder.
        kind: What is wrong, in words, for example `sequences of 8 words of the corpus`. Never the found text.
        count: How many times; 1 for a fault of the file as a whole.
        remedy: What the user should do, without a full stop.
        stops: Whether the folder may not be published because of it.
        is_of_vocabulary: Whether it is about words that a tokenizer knows, which a person can look at and accept.
    """

    file: str
    kind: str
    count: int = 1
    remedy: str = ""
    stops: bool = True
    is_of_vocabulary: bool = False

    def __str__(self) -> str:
        number = f" ({self.count:,})" if self.count != 1 else ""
        return f"{self.file}: {self.kind}{number}" + (f"; {self.remedy}" if self.remedy else "")

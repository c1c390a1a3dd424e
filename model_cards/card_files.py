"""Reading and writing the files beside a card: whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpora.errors import InputError

CARD = "README.md"
STORED_FACTS = "card_facts.json"
TRAINING = "training_summary.json"
AUDIT = "privacy_audit.json"
EMISSIONS = "emissions.csv"
FIGURES = "figures"


def read_json(file: Path, remedy: str) -> dict[str, Any]:
    """Return what a JSON file holds.

    Raises:
        InputError: It is no JSON, or holds something else than fields with values.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # not UTF-8 either
        raise InputError("is not whole JSON", file=file, remedy=remedy) from error
    if not isinstance(content, dict):
        raise InputError("does not hold fields with values", file=file, remedy=remedy)
    return content


def write_text(file: Path, content: str) -> None:
    """Write a text file whole or not at all."""
    partial = file.with_name(file.name + ".partial")
    partial.write_text(content, encoding="utf-8", newline="\n")
    partial.replace(file)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

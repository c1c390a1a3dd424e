"""The files beside a card, and how they are written: whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from corpora.complete_files import complete_file

CARD = "README.md"
STORED_FACTS = "card_facts.json"
TRAINING = "training_summary.json"
AUDIT = "privacy_audit.json"
EMISSIONS = "emissions.csv"
FIGURES = "figures"


def write_text(file: Path, content: str) -> None:
    """Write a text file whole or not at all."""
    with complete_file(file) as stream:
        stream.write(content)


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    write_text(file, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

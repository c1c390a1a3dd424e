"""JSON files that are there whole or not at all."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from corpora.complete_files import complete_file
from corpora.errors import InputError


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file whole or not at all; what is not a number becomes null, for JSON knows no NaN."""
    with complete_file(path) as file:
        file.write(json_text(value))


def json_text(value: Any) -> str:
    """Return the text of a JSON file; what is not a number becomes null."""
    return json.dumps(_finite(value), indent=2, ensure_ascii=False) + "\n"


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the mapping in a JSON file; None where there is no file, or only a part of one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def read_fields(file: Path, remedy: str) -> dict[str, Any]:
    """Return the mapping in a JSON file that must be there.

    Raises:
        InputError: It cannot be read, is no JSON, or holds something else than a mapping.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file, remedy=remedy) from error
    except ValueError as error:  # not UTF-8 is one, too
        raise InputError("is not whole JSON", file=file, remedy=remedy) from error
    if not isinstance(content, dict):
        raise InputError("does not hold fields with values", file=file, remedy=remedy)
    return content


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, (list, tuple)) else value

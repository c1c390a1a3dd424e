"""What concepts are called: the name of each code, from a file of names or from the descriptions of its events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.reading import available_columns, read_rows
from corpora.records import NULL_TEXTS
from corpora.sources import find_sources
from corpora.table_rows import Place

LEVEL_SEPARATOR = "|"
"""Between the levels of a description that is a path, as eICU writes them."""


def clean_name(value: Any, levels: int = 0) -> str | None:
    """Return a description as a name on one line, or None where it is missing.

    Args:
        value: A cell.
        levels: Last levels to keep of a path "pulmonary|pulmonary infections|pneumonia"; 0 for all, with commas.
    """
    if not isinstance(value, str) or value.strip() in NULL_TEXTS:
        return None
    parts = [" ".join(part.split()) for part in value.split(LEVEL_SEPARATOR)]
    parts = [part for part in parts if part]
    return ", ".join(parts[-levels:]) or None


def read_concept_names(file: str | Path) -> dict[str, str]:
    """Read names by code.

    Args:
        file: Lines of `CODE: name`, or CSV, TSV, JSON lines or Parquet with the columns `code` and `name`.

    Raises:
        InputError: The file is missing or of another form, a name is missing, or a code stands twice.
    """
    path = Path(file)
    if path.suffix.lower() == ".txt" and path.exists():
        rows: Iterable[tuple[int, Any, Any]] = _lines(path)
    else:
        sources = find_sources(file)
        if len(sources) > 1:
            raise InputError("one file or one split of names is needed", file=file, remedy="name a single file")
        (source,) = sources
        if missing := {"code", "name"} - set(available_columns(source)):
            raise InputError(
                "the column is missing", file=file, column=sorted(missing)[0], remedy="name the columns code and name"
            )
        rows = ((row, cells.get("code"), cells.get("name")) for row, cells in read_rows(source, ["code", "name"]))
    names: dict[str, str] = {}
    for row, code, value in rows:
        code, name = "" if code is None else str(code).strip(), clean_name(value)
        if not code or name is None:
            problem = "the concept has no name" if code else "the code is missing"
            raise InputError(problem, file=file, row=row, remedy="write a code and a name in each row")
        if names.setdefault(code, name) != name:
            raise InputError(f"the code {code} has a second name", file=file, row=row, remedy="keep one of them")
    if not names:
        raise InputError("the file holds no names", file=file, remedy="write lines of CODE: name")
    return names


def _lines(path: Path) -> Iterable[tuple[int, str, str]]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (UnicodeDecodeError, OSError) as error:
        raise InputError("the names cannot be read as UTF-8 text", file=path, remedy="write CODE: name") from error
    for row, line in enumerate(lines, 1):
        if not line.strip():
            continue
        code, colon, name = line.partition(":")
        if not colon:
            raise InputError("the line has no colon", file=path, row=row, remedy="write CODE: name")
        yield row, code, name


class ConceptNames:
    """Collects the descriptions of codes and settles on one name for each.

    Args:
        given: Names by code that go before any description.
        levels: See `clean_name`.
    """

    def __init__(self, given: dict[str, str] | None = None, levels: int = 0) -> None:
        self.given, self.levels = given or {}, levels
        self._seen: dict[str, Counter[str]] = {}
        self._places: dict[str, Place] = {}
        self._clean: dict[Any, str | None] = {}

    def add(self, code: str, description: Any, place: Place) -> None:
        """Count a description of a code."""
        if description not in self._clean:
            self._clean[description] = clean_name(description, self.levels)
        name = self._clean[description]
        counts = self._seen.setdefault(code, Counter())
        self._places.setdefault(code, place)
        if name is not None:
            counts[name] += 1

    def settle(self, policy: str) -> tuple[dict[str, str], dict[str, int]]:
        """Return the name of each code that was added.

        Of several descriptions the most frequent is taken, of equally frequent ones the first in the alphabet.

        Args:
            policy: What becomes of a code without any name: `error`, `code` (the code is its name) or `skip`.

        Returns:
            Names by code, without the skipped; how many codes had `several_descriptions` and were `without_name`.

        Raises:
            InputError: A code has no name, and the policy is `error`.
        """
        names: dict[str, str] = {}
        counts = {"several_descriptions": 0, "without_name": 0}
        for code, seen in self._seen.items():
            if code in self.given:
                names[code] = self.given[code]
                continue
            counts["several_descriptions"] += len(seen) > 1
            if seen:
                names[code] = min(seen, key=lambda name: (-seen[name], name))
                continue
            counts["without_name"] += 1
            if policy == "error":
                remedy = "give --concept_names, or pass --on_missing_name skip (or code)"
                raise self._places[code].fault(f"the concept {code} has no name", remedy)
            if policy == "code":
                names[code] = code
        return names, counts

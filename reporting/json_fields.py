"""Values of a JSON file, checked one by one, so that a damaged file is told by its first fault."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpora.errors import InputError


class JsonFields:
    """Values of a JSON object, each checked when it is asked for.

    Args:
        values: The object.
        file: Where it was read.
        place: Which object of the file it is, for messages.
        remedy: What the user should do about a fault.

    Raises:
        InputError: It is no object, or by every method, the value is missing or not of its kind.
    """

    def __init__(self, values: Any, file: Path, place: str = "", *, remedy: str) -> None:
        self.file, self.place, self.remedy = file, place, remedy
        if not isinstance(values, dict):
            self._fail("is not a mapping")
        self.values: dict[str, Any] = values

    def _fail(self, problem: str) -> None:
        raise InputError(f"{self.place}: {problem}" if self.place else problem, file=self.file, remedy=self.remedy)

    def _get(self, name: str, kind: type | tuple[type, ...], what: str, optional: bool = False) -> Any:
        value = self.values.get(name)
        if value is None and optional and name in self.values:
            return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self._fail(f"'{name}' is {'not ' + what if name in self.values else 'missing'}")
        return value

    def text(self, name: str, optional: bool = False) -> Any:
        """Return text, or None where it is null and may be."""
        return self._get(name, str, "text", optional)

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """Return text that is one of the choices."""
        value = self.text(name)
        if value not in choices:
            self._fail(f"'{name}' is not one of {', '.join(choices)}")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a list of different texts, at least one."""
        values = self._get(name, list, "a list")
        if not values or not all(isinstance(value, str) for value in values) or len(set(values)) < len(values):
            self._fail(f"'{name}' is not a list of different names")
        return values

    def dictionaries(self, name: str) -> list[Any]:
        """Return a list that is not empty, its items unchecked."""
        values = self._get(name, list, "a list")
        if not values:
            self._fail(f"'{name}' is empty")
        return values

    def count(self, name: str, least: int = 0, optional: bool = False) -> Any:
        """Return a whole number that is not below `least`."""
        value = self._get(name, int, "a whole number", optional)
        if value is not None and value < least:
            self._fail(f"'{name}' is below {least}")
        return value

    def counts(self, name: str, keys: Sequence[str]) -> dict[str, int]:
        """Return whole numbers of a mapping."""
        inner = JsonFields(self._get(name, dict, "a mapping"), self.file, f"'{name}'", remedy=self.remedy)
        return {key: inner.count(key, least=1 if key == "test" else 0) for key in keys}

    def number(self, name: str) -> float:
        """Return a number."""
        return float(self._get(name, (int, float), "a number"))

    def number_or_none(self, name: str) -> float | None:
        """Return a finite number, or None where it is null or missing."""
        value = self._get(name, (int, float), "a number", optional=True) if name in self.values else None
        if value is not None and not math.isfinite(value):
            self._fail(f"'{name}' is not finite")
        return None if value is None else float(value)

    def numbers(self, name: str) -> dict[str, float]:
        """Return the numbers of a mapping, without those that are null or not a number: scores that are undefined."""
        inner = JsonFields(
            self._get(name, dict, "a mapping"), self.file, f"{self.place}: '{name}'".lstrip(": "), remedy=self.remedy
        )
        found = {key: inner._get(key, (int, float), "a number", optional=True) for key in inner.values}
        return {key: float(value) for key, value in found.items() if value is not None and math.isfinite(value)}

    def fields(self, name: str, optional: bool = False) -> JsonFields | None:
        """Return an object within this one, its values unchecked; None where it is null or missing and may be."""
        if optional and self.values.get(name) is None:
            return None
        place = f"{self.place}: '{name}'".removeprefix(": ")
        return JsonFields(self._get(name, dict, "a mapping"), self.file, place, remedy=self.remedy)

    def array(self, name: str, *shape: int | None, whole: bool = False) -> np.ndarray:
        """Return numbers in lists, or in lists of lists.

        Args:
            name: Its key.
            shape: Length of each level; None where any will do.
            whole: Numbers are whole and not below 0; otherwise null stands for one that is undefined.

        Returns:
            float64 with nan for null, or int64.
        """
        rows = self._get(name, list, "a list")
        items = (
            rows if len(shape) == 1 else [item for row in rows for item in (row if isinstance(row, list) else [row])]
        )
        allowed = int if whole else (int, float, type(None))
        if not all(isinstance(item, allowed) and not isinstance(item, bool) for item in items):
            self._fail(f"'{name}' holds something that is not a {'whole ' if whole else ''}number")
        size = [len(rows), *({len(row) if isinstance(row, list) else -1 for row in rows} if len(shape) == 2 else ())]
        if len(size) == 1 < len(shape):
            size.append(0 if shape[1] is None else shape[1])  # no rows: of any length
        if len(size) != len(shape) or -1 in size or any(b not in (None, a) for a, b in zip(size, shape, strict=True)):
            wanted = " by ".join("any" if length is None else f"{length:,}" for length in shape)
            self._fail(f"'{name}' is not of size {wanted}")
        found = np.array(items, dtype=np.int64 if whole else np.float64).reshape(size)
        if (whole and (found < 0).any()) or np.isinf(found).any():
            self._fail(f"'{name}' holds a number that is {'negative' if whole else 'not finite'}")
        return found

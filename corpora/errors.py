"""The one exception for faults that a user can mend."""

from __future__ import annotations

from pathlib import Path


class InputError(ValueError):
    """A fault in what the user gave: a file, a row, a column, an option.

    Its text is a single line that says where, what and what to do about it, and never holds words of a document.
    Scripts print it on stderr and exit with status 2.

    Args:
        problem: What is wrong, without a full stop.
        file: The file or folder at fault.
        row: Row of the file, counted from 1; the header of a CSV file is not a row.
        column: Name of the column.
        remedy: What the user should do, without a full stop.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        row: int | None = None,
        column: str | None = None,
        remedy: str | None = None,
    ) -> None:
        place = [str(file)] if file is not None else []
        if row is not None:
            place.append(f"row {row:,}")
        if column is not None:
            place.append(f"column '{column}'")
        message = f"{', '.join(place)}: {problem}" if place else problem
        if remedy:
            message = f"{message}; {remedy}"
        super().__init__(" ".join(message.split()))
        self.problem, self.file, self.row, self.column, self.remedy = problem, file, row, column, remedy

    def __reduce__(self) -> tuple:
        """Keep the fields when the error crosses a process boundary."""
        return _rebuild, (self.problem, self.file, self.row, self.column, self.remedy)


def _rebuild(
    problem: str, file: str | Path | None, row: int | None, column: str | None, remedy: str | None
) -> InputError:
    return InputError(problem, file=file, row=row, column=column, remedy=remedy)

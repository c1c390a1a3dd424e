"""The `results.json` of an output folder: found, whole, of the right kind and version."""

from __future__ import annotations

from pathlib import Path

from corpora.errors import InputError
from corpora.json_files import read_fields
from reporting.json_fields import JsonFields


def read_results_file(folder: Path, kind: str, what: str, version: int, script: str) -> JsonFields:
    """Read a folder's `results.json`.

    Args:
        folder: The output folder of a script.
        kind: What the file must say that it holds.
        what: That kind in words, for the message.
        version: Of the schema.
        script: Which writes such folders, for the remedy.

    Raises:
        InputError: There is no such folder or file, or it is damaged or of another kind or version.
    """
    file, give, again = folder / "results.json", f"give the output folder of {script}", f"run {script} again"
    if not folder.is_dir():
        raise InputError("no such folder", file=folder, remedy=give)
    if not file.is_file():
        raise InputError("holds no results.json", file=folder, remedy=give)
    fields = JsonFields(read_fields(file, again), file, remedy=again)
    if fields.values.get("kind") != kind:
        raise InputError(f"is not of {what}", file=file, remedy=give)
    found = fields.values.get("schema_version")
    if found != version:
        raise InputError(f"has schema version {found}, not {version}", file=file, remedy=again)
    return fields

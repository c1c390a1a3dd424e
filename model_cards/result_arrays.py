"""Arrays that lie beside a `results.json`, and that it names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from corpora.errors import InputError
from corpora.json_files import read_json

RESAMPLES = 1_000
AGAIN = "run the script again that wrote it"


def resamples_of(folder: Path) -> int:
    """Return how many resamples the tables of a folder were made with: more than usual where comparisons are many."""
    return max(RESAMPLES, (read_json(folder / "comparisons.json") or {}).get("resamples") or 0)


def read_array(folder: Path, name: str, key: str) -> np.ndarray:
    """Read an array from a `.npz` file.

    Args:
        folder: The folder of the results.
        name: Path of the file within it.
        key: Name of the array.

    Raises:
        InputError: The path leads out of the folder, or there is no such file.
        KeyError: The file has no such array.
        OSError, ValueError, zipfile.BadZipFile, zlib.error: The file is damaged, or would need a pickle.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError("names predictions outside the folder", file=folder / "results.json", remedy=AGAIN)
    if not (folder / path).is_file():
        raise InputError("no such file", file=folder / path, remedy=AGAIN)
    with np.load(folder / path, allow_pickle=False) as arrays:
        return arrays[key]

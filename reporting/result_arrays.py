"""Arrays that lie beside a `results.json`, in files that it names."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from corpora.errors import InputError
from reporting.json_fields import JsonFields


def path_within(folder: Path, fields: JsonFields, name: str) -> Path:
    """Return the path of a file that a JSON object names.

    Args:
        folder: The folder of the results.
        fields: The object.
        name: Its key, a plural noun that says what the file holds.

    Raises:
        InputError: The value is missing or no text, or leads out of the folder.
    """
    path = PurePosixPath(fields.text(name))
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{fields.place}: the {name} lie outside the folder", file=fields.file, remedy=fields.remedy)
    return folder / path


def read_arrays(file: Path, names: Sequence[str], remedy: str) -> dict[str, np.ndarray]:
    """Read arrays from a `.npz` file.

    Args:
        file: The file.
        names: Of the arrays.
        remedy: What the user should do about a fault.

    Raises:
        InputError: There is no such file, it is damaged, would need a pickle, or lacks an array.
    """
    if not file.is_file():
        raise InputError("no such file", file=file, remedy=remedy)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in names if name not in arrays.files]
            if not missing:
                return {name: arrays[name] for name in names}
    # A file of one bare array cannot be opened with `with`: a TypeError, an AttributeError in Python 3.10.
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError("cannot be read as NumPy arrays", file=file, remedy=remedy) from error
    raise InputError(f"holds no array '{missing[0]}'", file=file, remedy=remedy)

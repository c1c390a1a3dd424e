"""Files of arrays that are made again where they are missing or broken."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np


def read_arrays_if_whole(file: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays in a `.npz` file by name; None where there is no file, or only a part of one."""
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    # A file of one bare array cannot be opened with `with`: a TypeError, an AttributeError in Python 3.10.
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None

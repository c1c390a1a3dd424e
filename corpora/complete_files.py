"""Text files and folders that are there whole or not at all."""

from __future__ import annotations

import gzip
import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from corpora.errors import InputError


@contextmanager
def complete_file(path: str | Path) -> Iterator[TextIO]:
    """Open a text file (UTF-8, newlines as written) under a temporary name; rename on success, remove on failure.

    Args:
        path: Where to write; an ending .gz compresses, with equal bytes for equal text.

    Raises:
        InputError: The file cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError("is a folder", file=path, remedy="name a file")
    partial = path.with_name(path.name + ".partial")
    try:
        raw = partial.open("wb")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=path) from error
    try:
        with raw:
            # No name and no time in the gzip header: the same text gives the same file.
            binary = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.name.endswith(".gz") else raw
            with io.TextIOWrapper(binary, encoding="utf-8", newline="") as file:
                yield file
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def complete_folder(path: str | Path) -> Iterator[Path]:
    """Make a folder under a temporary name to write into; rename on success, remove on failure.

    Args:
        path: The folder; must be absent or empty.

    Raises:
        InputError: It holds files, is the working folder, or cannot be written.
    """
    path = Path(path)
    refuse_working_folder(path)
    if path.exists() and not path.is_dir():
        raise InputError("is a file", file=path, remedy="name a folder")
    if path.is_dir() and any(path.iterdir()):
        raise InputError("the folder is not empty", file=path, remedy="name another, or empty it")
    partial = path.with_name(path.name + ".partial")
    try:
        if partial.is_dir():
            shutil.rmtree(partial)  # of a run that was killed
        partial.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=path) from error
    try:
        yield partial
        if path.is_dir():
            path.rmdir()
        partial.replace(path)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)


def refuse_working_folder(path: Path) -> None:
    """Make sure that a folder that will be put in place whole is not where the process, and most likely a shell, is.

    Raises:
        InputError: The working folder is the folder, or lies in it.
    """
    if Path.cwd().is_relative_to(os.path.realpath(path)):
        raise InputError("the output is the folder you are in, or around it", file=path, remedy="name a folder in it")

"""Where `tag.py predict` writes: what it refuses beforehand, and how an earlier prediction gives way."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from corpora.complete_files import refuse_working_folder
from corpora.errors import InputError
from corpora.json_files import read_json, write_json

if TYPE_CHECKING:
    from corpora.entities import AnnotatedDocument

# In a BRAT folder, with the names of its files; BRAT and `read_brat` pass over hidden files.
MANIFEST = ".predicted.json"


def check_output(output: Path, inputs: Iterable[Path], *, overwrite: bool) -> None:
    """See that the output can be written, and that nothing but an earlier prediction is lost.

    Args:
        output: A folder, FILE.jsonl or FILE.conll.
        inputs: Files and folders that are read.
        overwrite: Whether an earlier prediction gives way.

    Raises:
        InputError: It has an ending that stands for no format, is there already, is the working folder, or holds the
            texts to be read, or files that no prediction wrote.
    """
    if output.suffix not in ("", ".jsonl", ".conll"):
        raise InputError(
            f"'{output.suffix}' stands for no format", file=output, remedy="name a folder, FILE.jsonl or FILE.conll"
        )
    refuse_working_folder(output)
    if output.is_file() and output.suffix == "":
        raise InputError("the output is a file, not a folder", file=output, remedy="choose another --output")
    if any(_holds(output, path) for path in inputs):
        raise InputError("the output is what --data reads", file=output, remedy="choose another --output")
    there = output.is_file() or (output.is_dir() and any(output.iterdir()))
    if there and not overwrite:
        raise InputError("the output is there already", file=output, remedy="choose another one, or pass --overwrite")
    if there and output.is_dir():
        written = (read_json(output / MANIFEST) or {}).get("files", [])
        others = [file for file in sorted(output.iterdir()) if file.name not in (MANIFEST, *written)]
        if others:
            raise InputError(
                f"{len(others):,} files there are of no prediction", file=output, remedy="choose another --output"
            )


def check_labels(output: Path, labels: Sequence[str]) -> None:
    """See that the format can hold the types of entities.

    Raises:
        InputError: One holds white space, which BRAT forbids.
    """
    if output.suffix == "" and any(re.search(r"\s", label) for label in labels):
        raise InputError(
            "a type of the tagger holds white space, which BRAT forbids",
            remedy="write --output FILE.jsonl or FILE.conll",
        )


def write_annotation(output: Path, documents: Sequence[AnnotatedDocument]) -> None:
    """Write BRAT files into a folder that `check_output` found free, or in place of an earlier prediction."""
    from corpora.brat import write_brat

    beside = output.with_name(output.name + ".predicted")
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
    try:
        write_brat(beside, documents)
        write_json(beside / MANIFEST, {"files": sorted(file.name for file in beside.iterdir())})
        if output.is_dir():
            shutil.rmtree(output)
        beside.replace(output)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _holds(output: Path, path: Path) -> bool:
    """Tell whether an output is an input, or would be written around it; links count as what they lead to."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(output))

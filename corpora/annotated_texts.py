"""All words in files of annotated text, for comparisons in which none may be overlooked.

`corpora.annotated_files` reads what training needs, guided by options. Here nothing depends on an option: every column
of a CoNLL file is read, and the notes of annotators in BRAT files too.
"""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from corpora.annotated_files import FORMAT_OF_SUFFIX
from corpora.conll import begins_document
from corpora.errors import InputError
from corpora.reading import TextLines

_TAG = re.compile(r"[OBIESLU]|[BIESLU]-\S.*")
_SAVED = ("preparation.json", "dataset_dict.json", "dataset_info.json")


def divide_corpus(entries: Iterable[str | Path]) -> tuple[list[Path], list[str]]:
    """Divide what names a corpus into files of annotated text and what `corpora.loading.load_corpus` takes.

    BRAT stand-off (`.txt`, `.ann`) and CoNLL files (`.conll`, `.iob`, ..., and a `.tsv` whose first line ends in a tag)
    are annotated text. JSON lines with spans are left to `load_corpus`, which reads their text. Of a folder that is no
    saved dataset all files at any depth with an ending that tag.py knows are taken.

    Args:
        entries: Files, globs, folders and Hub ids.

    Returns:
        Files, each once, and the other entries.

    Raises:
        InputError: A folder holds neither a saved dataset nor annotated text.
    """
    annotated: dict[Path, None] = {}
    others: list[str] = []
    for entry in map(str, entries):
        folder = Path(entry)
        if folder.is_dir() and not any((folder / name).is_file() for name in _SAVED):
            files = [file for file in sorted(folder.rglob("*")) if file.is_file() and _ending(file) in FORMAT_OF_SUFFIX]
            if not files:
                raise InputError(
                    "the folder holds no saved dataset and no annotated files",
                    file=folder,
                    remedy="name a folder of prepare_notes.py, or one of .txt and .ann, .conll, .tsv or .jsonl files",
                )
        elif glob.has_magic(entry) and not folder.exists():
            files = [Path(match) for match in sorted(glob.glob(entry, recursive=True))]  # noqa: PTH207 - absolute patterns
        else:
            files = [folder]
        ours = [file for file in files if _is_annotated(file)]
        annotated.update(dict.fromkeys(ours))
        # Beside a folder's annotated files may lie JSON lines.
        others += [str(file) for file in files if file not in ours] if ours or folder.is_dir() else [entry]
    return list(annotated), list(dict.fromkeys(others))


def annotated_texts(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield every text in files of annotated text with the document that it is of.

    Of a CoNLL file each column is a text of its own, but for those of tags alone, and so are its comments. A file that
    marks no documents counts as one: what it says often may all be of one patient.

    Args:
        files: Of `divide_corpus`.

    Raises:
        InputError: A file is missing, damaged or not UTF-8.
    """
    for file in files:
        if not file.is_file():
            raise InputError("the file is missing", file=file, remedy="check the path")
        if FORMAT_OF_SUFFIX.get(_ending(file)) == "brat":
            yield "".join(_lines(file)), str(file.with_suffix(""))
        else:
            yield from _conll_texts(file)


def _conll_texts(file: Path) -> Iterator[tuple[str, str]]:
    number, columns = 1, defaultdict(list)
    for line in _lines(file):
        stripped = line.strip()
        if begins_document(stripped):
            yield from _columns(columns, f"{file}, {number}")
            number, columns = number + 1, defaultdict(list)
            columns[-1].append(stripped)
            continue
        if stripped.startswith("#"):
            columns[-1].append(stripped)  # and yet it may be a word
        for place, cell in enumerate(stripped.split("\t") if "\t" in stripped else stripped.split()):
            columns[place].append(cell.strip())
    yield from _columns(columns, f"{file}, {number}")


def _columns(columns: dict[int, list[str]], owner: str) -> Iterator[tuple[str, str]]:
    for cells in columns.values():
        if not all(map(_TAG.fullmatch, cells)):
            yield " ".join(cells), owner


def _is_annotated(file: Path) -> bool:
    form = FORMAT_OF_SUFFIX.get(_ending(file))
    if _ending(file) != ".tsv" or not file.is_file():
        return form in ("brat", "conll")
    # A table of notes has a header, which ends in no tag.
    words = (line.split() for line in _lines(file) if not begins_document(line) and not line.startswith("#"))
    first = next(filter(None, words), [])
    return len(first) > 1 and _TAG.fullmatch(first[-1]) is not None


def _ending(file: Path) -> str:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _lines(file: Path) -> Iterator[str]:
    number = 0
    with TextLines(str(file)) as lines:
        for number, line in enumerate(lines, 1):  # noqa: B007 - the last one counts
            yield line
        lines.check(number + 1)

r"""BRAT stand-off annotation, as in n2c2-2018: `NAME.txt` holds a text, `NAME.ann` its entities.

A line of the `.ann` file such as `T1<TAB>Drug 10 17<TAB>aspirin` is an entity; offsets count the characters of the text
file as they are (a carriage return and a byte-order mark count); `Drug 10 15;20 25` is a discontinuous one. Relations,
events, attributes, modifications, normalisations, notes and equivalences (`R E A M N # *`) are counted and passed over.
The document's id is the file's name without its ending.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from corpora.columns import shown_id
from corpora.complete_files import complete_folder
from corpora.entities import AnnotatedDocument, Entity, reads_as, sorted_entities, span_problem
from corpora.errors import InputError

_ENTITY = re.compile(r"(?P<id>T\S*)\t(?P<label>\S+) (?P<spans>\d+ \d+(?:;\d+ \d+)*)\t(?P<text>.*)", re.DOTALL)
_OTHER = {
    "R": "relations", "E": "events", "A": "attributes", "M": "modifications", "N": "normalisations", "#": "notes",
    "*": "equivalences",
}  # fmt: skip
_FORBIDDEN = re.compile(r"[\x00-\x1f/\\:*?\"<>|%]|^\.")
_LONGEST_NAME = 240  # bytes; file systems allow 255, with the ending
OFFSETS = "offsets count characters from 0, and the end is the character after the last"


def read_brat(path: str | Path, labelled: bool = True) -> tuple[list[AnnotatedDocument], Counter[str]]:
    """Read the texts and entities of a folder, or of one pair of files.

    Args:
        path: A folder (its sub-folders and hidden files are not looked at), a `.txt` file or an `.ann` file.
        labelled: Read the `.ann` files; otherwise they may be missing, and there are no entities.

    Returns:
        Documents in the order of their names, and the lines passed over, by kind.

    Raises:
        InputError: A file is missing, damaged or not UTF-8; a line is no annotation; an id occurs twice; an offset lies
            beyond the text, or a span is empty; the text beside the offsets differs from the text there. File and row
            are named.
    """
    passed: Counter[str] = Counter()
    documents = []
    for text_file in _text_files(Path(path), labelled):
        text = _decode(text_file)
        entities: tuple[Entity, ...] = ()
        if labelled:
            entities = _read_entities(_partner(text_file, ".ann"), text, passed)
        documents.append(AnnotatedDocument(text_file.stem, text, entities))
    return documents, passed


def _text_files(path: Path, labelled: bool) -> list[Path]:
    if path.is_dir():
        names = [file for file in sorted(path.iterdir()) if not file.name.startswith(".")]
        # Whatever their case: what is passed over in silence would be missing from the corpus.
        texts = [file for file in names if file.suffix.lower() == ".txt"]
        annotations = [file for file in names if file.suffix.lower() == ".ann"] if labelled else []
        if not texts and not annotations:
            raise InputError("the folder holds no .txt files", file=path, remedy="name the folder that holds the pairs")
    else:
        texts, annotations = [_partner(path, ".txt")], [_partner(path, ".ann")] if labelled else []
        if not path.is_file():
            raise InputError("the file is missing", file=path, remedy="check the path")
    for file in annotations:
        if not _partner(file, ".txt").is_file():
            raise InputError("an .ann file without its .txt file", file=file, remedy="put the text beside it")
    for file in texts:
        if labelled and not _partner(file, ".ann").is_file():
            raise InputError(
                "a .txt file without its .ann file", file=file,
                remedy="put the annotation beside it, empty if there is none; or name another --format",
            )  # fmt: skip
    return texts


def _partner(file: Path, suffix: str) -> Path:
    """Return the other file of a pair, in capitals where it is so."""
    found, capitals = file.with_suffix(suffix), file.with_suffix(suffix.upper())
    return capitals if capitals.is_file() and not found.is_file() else found


def _decode(file: Path) -> str:
    content = file.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            "invalid UTF-8", file=file, row=content.count(b"\n", 0, error.start) + 1,
            remedy="convert the file; offsets count characters, so check them after that",
        ) from error  # fmt: skip


def _read_entities(file: Path, text: str, passed: Counter[str]) -> tuple[Entity, ...]:
    entities: dict[str, Entity] = {}
    for row, line in enumerate(_decode(file).removeprefix("\ufeff").split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip():
            continue
        if line[0] in _OTHER:
            passed[_OTHER[line[0]]] += 1
            continue
        found = _ENTITY.fullmatch(line)
        if not found:
            raise InputError(
                "the line is no annotation", file=file, row=row, remedy="write T1<tab>Type start end<tab>text"
            )
        if found["id"] in entities:
            raise InputError(f"the id {found['id']} occurs twice", file=file, row=row, remedy="number the entities")
        spans = [(int(start), int(end)) for start, end in map(str.split, found["spans"].split(";"))]
        problem = span_problem(spans, len(text))
        if problem:
            raise InputError(problem, file=file, row=row, remedy=OFFSETS)
        if not reads_as(found["text"], text, spans):
            raise InputError(
                "the text of the annotation differs from the text at its offsets", file=file, row=row,
                remedy="the text file may have changed since it was annotated, in its line ends for example",
            )  # fmt: skip
        entities[found["id"]] = Entity(found["label"], tuple(sorted(spans)), found["id"])
    return sorted_entities(list(entities.values()))


def write_brat(folder: str | Path, documents: Iterable[AnnotatedDocument]) -> int:
    """Write `.txt` and `.ann` files for documents into a new folder, whole or not at all.

    `read_brat` gives back texts, spans and labels exactly. Entities keep their ids where these are of the form T1 and
    differ, and are numbered otherwise. In a document id, characters that a file name cannot hold are written as `%2F`.

    Args:
        folder: Must be absent or empty.
        documents: Texts and entities.

    Returns:
        The number of documents.

    Raises:
        InputError: The folder holds files or cannot be written, two documents have one name, or a label holds white
            space, which BRAT forbids.
    """
    names: set[str] = set()
    with complete_folder(folder) as partial:
        for document in documents:
            name = _FORBIDDEN.sub(lambda found: f"%{ord(found[0]):02X}", document.document_id)
            if name in names or not name or len(name.encode()) > _LONGEST_NAME:
                problem = "occurs twice" if name in names else "is empty or too long for a file name"
                raise InputError(
                    f"document id {shown_id(document.document_id)} {problem}", remedy="give each its own id"
                )
            names.add(name)
            lines = _annotation_lines(document)
            (partial / f"{name}.txt").write_bytes(document.text.encode())
            (partial / f"{name}.ann").write_bytes("".join(lines).encode())
    return len(names)


def _annotation_lines(document: AnnotatedDocument) -> list[str]:
    ids = [entity.entity_id for entity in document.entities]
    keep = len(set(ids)) == len(ids) and all(one is not None and re.fullmatch(r"T\d+", one) for one in ids)
    lines = []
    for number, entity in enumerate(document.entities, 1):
        if re.search(r"\s", entity.label):
            raise InputError("a label with white space, which BRAT forbids", remedy="rename the type")
        spans = ";".join(f"{start} {end}" for start, end in entity.spans)
        # BRAT itself writes line breaks as blanks; a tab or a carriage return would break the line likewise.
        shown = re.sub(r"[\n\r\t]", " ", " ".join(document.text[start:end] for start, end in entity.spans))
        lines.append(f"{entity.entity_id if keep else f'T{number}'}\t{entity.label} {spans}\t{shown}\n")
    return lines

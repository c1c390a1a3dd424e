"""From what the user names, files and folders in any format, to annotated documents."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from corpora.brat import read_brat
from corpora.columns import shown_id
from corpora.conll import TaggedDocument, read_conll
from corpora.entities import AnnotatedDocument
from corpora.errors import InputError
from corpora.span_json_lines import read_span_json_lines
from corpora.tagging_options import TaggingReadingOptions

Format = Literal["conll", "brat", "jsonl"]
FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".conll": "conll", ".iob": "conll", ".iob2": "conll", ".bio": "conll", ".bioes": "conll", ".tsv": "conll",
    ".conllu": "conll", ".ann": "brat", ".txt": "brat", ".jsonl": "jsonl", ".json": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip


@dataclass(frozen=True)
class AnnotatedInput:
    """One file or folder.

    Args:
        path: As the user gave it.
        format: How it is read.
        stem: Start of the document ids made for it; no two inputs share one.
    """

    path: Path
    format: Format
    stem: str


@dataclass
class AnnotatedDocuments:
    """The documents of a split.

    Args:
        documents: In the order of the inputs.
        tagged: Words and sentences of those that came with them (CoNLL), by document id.
        by_sentence: Documents that are one sentence each, as their file marks no documents.
        schemes: Files by the scheme of their tags.
        repaired: Tags that broke their scheme.
        passed: Lines of BRAT files that hold no entity, by kind.
    """

    documents: list[AnnotatedDocument] = field(default_factory=list)
    tagged: dict[str, TaggedDocument] = field(default_factory=dict)
    by_sentence: int = 0
    schemes: Counter[str] = field(default_factory=Counter)
    repaired: int = 0
    passed: Counter[str] = field(default_factory=Counter)


def find_annotated_inputs(
    files: Mapping[str, Sequence[str]], options: TaggingReadingOptions
) -> dict[str, list[AnnotatedInput]]:
    """Resolve files, globs and folders of each split, and the format of each.

    A folder with `.txt` or `.ann` files is BRAT as a whole; of another, all files with a known ending are read.

    Raises:
        InputError: Something is missing, empty, named twice, or of no known format.
    """
    stems: Counter[str] = Counter()
    seen: dict[Path, tuple[str, Path]] = {}
    inputs: dict[str, list[AnnotatedInput]] = {}
    for split, entries in files.items():
        inputs[split] = []
        for path in [path for entry in entries for path in _expand(entry, options)]:
            form = _format(path, options)
            # Both files of a BRAT pair are one input, of which a glob finds each.
            key = path.resolve().with_suffix(".txt") if form == "brat" and path.is_file() else path.resolve()
            if key in seen:
                before, other = seen[key]
                if before == split and {other.suffix.lower(), path.suffix.lower()} == {".ann", ".txt"}:
                    continue
                raise InputError(
                    f"the input is named twice, for {before} and for {split}", file=path,
                    remedy="name each input once",
                )  # fmt: skip
            seen[key] = split, path
            stem = path.name.partition(".")[0] or path.name
            stems[stem] += 1
            numbered = stem if stems[stem] == 1 else f"{stem}.{stems[stem]}"
            inputs[split].append(AnnotatedInput(path, form, numbered))
    return inputs


def _expand(entry: str, options: TaggingReadingOptions) -> Iterator[Path]:
    path = Path(entry)
    if path.is_dir():
        yield from _folder(path, options)
    elif path.is_file():
        if path.stat().st_size == 0:
            raise InputError("the file is empty", file=path, remedy="check how it was exported")
        yield path
    elif glob.has_magic(entry):
        matches = sorted(glob.glob(entry, recursive=True))  # noqa: PTH207 - absolute patterns
        if not matches:
            raise InputError("no file matches", file=entry, remedy="check the path and the quotes around it")
        for match in matches:
            yield from _expand(match, options)
    else:
        raise InputError("the file is missing", file=entry, remedy="check the path")


def _folder(folder: Path, options: TaggingReadingOptions) -> list[Path]:
    known = {file: _by_suffix(file) for file in sorted(folder.iterdir()) if not file.name.startswith(".")}
    formats = {one for one in known.values() if one}
    if options.format == "brat" or (options.format == "auto" and "brat" in formats):
        return [folder]
    wanted = {options.format} if options.format != "auto" else formats
    found = [file for file, one in known.items() if one in wanted]
    if not found:
        raise InputError(
            "the folder holds no annotated files", file=folder,
            remedy="name a folder of .txt and .ann, .conll, .tsv or .jsonl files, or the files themselves",
        )  # fmt: skip
    return found


def _by_suffix(file: Path) -> Format | None:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return FORMAT_OF_SUFFIX.get(suffixes[-1]) if suffixes else None


def _format(path: Path, options: TaggingReadingOptions) -> Format:
    if options.format != "auto":
        return options.format
    found = "brat" if path.is_dir() else _by_suffix(path)
    if found is None:
        raise InputError("the format is not known", file=path, remedy="name it with --format conll, brat or jsonl")
    return found


def read_annotated(
    inputs: Sequence[AnnotatedInput], options: TaggingReadingOptions, seen: dict[str, str], split: str, labelled: bool
) -> AnnotatedDocuments:
    """Read the inputs of a split.

    Args:
        inputs: In order.
        options: How they are read.
        seen: Document ids met so far with their splits; those of this split are added.
        split: Its name.
        labelled: Read entities.

    Raises:
        InputError: An input is at fault, or a document id occurs twice.
    """
    result = AnnotatedDocuments()
    for one in inputs:
        documents = _read(one, options, labelled, result)
        for document in documents:
            if document.document_id in seen:
                earlier = seen[document.document_id]
                raise InputError(
                    f"document id {shown_id(document.document_id)} occurs twice, in {earlier} and in {split}",
                    file=one.path,
                    remedy="give each document its own id, and keep it in one split",
                )
            seen[document.document_id] = split
        result.documents += documents
    return result


def _read(
    one: AnnotatedInput, options: TaggingReadingOptions, labelled: bool, result: AnnotatedDocuments
) -> list[AnnotatedDocument]:
    if one.format == "jsonl":
        return read_span_json_lines(one.path, options.keys, stem=one.stem, labelled=labelled)
    if one.format == "brat":
        documents, passed = read_brat(one.path, labelled)
        result.passed.update(passed)
        return documents
    file = read_conll(
        one.path,
        stem=one.stem,
        scheme=options.tag_scheme,
        repair=options.repair_tags,
        token_column=options.token_column,
        tag_column=options.tag_column,
        labelled=labelled,
    )
    result.by_sentence += len(file.documents) if file.by_sentence else 0
    result.schemes.update([file.scheme] if file.scheme else [])
    result.repaired += file.counts["repaired tags"]
    result.tagged.update({document.document_id: document for document in file.documents})
    return [document.annotated() for document in file.documents]

"""CoNLL and TSV files: a word a line with its tag, a blank line between sentences.

The word is in the first column and the tag in the last, unless named otherwise. Columns are separated by tabs, or by
blanks in a file whose first word line holds no tab. A line `-DOCSTART-` (with or without an id after it) or a comment
`# doc_id = ID` (also `document_id`, `newdoc id`) begins a document. In a file with neither each sentence is a document
of its own. Comments of the form `# name = value` before a sentence are passed over. Documents that the file gives no id
are called `STEM-1`, `STEM-2` and so on.

The text of a document is its words joined by one blank, and its sentences by one line break, so that offsets exist.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from corpora.complete_files import complete_file
from corpora.entities import AnnotatedDocument, Entity
from corpora.errors import InputError
from corpora.reading import TextLines
from corpora.tag_schemes import Scheme, detect_scheme, entity_spans, repair_tags, scheme_faults, split_tag, to_iob2

_DOCUMENT_COMMENT = re.compile(r"# *(?:(?:doc_id|document_id|newdoc id) *= *(\S[^\t]*)|newdoc)")
_COMMENT = re.compile(r"# +(?:[A-Za-z_][\w ]*=[^\t]*|newpar\b[^\t]*)")
_DOCSTART = "-DOCSTART-"


@dataclass
class TaggedSentence:
    """One sentence of a file.

    Args:
        words: As written.
        tags: One for each word; empty where tags are not read.
        row: Line of the file of its first word, from 1; its words follow line by line.
    """

    words: list[str]
    tags: list[str]
    row: int


@dataclass
class TaggedDocument:
    """The sentences of a document, with IOB2 tags.

    Args:
        document_id: Its id in the file, or made.
        sentences: In order; none is empty.
        row: Line of the file that begins it.
    """

    document_id: str
    sentences: list[TaggedSentence]
    row: int

    def offsets(self) -> list[list[tuple[int, int]]]:
        """Return `(start, end)` of each word of each sentence in the document's text."""
        offsets, place = [], 0
        for sentence in self.sentences:
            words = []
            for word in sentence.words:
                words.append((place, place + len(word)))
                place += len(word) + 1  # the blank or the line break
            offsets.append(words)
        return offsets

    def annotated(self) -> AnnotatedDocument:
        """Return the text, and the entities that the tags spell."""
        entities = [
            Entity(label, ((words[first][0], words[last - 1][1]),))
            for sentence, words in zip(self.sentences, self.offsets(), strict=True)
            for label, first, last in entity_spans(sentence.tags)
        ]
        text = "\n".join(" ".join(sentence.words) for sentence in self.sentences)
        return AnnotatedDocument(self.document_id, text, tuple(entities))


@dataclass
class ConllFile:
    """What a file holds.

    Args:
        documents: In order.
        by_sentence: The file marks no documents: each sentence is one.
        scheme: Of its tags; None where tags are not read.
        counts: `repaired tags`: words whose tag broke the scheme and was read as conlleval would.
    """

    documents: list[TaggedDocument]
    by_sentence: bool
    scheme: Scheme | None
    counts: Counter[str] = field(default_factory=Counter)


def read_conll(
    path: str | Path,
    *,
    stem: str | None = None,
    scheme: Literal["auto"] | Scheme = "auto",
    repair: bool = False,
    token_column: int = 1,
    tag_column: int = -1,
    labelled: bool = True,
) -> ConllFile:
    """Read a file, compressed (.gz) or not, with line ends of any system of today.

    Args:
        path: The file.
        stem: Start of made document ids; by default the file's name up to its first dot.
        scheme: Of the tags; auto finds it.
        repair: Read a tag that breaks the scheme as conlleval would, instead of stopping; counted.
        token_column: Column of the word, from 1, or from -1 backwards.
        tag_column: Column of the tag, counted likewise.
        labelled: Read tags; otherwise the file may lack them, and what it has is not looked at.

    Raises:
        InputError: The file is missing, empty, damaged or not UTF-8; a row lacks a column or has one too many; a tag is
            no tag, or breaks the scheme. File and row are named.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("the file is missing", file=path, remedy="check the path")
    parser = _Parser(str(path), stem or path.name.partition(".")[0] or path.name, token_column, tag_column, labelled)
    with TextLines(str(path)) as lines:
        number = 0
        for number, line in enumerate(lines, 1):
            line = line.rstrip("\r\n \t")
            if "\r" in line:
                raise InputError(
                    "lines end with a carriage return alone", file=path, row=number, remedy="convert it: tr '\\r' '\\n'"
                )
            parser.line(number, line)
        lines.check(number + 1)
    documents, by_sentence = parser.finish()
    if not any(document.sentences for document in documents):
        raise InputError("the file holds no words", file=path, remedy="check how it was exported")
    result = ConllFile(documents, by_sentence, None)
    if labelled:
        _read_tags(result, str(path), scheme, repair)
    return result


class _Parser:
    def __init__(self, file: str, stem: str, token_column: int, tag_column: int, labelled: bool) -> None:
        if not token_column or not tag_column:
            raise InputError("columns are counted from 1", remedy="give 1 for the first, -1 for the last")
        self.file, self.stem, self.labelled = file, stem, labelled
        self.token_column, self.tag_column = token_column, tag_column
        self.documents: list[TaggedDocument] = []
        self.sentence: TaggedSentence | None = None
        self.tabs: bool | None = None
        self.columns = self.token_place = self.tag_place = 0
        self.marked = False

    def line(self, row: int, line: str) -> None:
        if not line.strip():
            self.sentence = None
        elif line.startswith(_DOCSTART):
            self.marked, self.sentence = True, None
            self.documents.append(TaggedDocument(_docstart_id(line), [], row))
        elif self.sentence is None and (found := _DOCUMENT_COMMENT.fullmatch(line)):
            self.marked = True
            self.documents.append(TaggedDocument((found[1] or "").strip(), [], row))
        elif self.sentence is not None or not _COMMENT.fullmatch(line):
            self._word(row, line)

    def _word(self, row: int, line: str) -> None:
        if self.tabs is None:
            self.tabs = "\t" in line
        cells = line.split("\t") if self.tabs else [cell for cell in line.replace("\t", " ").split(" ") if cell]
        if not self.columns:
            self._first(cells, row)
        if len(cells) != self.columns:
            problem = f"{len(cells)} column{'s' if len(cells) > 1 else ''} where the first word has {self.columns}"
            remedy = "give each word the same columns; the tag may be missing" if len(cells) < self.columns else None
            raise InputError(problem, file=self.file, row=row, remedy=remedy or "check the separators of this row")
        word = cells[self.token_place].strip(" ")
        if not word:
            raise InputError(
                "a tag without a word", file=self.file, row=row, remedy="give the word, or leave a blank line"
            )
        if self.sentence is None:
            self.sentence = TaggedSentence([], [], row)
            if not self.documents:
                self.documents.append(TaggedDocument("", [], row))
            self.documents[-1].sentences.append(self.sentence)
        self.sentence.words.append(word)
        if self.labelled:
            self.sentence.tags.append(cells[self.tag_place].strip(" "))

    def _first(self, cells: list[str], row: int) -> None:
        self.columns = len(cells)
        columns = [self.token_column, self.tag_column] if self.labelled else [self.token_column] * 2
        if any(not -self.columns <= column <= self.columns for column in columns):
            raise InputError(
                f"{self.columns} columns, fewer than the options name", file=self.file, row=row,
                remedy="check --token_column and --tag_column",
            )  # fmt: skip
        self.token_place, self.tag_place = (column - (column > 0) for column in columns)
        if self.labelled and self.token_place % self.columns == self.tag_place % self.columns:
            raise InputError("a word without a tag", file=self.file, row=row, remedy="give a word and its tag a line")

    def finish(self) -> tuple[list[TaggedDocument], bool]:
        documents = self.documents
        if not self.marked:
            documents = [TaggedDocument("", [one], one.row) for document in documents for one in document.sentences]
        for number, document in enumerate(documents, 1):
            document.document_id = document.document_id or f"{self.stem}-{number}"
        seen: set[str] = set()
        for document in documents:
            if document.document_id in seen:
                raise InputError(
                    f"document id '{document.document_id}' occurs twice", file=self.file, row=document.row,
                    remedy="give each document its own id",
                )  # fmt: skip
            seen.add(document.document_id)
        return documents, not self.marked


def begins_document(line: str) -> bool:
    """Tell whether a line, taken by itself, marks the beginning of a document."""
    return line.startswith(_DOCSTART) or _DOCUMENT_COMMENT.fullmatch(line.strip()) is not None


def _docstart_id(line: str) -> str:
    """Return the id after -DOCSTART-, or nothing for the columns that CoNLL-2003 puts there."""
    rest = line[len(_DOCSTART) :].split()
    if not rest or rest[-1] == "O" or "-X-" in rest:
        return ""
    return " ".join(rest).strip("()")


def _read_tags(result: ConllFile, file: str, scheme: Literal["auto"] | Scheme, repair: bool) -> None:
    sentences = [sentence for document in result.documents for sentence in document.sentences]
    for sentence in sentences:
        for place, tag in enumerate(sentence.tags):
            try:
                split_tag(tag)
            except ValueError as error:
                raise InputError(
                    f"the tag is {error}", file=file, row=sentence.row + place, remedy="check --tag_column"
                ) from error
    result.scheme = detect_scheme(sentence.tags for sentence in sentences) if scheme == "auto" else scheme
    for sentence in sentences:
        faults = scheme_faults(sentence.tags, result.scheme)
        if faults and not repair:
            lone = result.scheme == "IOB2" and split_tag(sentence.tags[faults[0]])[0] == "I"
            raise InputError(
                "an I- tag that continues no entity of its type" if lone else f"the tag breaks {result.scheme}",
                file=file,
                row=sentence.row + faults[0],
                remedy="mend it, name another --tag_scheme, or pass --repair_tags to begin an entity there",
            )
        if faults:
            result.counts["repaired tags"] += len(faults)
            sentence.tags = repair_tags(sentence.tags, "IOB2")
        else:
            sentence.tags = to_iob2(sentence.tags, result.scheme)


def write_conll(
    path: str | Path, documents: Iterable[tuple[str, Iterable[tuple[Sequence[str], Sequence[str]]]]]
) -> None:
    """Write words and tags, tab between them, whole or not at all; `read_conll` gives them back.

    Args:
        path: Where to write; .gz compresses.
        documents: `(document id, [(words, tags), ...])`; a sentence without words is left out.

    Raises:
        InputError: The file cannot be written, or an id cannot stand on a line.
        ValueError: A sentence has more or fewer tags than words, or a word cannot stand on a line.
    """
    with complete_file(path) as file:
        for document_id, sentences in documents:
            check_document_id(document_id)
            file.write(f"# doc_id = {document_id}\n")
            for words, tags in sentences:
                file.writelines(_sentence_lines(words, tags))


def check_document_id(document_id: str) -> None:
    """Make sure that an id can stand on a line of its own.

    Raises:
        InputError: It is blank, or holds a line break.
    """
    if not document_id.strip() or len(document_id.splitlines()) > 1:
        raise InputError(
            "a document id that is blank or of several lines cannot be written", remedy="write FILE.jsonl instead"
        )


def _sentence_lines(words: Sequence[str], tags: Sequence[str]) -> Iterator[str]:
    if len(words) != len(tags):
        raise ValueError(f"{len(words)} words and {len(tags)} tags")
    for word, tag in zip(words, tags, strict=True):
        if not word.strip() or re.search(r"[\t\r\n]", word) or word.startswith(_DOCSTART):
            raise ValueError("a word that is blank, holds a tab or a line break, or marks a document")
        yield f"{word}\t{tag}\n"
    if words:
        yield "\n"

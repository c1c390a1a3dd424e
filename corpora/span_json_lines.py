"""JSON lines of documents with entities as character offsets.

An entity is an object with `label` and either `start` and `end` or `spans` (`[[start, end], ...]`), whose keys options
rename, or a list `[start, end, label]`. Where an object also gives the words, they are compared with the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.columns import identifier, shown_id
from corpora.complete_files import complete_file
from corpora.entities import AnnotatedDocument, Entity, reads_as, sorted_entities, span_problem
from corpora.errors import InputError
from corpora.reading import read_rows
from corpora.sources import Source

# The first three would end a line for readers that split at any line break; the others, half a pair, are not in UTF-8.
_ESCAPED = re.compile("[\x85\u2028\u2029\ud800-\udfff]")
_ID_KEYS = ("document_id", "doc_id", "id")
_OFFSETS = "offsets count characters from 0, and the end is the character after the last"


@dataclass(frozen=True)
class SpanKeys:
    """Names of the keys."""

    text: str = field(default="text", metadata={"help": "of the document's text"})
    document_id: str | None = field(
        default=None, metadata={"help": f"of the document's id; by default the first of {', '.join(_ID_KEYS)}"}
    )
    entities: str = field(default="entities", metadata={"help": "of the list of entities"})
    label: str = field(default="label", metadata={"help": "of an entity's type"})
    start: str = field(default="start", metadata={"help": "of an entity's first character"})
    end: str = field(default="end", metadata={"help": "of the character after its last"})
    spans: str = field(default="spans", metadata={"help": "of the list of an entity's parts"})
    shown: str = field(default="text", metadata={"help": "of an entity's words, which are compared with the text"})
    entity_id: str = field(default="id", metadata={"help": "of an entity's id"})


def read_span_json_lines(
    path: str | Path, keys: SpanKeys | None = None, *, stem: str | None = None, labelled: bool = True
) -> list[AnnotatedDocument]:
    """Read documents, one a line; compressed (.gz) or not.

    Args:
        path: The file.
        keys: Names of the keys.
        stem: Start of made document ids (`STEM-ROW`), for a file without ids; by default the file's name up to its
            first dot.
        labelled: Read entities; otherwise the key may be missing, and there are none.

    Raises:
        InputError: The file is missing, empty, damaged or not UTF-8; a line is no JSON object; a key is missing or of
            the wrong kind; a span is empty or lies beyond the text; the words of an entity differ from the text at its
            offsets; an id occurs twice. File, row and key are named.
    """
    path, keys = Path(path), keys or SpanKeys()
    if not path.is_file():
        raise InputError("the file is missing", file=path, remedy="check the path")
    documents: list[AnnotatedDocument] = []
    seen: set[str] = set()
    id_key = keys.document_id
    for row, value in read_rows(Source(str(path), "json lines", "", ""), []):
        place = _Place(str(path), row, keys)
        if not documents and id_key is None:
            id_key = next((key for key in _ID_KEYS if key in value), None)
        text = value.get(keys.text)
        if not isinstance(text, str):
            raise place.fault("no text", keys.text, "give each row a text, or name its key")
        document_id = f"{stem or path.name.partition('.')[0]}-{row}"
        if id_key is not None:
            document_id = place.document_id(value.get(id_key), id_key)
        if document_id in seen:
            raise place.fault(
                f"document id {shown_id(document_id)} occurs twice", id_key, "give each document its own id"
            )
        seen.add(document_id)
        entities = place.entities(value.get(keys.entities), text) if labelled else ()
        documents.append(AnnotatedDocument(document_id, text, entities))
    if not documents:
        raise InputError("the file holds no rows", file=path, remedy="check how it was exported")
    return documents


@dataclass
class _Place:
    """Checks the values of one row, and knows where it stands."""

    file: str
    row: int
    keys: SpanKeys

    def fault(self, problem: str, key: str | None, remedy: str) -> InputError:
        return InputError(problem, file=self.file, row=self.row, column=key, remedy=remedy)

    def document_id(self, value: Any, key: str) -> str:
        found = None if isinstance(value, (list, dict, bool)) else identifier(value)
        if found is None:
            raise self.fault("the document id is missing", key, "give each row an id")
        return found

    def entities(self, values: Any, text: str) -> tuple[Entity, ...]:
        if not isinstance(values, list):
            raise self.fault("no list of entities", self.keys.entities, "an empty list says that there are none")
        return sorted_entities([self.entity(value, number, text) for number, value in enumerate(values, 1)])

    def entity(self, value: Any, number: int, text: str) -> Entity:
        keys = self.keys
        if isinstance(value, list) and len(value) == 3:
            value = {keys.start: value[0], keys.end: value[1], keys.label: value[2]}
        if not isinstance(value, dict):
            raise self.fault(f"entity {number:,} is no object", keys.entities, "give it a label, a start and an end")
        label = value.get(keys.label)
        if not isinstance(label, str) or not label.strip():
            raise self.fault(f"entity {number:,} has no label", keys.entities, f"give it the key {keys.label}")
        spans = value[keys.spans] if keys.spans in value else [[value.get(keys.start), value.get(keys.end)]]
        if not isinstance(spans, list) or not spans or not all(map(_is_pair, spans)):
            remedy = f"give whole numbers as {keys.start} and {keys.end}, or pairs of them as {keys.spans}"
            raise self.fault(f"entity {number:,} has no offsets", keys.entities, remedy)
        pairs = [(start, end) for start, end in spans]
        problem = span_problem(pairs, len(text))
        if problem:
            raise self.fault(f"entity {number:,}: {problem}", keys.entities, _OFFSETS)
        shown = value.get(keys.shown)
        if isinstance(shown, str) and not reads_as(shown, text, pairs):
            problem = f"the words of entity {number:,} differ from the text at its offsets"
            raise self.fault(problem, keys.entities, "the text may have changed since it was annotated")
        entity_id = value.get(keys.entity_id)
        return Entity(label.strip(), tuple(sorted(pairs)), None if entity_id is None else str(entity_id))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(one) is int for one in value)


def write_span_json_lines(path: str | Path, documents: Iterable[AnnotatedDocument]) -> int:
    """Write documents with `document_id`, `text` and `entities`, whole or not at all.

    A contiguous entity has `label`, `start` and `end`, any other `label` and `spans`; `probability` (four decimals) and
    `id` where it has them.

    Args:
        path: Where to write; .gz compresses.
        documents: Texts and entities.

    Returns:
        The number of documents.

    Raises:
        InputError: The file cannot be written.
    """
    count = 0
    with complete_file(path) as file:
        for count, document in enumerate(documents, 1):  # noqa: B007
            row = {
                "document_id": document.document_id,
                "text": document.text,
                "entities": [_entity_object(entity) for entity in document.entities],
            }
            line = _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(row, ensure_ascii=False))
            file.write(line + "\n")
    return count


def _entity_object(entity: Entity) -> dict[str, Any]:
    place: dict[str, Any] = {"spans": [list(span) for span in entity.spans]}
    if len(entity.spans) == 1:
        place = {"start": entity.start, "end": entity.end}
    more: dict[str, Any] = {"probability": None if entity.probability is None else round(entity.probability, 4)}
    more["id"] = entity.entity_id
    return {"label": entity.label, **place} | {key: value for key, value in more.items() if value is not None}

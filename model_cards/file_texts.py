"""The text in a file of a checkpoint, whatever its format: what a reader, or a search engine, could find there."""

from __future__ import annotations

import html
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TOKENIZER_FILES = frozenset({"tokenizer.json", "vocab.json", "vocab.txt", "merges.txt"})
"""Lists of words: neighbours in them are no sentence, so that each entry is a piece of its own."""
TEXT_SUFFIXES = frozenset({".md", ".json", ".txt", ".svg", ".html", ".xml", ".cff", ".yaml", ".yml", ".jinja", ""})
_IMAGES = frozenset({".png", ".jpg", ".jpeg"})
_MARKUP = frozenset({".md", ".svg", ".html", ".xml"})
# Shorter runs of letters occur in weights by chance.
_PRINTABLE = re.compile(rb"[\x09\x20-\x7e]{12,}")
_CHUNK, _OVERLAP = 1 << 20, 1 << 12


def is_text(file: Path) -> bool:
    """Tell whether a file is read whole, as text."""
    return file.suffix.lower() in TEXT_SUFFIXES


def text_pieces(file: Path) -> Iterator[str]:
    """Yield the pieces of text in a file; words of two pieces are no neighbours.

    JSON comes as it is and again with its strings decoded, markup again without tags. Of safetensors the strings of the
    header are read, of images their metadata, of other binary files the runs of printable characters.
    """
    suffix = file.suffix.lower()
    if suffix == ".safetensors":
        yield from _safetensors_texts(file)
    elif suffix in _IMAGES:
        yield from _image_texts(file)
    elif not is_text(file):
        yield from _printable_runs(file)
    elif file.name in TOKENIZER_FILES:
        yield from _entries(file)
    else:
        # Without the zeros, UTF-16 reads as ASCII does.
        text = file.read_text(encoding="utf-8", errors="replace").replace("\0", "")
        yield text
        if suffix == ".json":
            yield "\n".join(_strings(_parsed(text)))
        if suffix in _MARKUP:
            yield html.unescape(re.sub(r"<[^<>]*>", " ", text))


def _entries(file: Path) -> Iterator[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    parsed = _parsed(text) if file.suffix == ".json" else None
    yield from text.splitlines() if parsed is None else _strings(parsed)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)


def _safetensors_texts(file: Path) -> Iterator[str]:
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        # The format's own limit; a larger number is no safetensors file, which loading will say.
        header = stream.read(min(length, 100_000_000))
    yield header.decode("utf-8", errors="replace")
    yield from _strings(_parsed(header.decode("utf-8", errors="replace")))


def _image_texts(file: Path) -> Iterator[str]:
    from PIL import Image

    with Image.open(file) as image:
        image.load()  # text may stand behind the pixels
        fields = {**image.info, **getattr(image, "text", {})}
    for name, value in fields.items():
        yield f"{name} {value.decode('latin-1') if isinstance(value, bytes) else value}"


def _printable_runs(file: Path) -> Iterator[str]:
    kept = b""
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            block = kept + chunk
            for run in _PRINTABLE.findall(block):
                yield run.decode("ascii")
            kept = block[-_OVERLAP:]

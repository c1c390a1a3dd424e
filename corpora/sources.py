"""Finding the inputs: files, globs, saved datasets and Hub datasets."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.json_files import read_json

KIND_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json lines",
    ".jsonl": "json lines",
    ".ndjson": "json lines",
    ".parquet": "parquet",
}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


@dataclass(frozen=True)
class Source:
    """One input that is read from start to end.

    Args:
        name: What messages call it: the path as the user gave it, or the Hub id.
        kind: csv, tsv, json lines, parquet, saved dataset or hub dataset.
        state: Changes when the content does: size and time of change of a file, fingerprint of a dataset.
        stem: Start of the document ids that are made for it.
        split: Split of a saved or Hub dataset.
    """

    name: str
    kind: str
    state: str
    stem: str
    split: str | None = None


def find_sources(inputs: str | Path | Iterable[str | Path]) -> list[Source]:
    """Resolve what the user named into sources, in the order given; a glob's matches are sorted.

    Args:
        inputs: Files (CSV, TSV, JSON lines, Parquet, each also .gz), globs, folders written by `save_to_disk`, or
            Hub ids (`owner/name`).

    Raises:
        InputError: Something is missing, unknown, empty, or named twice.
    """
    inputs = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
    if not inputs:
        raise InputError("no input is given", remedy="name at least one file, glob, dataset folder or Hub id")
    sources = [source for entry in inputs for source in _find(str(entry))]
    seen: set[tuple[str, str | None]] = set()
    for source in sources:
        place = (str(Path(source.name).resolve()), source.split)
        if place in seen:
            raise InputError("the input is named twice", file=source.name, remedy="name each input once")
        seen.add(place)
    return _with_distinct_stems(sources)


def _find(entry: str) -> list[Source]:
    path = Path(entry)
    if path.is_dir():
        return _saved_dataset(path)
    if path.exists():
        return [_file(path)]
    if glob.has_magic(entry):
        matches = sorted(match for match in glob.glob(entry, recursive=True) if Path(match).is_file())  # noqa: PTH207 - absolute patterns
        if not matches:
            raise InputError("no file matches", file=entry, remedy="check the path and the quotes around it")
        return [_file(Path(match)) for match in matches]
    if _kind(path) is None and _HUB_ID.fullmatch(entry) and not Path(path.parts[0]).exists():
        return _hub_dataset(entry)
    raise InputError("the file is missing", file=entry, remedy="check the path")


def _kind(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return KIND_OF_SUFFIX.get(suffixes[-1]) if suffixes else None


def _file(path: Path) -> Source:
    kind = _kind(path)
    if kind is None:
        raise InputError(
            "the kind of file is not known",
            file=path,
            remedy="give .csv, .tsv, .jsonl or .parquet, each also .gz, or a folder written by save_to_disk",
        )
    stat = path.stat()
    if stat.st_size == 0:
        raise InputError("the file is empty", file=path, remedy="check how it was exported")
    stem = re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)
    return Source(str(path), kind, f"{stat.st_size}-{stat.st_mtime_ns}", Path(stem).stem)


def _saved_dataset(folder: Path) -> list[Source]:
    if (folder / "dataset_dict.json").is_file():
        splits: Sequence[str | None] = _splits(folder / "dataset_dict.json")
    elif (folder / "state.json").is_file():
        splits = [None]
    else:
        raise InputError(
            "the folder holds no dataset written by save_to_disk",
            file=folder,
            remedy=f"name the files in it, for example '{folder}/*.csv'",
        )
    sources = []
    for split in splits:
        state = _json((folder / split if split else folder) / "state.json").get("_fingerprint")
        stem = f"{folder.resolve().name}-{split}" if split else folder.resolve().name
        sources.append(Source(str(folder), "saved dataset", str(state), stem, split))
    return sources


def _splits(path: Path) -> list[str]:
    splits = _json(path).get("splits")
    if not isinstance(splits, list) or not splits:
        raise InputError("the saved dataset names no splits", file=path, remedy="save it again")
    return splits


def _json(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if content is None:
        raise InputError("the saved dataset is damaged", file=path, remedy="save it again")
    return content


def _hub_dataset(name: str) -> list[Source]:
    dataset = load_hub_dataset(name)
    return [
        Source(name, "hub dataset", str(part._fingerprint), f"{name.split('/')[1]}-{split}", split)
        for split, part in dataset.items()
    ]


def load_hub_dataset(name: str) -> Any:
    """Return the `DatasetDict` of a Hub dataset, from the local cache where it is there.

    Raises:
        InputError: It cannot be had.
    """
    import datasets

    try:
        return datasets.load_dataset(name)
    except Exception as error:  # the Hub client raises a dozen unrelated classes
        raise InputError(
            f"neither a file here nor a Hub dataset that can be loaded ({type(error).__name__})",
            file=name,
            remedy="check the path, or the id and the connection (HF_HUB_OFFLINE, HF_ENDPOINT)",
        ) from error


def _with_distinct_stems(sources: list[Source]) -> list[Source]:
    """Number the stems that occur twice, so that made ids stay distinct over `a/notes.csv` and `b/notes.csv`."""
    counts: dict[str, int] = {}
    distinct = []
    for source in sources:
        counts[source.stem] = counts.get(source.stem, 0) + 1
        number = counts[source.stem]
        stem = source.stem if number == 1 else f"{source.stem}.{number}"
        distinct.append(Source(source.name, source.kind, source.state, stem, source.split))
    return distinct

"""One of n shares of a job, for machines that work side by side, and the check that finished shares belong together."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from corpora.errors import InputError

MANIFEST = "shard.json"
SCHEMA_VERSION = 1
_REMEDY = "write I/N with I from 1 to N, for example 3/8"


class Shard(NamedTuple):
    """Share `number` of `count`, counted from 1.

    A job falls into numbered blocks that do not depend on the shards; shard I of N takes every N-th of them from the
    I-th on. So shards have nothing in common, and all together the blocks of the job.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str | None) -> Shard | None:
        """Read `I/N`; None stays None.

        Raises:
            InputError: It is something else, or I does not lie between 1 and N.
        """
        if text is None:
            return None
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text.strip())
        shard = cls(*map(int, found.groups())) if found else None
        if shard is None or not 1 <= shard.number <= shard.count:
            raise InputError(f"--shard {text} is no share of a job", remedy=_REMEDY)
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def owns(self, block: int) -> bool:
        """Tell whether a block, counted from 0, belongs to the shard."""
        return block % self.count == self.number - 1

    def folder(self, output: str | Path) -> Path:
        """Return where the shard of an output lies: beside it, under a name that is the shard's own."""
        output, width = Path(output), len(str(self.count))
        return output.with_name(f"{output.name}.shard-{self.number:0{width}d}-of-{self.count}")


def write_manifest(folder: Path, kind: str, shard: Shard, fingerprint: str, job: dict[str, Any]) -> None:
    """Write what a finished shard is a share of.

    Args:
        folder: Of the shard.
        kind: Of job.
        shard: Which share.
        fingerprint: Equal for shards of the same job.
        job: What merging needs to know; equal for shards of the same job. No words of a document.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "kind": kind,
        "shard": shard.number,
        "of": shard.count,
        "fingerprint": fingerprint,
        "job": job,
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


class Shards(NamedTuple):
    """All shards of one job.

    Args:
        kind: Of job.
        folders: In the order of their numbers.
        fingerprint: Of the job.
        job: As `write_manifest` got it.
    """

    kind: str
    folders: tuple[Path, ...]
    fingerprint: str
    job: dict[str, Any]

    def owner(self, block: int) -> Path:
        """Return the folder of the shard that a block belongs to."""
        return self.folders[block % len(self.folders)]


def read_shards(folders: Sequence[str | Path]) -> Shards:
    """Read the manifests of the shards of one job, in any order.

    Raises:
        InputError: A folder is no finished shard, the shards are of different jobs, or one is missing or there twice.
    """
    if not folders:
        raise InputError("no shard is given", remedy="name the folders of all shards")
    manifests = {Path(folder): _manifest(Path(folder)) for folder in folders}
    first_folder, first = next(iter(manifests.items()))
    by_number: dict[int, Path] = {}
    for folder, manifest in manifests.items():
        different = [name for name in ("kind", "of", "fingerprint") if manifest[name] != first[name]]
        if different:
            raise InputError(
                f"is a shard of another job than {first_folder} ({_difference(first, manifest)})",
                file=folder,
                remedy="merge shards of the same inputs, settings, versions and number of shards",
            )
        earlier = by_number.setdefault(manifest["shard"], folder)
        if earlier != folder:
            raise InputError(f"is the same shard as {earlier}", file=folder, remedy="name each shard once")
    missing = sorted(set(range(1, first["of"] + 1)) - by_number.keys())
    if missing:
        numbers = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise InputError(
            f"{len(missing):,} of {first['of']:,} shards are missing: {numbers}",
            file=first_folder.parent,
            remedy="run them, or name their folders too",
        )
    ordered = tuple(by_number[number] for number in sorted(by_number))
    return Shards(first["kind"], ordered, first["fingerprint"], first["job"])


def _manifest(folder: Path) -> dict[str, Any]:
    file = folder / MANIFEST
    if not file.is_file():
        raise InputError("is no finished shard", file=folder, remedy="name the folders that runs with --shard left")
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        known = manifest["schema_version"] == SCHEMA_VERSION and 1 <= manifest["shard"] <= manifest["of"]
        known = known and all(isinstance(manifest[name], str) for name in ("kind", "fingerprint"))
        known = known and isinstance(manifest["job"], dict)
    except (OSError, ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise InputError("is no description of a shard of this version", file=file, remedy="run the shard again")
    return manifest


def _difference(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Name what two manifests differ in."""
    for name, words in (("kind", "another kind of job"), ("of", "another number of shards")):
        if first[name] != second[name]:
            return words
    one, other = _flat(first["job"]), _flat(second["job"])
    names = [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]
    return ", ".join(names[:5]) or "inputs"


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found

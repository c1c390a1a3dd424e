"""A publication without a network: the files and their hashes as a folder or a zip, to carry over an air gap."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from corpora.errors import InputError
from model_cards.remote_push import CHUNK, sha256_of

MANIFEST = "MANIFEST.sha256"
# Of every entry, so that the same files make the same archive.
_DATE = (1980, 1, 1, 0, 0, 0)


def manifest(hashes: Mapping[str, str]) -> str:
    """Return the lines that `sha256sum --check MANIFEST.sha256` reads."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))


def write_folder(files: Mapping[str, Path], hashes: Mapping[str, str], target: Path) -> bool:
    """Copy files into a new folder beside their manifest; it appears when it is whole and verified.

    Args:
        files: Path within the target to local file.
        hashes: Path within the target to SHA-256.
        target: The folder.

    Returns:
        False when the folder is there already with these very files.

    Raises:
        InputError: The target is there with other content, or a copy differs from its original.
    """
    if target.is_dir():
        present = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
        if present == {*files, MANIFEST} and _same(target, hashes):
            return False
    _refuse_existing(target)
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name, file in files.items():
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, partial / name)
    (partial / MANIFEST).write_text(manifest(hashes), encoding="utf-8")
    if not _same(partial, hashes):
        shutil.rmtree(partial)
        raise InputError("a copy differs from its original", file=target, remedy="check the disk, then try again")
    partial.replace(target)
    return True


def write_zip(files: Mapping[str, Path], hashes: Mapping[str, str], target: Path) -> bool:
    """Write files and their manifest into a zip, and the zip's own hash beside it as `TARGET.sha256`.

    The same files make the same archive, byte by byte. The arguments are those of `write_folder`.

    Returns:
        False when the archive is there already with these very files.

    Raises:
        InputError: The target is there with other content, or what was written differs.
    """
    partial = target.with_name(target.name + ".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        archive.writestr(zipfile.ZipInfo(MANIFEST, _DATE), manifest(hashes))
        for name, file in sorted(files.items()):
            with (
                file.open("rb") as source,
                archive.open(zipfile.ZipInfo(name, _DATE), "w", force_zip64=True) as copy,
            ):
                shutil.copyfileobj(source, copy, CHUNK)
    digest = sha256_of(partial)
    try:
        new = not target.is_file() or sha256_of(target) != digest
        if new:
            _refuse_existing(target)
            with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(partial) as archive:
                archive.extractall(folder)
                if not _same(Path(folder), hashes):
                    raise InputError("the archive differs from the files", file=target, remedy="check the disk")
            partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    target.with_name(target.name + ".sha256").write_text(f"{digest}  {target.name}\n", encoding="utf-8")
    return new


def unpack(target: Path, folder: Path) -> Path:
    """Return a folder with the files of a written target; a zip is unpacked into the given folder."""
    if target.is_dir():
        return target
    with zipfile.ZipFile(target) as archive:
        archive.extractall(folder)
    return folder


def _same(folder: Path, hashes: Mapping[str, str]) -> bool:
    found = {name: sha256_of(folder / name) for name in hashes if (folder / name).is_file()}
    return found == dict(hashes) and (folder / MANIFEST).read_text(encoding="utf-8") == manifest(hashes)


def _refuse_existing(target: Path) -> None:
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise InputError("is there already, with other content", file=target, remedy="choose another --output")

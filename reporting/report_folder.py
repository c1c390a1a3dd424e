"""Files of a report, put into a folder all at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path


def write_report_files(folder: Path, write: Callable[[Path], None], optional: Sequence[str]) -> list[Path]:
    """Have files written beside their places, and put them there when all are made.

    Files of an earlier report are replaced; other files in the folder stay. Where the writing fails, the folder is as
    it was.

    Args:
        folder: Where; it is made where there is none.
        write: Called with an empty folder to write into.
        optional: Names of files that are removed where they are not written this time.

    Returns:
        The files.
    """
    partial = folder / "report.partial"
    if partial.is_dir():
        shutil.rmtree(partial)  # of a run that was killed
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        partial.mkdir(parents=True)
        write(partial)
        for name in optional:
            if not (partial / name).is_file():
                (folder / name).unlink(missing_ok=True)
        return [file.replace(folder / file.name) for file in sorted(partial.iterdir())]
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

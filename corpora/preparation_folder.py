"""Where a preparation works, what tells a finished one, and how its result takes its place."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from corpora.complete_files import refuse_working_folder
from corpora.errors import InputError
from corpora.json_files import read_json, write_json

REPORT_NAME = "preparation.json"


class Workshop:
    """The folder of work in progress beside the output, and the final exchange.

    Args:
        output: The folder to make.
        fingerprint: Of the job.
        record: File of the finished folder that holds the fingerprint.

    Raises:
        InputError: The output is the working folder, which could not be exchanged.
    """

    def __init__(self, output: Path, fingerprint: str, record: str = REPORT_NAME) -> None:
        refuse_working_folder(output)
        self.output, self.fingerprint, self.record = output, fingerprint, record
        self.folder = output.with_name(output.name + ".partial")
        self.replaced = output.with_name(output.name + ".replaced")

    def finished_report(self, overwrite: bool) -> dict[str, Any] | None:
        """Return the report when the output is there already, None when it is to be made."""
        if not self.output.exists() or (self.output.is_dir() and not any(self.output.iterdir())):
            return None
        try:
            report = json.loads((self.output / self.record).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                "the output exists and is no prepared corpus", file=self.output, remedy="name another folder"
            ) from error
        if report.get("fingerprint") == self.fingerprint:
            shutil.rmtree(self.folder, ignore_errors=True)
            return report
        if not overwrite:
            raise InputError(
                "the output was prepared from other inputs or options",
                file=self.output,
                remedy="name another folder, or pass --overwrite",
            )
        return None

    def open(self) -> bool:
        """Make the folder; tell whether the same job has left work in it."""
        mark = self.folder / "job.json"
        try:
            if self.folder.is_dir() and any(self.folder.iterdir()):
                if not mark.is_file():
                    raise InputError(
                        "the folder is in the way and is no unfinished preparation",
                        file=self.folder,
                        remedy="move it away",
                    )
                # One that cannot be read, after a full disk for example, is of no job that could go on.
                if (read_json(mark) or {}).get("fingerprint") == self.fingerprint:
                    return True
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(mark, {"fingerprint": self.fingerprint})
        except OSError as error:
            raise InputError(
                f"the output cannot be written ({error.strerror})", file=self.folder, remedy="name another folder"
            ) from error
        return False

    def discard(self) -> None:
        """Delete the work in progress."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self, finished: str = "dataset") -> None:
        """Put the finished folder in the output's place.

        Args:
            finished: Its name in the folder of work in progress.
        """
        shutil.rmtree(self.replaced, ignore_errors=True)
        if self.output.exists():
            self.output.rename(self.replaced)
        (self.folder / finished).rename(self.output)
        shutil.rmtree(self.replaced, ignore_errors=True)
        self.discard()


def progress_bar(title: str, unit: str, shown: bool) -> Any:
    """Return a progress bar on stderr, or one that shows nothing."""
    from tqdm import tqdm

    return tqdm(desc=title, unit=f" {unit}", unit_scale=True, disable=not shown, dynamic_ncols=True)

"""Writing a `DatasetDict` to disk split by split and shard by shard, without holding or copying it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any

SHARD_BYTES = 256 * 2**20


class DatasetDictWriter:
    """Writes the folder that `datasets.load_from_disk` reads.

    `DatasetDict.save_to_disk` wants the whole dataset as Arrow files first, a second copy of every text, most often in
    the user's cache folder. Here record batches go straight into the shards.

    Args:
        folder: Where to write; must not exist.
        features: The `datasets.Features` of all splits.
    """

    def __init__(self, folder: Path, features: Any) -> None:
        self.folder, self.features = folder, features
        self.schema = features.arrow_schema
        self._splits: dict[str, _SplitWriter] = {}

    def __enter__(self) -> DatasetDictWriter:
        self.folder.mkdir(parents=True)
        return self

    def write(self, split: str, table: Any, content: bytes) -> None:
        """Append a table to a split.

        Args:
            split: Name of the split.
            table: Arrow table with the columns of the features.
            content: What identifies the table's content, for the split's fingerprint.
        """
        if split not in self._splits:
            self._splits[split] = _SplitWriter(self.folder / split, self.schema)
        self._splits[split].write(table.cast(self.schema), content)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._splits.values():
            writer.close()
        if error is None:
            self._describe()

    def _describe(self) -> None:
        """Write the metadata, from those that the library itself writes for an empty dataset."""
        from datasets import Dataset, DatasetDict, disable_progress_bars, enable_progress_bars
        from datasets.utils import are_progress_bars_disabled

        names = [split for split in ("train", "validation", "test") if split in self._splits]
        template = self.folder / "template"
        were_disabled = are_progress_bars_disabled()
        disable_progress_bars()
        empty = Dataset.from_dict({name: [] for name in self.features}, features=self.features)
        DatasetDict(dict.fromkeys(names, empty)).save_to_disk(template)
        if not were_disabled:
            enable_progress_bars()
        for name in names:
            writer = self._splits[name]
            state = json.loads((template / name / "state.json").read_text(encoding="utf-8"))
            state["_data_files"] = [{"filename": file} for file in writer.finished]
            state["_fingerprint"] = writer.digest.hexdigest()[:16]
            state["_split"] = name
            (self.folder / name / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
            (template / name / "dataset_info.json").rename(self.folder / name / "dataset_info.json")
            (template / name / "state.json").unlink()
            (template / name).rmdir()
        (template / "dataset_dict.json").rename(self.folder / "dataset_dict.json")
        template.rmdir()


class _SplitWriter:
    def __init__(self, folder: Path, schema: Any) -> None:
        import pyarrow as pa

        folder.mkdir()
        self.folder, self.schema, self.arrow = folder, schema, pa
        self.shards = 0
        self.bytes = 0
        self.stream: Any = None
        self.digest = hashlib.blake2b(folder.name.encode() + str(schema).encode())
        self.finished: list[str] = []

    def write(self, table: Any, content: bytes) -> None:
        if self.stream is None or self.bytes > SHARD_BYTES:
            self._finish_shard()
            self.sink = self.arrow.OSFile(str(self.folder / f"shard-{self.shards:05d}.arrow"), "wb")
            self.stream = self.arrow.ipc.new_stream(self.sink, self.schema)
            self.shards += 1
            self.bytes = 0
        self.stream.write_table(table)
        self.bytes += table.nbytes
        self.digest.update(content)

    def close(self) -> None:
        self._finish_shard()
        if self.shards != len(self.finished):
            for index in range(self.shards):
                name = f"data-{index:05d}-of-{self.shards:05d}.arrow"
                (self.folder / f"shard-{index:05d}.arrow").rename(self.folder / name)
                self.finished.append(name)

    def _finish_shard(self) -> None:
        if self.stream is not None:
            self.stream.close()
            self.sink.close()
            self.stream = None

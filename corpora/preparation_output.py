"""The second half of a preparation: from cleaned chunks to the dataset on disk and its report."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from corpora.canaries import Canary, CanaryOptions, make_canaries, plan_planting, plant, write_canaries
from corpora.chunks import read_columns, read_counts
from corpora.columns import NoteColumns
from corpora.deduplication import DuplicateOptions
from corpora.errors import InputError
from corpora.grouping import Decisions, decide
from corpora.preparation_folder import REPORT_NAME, Workshop, progress_bar
from corpora.preparation_report import SCHEMA_VERSION, count_documents
from corpora.records import label_kind, label_value
from corpora.saving import DatasetDictWriter
from corpora.sources import Source
from corpora.splitting import SPLITS, SplitOptions

_HASHES = ("text_hash", "id_hash", "patient_hash", "label_hash")


@dataclass(frozen=True)
class PreparationPlan:
    """What the second half of a preparation needs beside the chunks.

    Args:
        fingerprint: Of the whole job.
        sources: The inputs.
        columns: The resolved columns of the first input.
        options: As the report has them.
    """

    fingerprint: str
    sources: tuple[Source, ...]
    columns: NoteColumns
    options: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return all but the fingerprint for a JSON file."""
        sources = [asdict(source) for source in self.sources]
        return {"sources": sources, "columns": asdict(self.columns), "options": self.options}

    @classmethod
    def from_dict(cls, fingerprint: str, values: dict[str, Any]) -> PreparationPlan:
        """Return the plan that `as_dict` described."""
        sources = tuple(Source(**source) for source in values["sources"])
        return cls(fingerprint, sources, NoteColumns(**values["columns"]), values["options"])


def finish_preparation(
    plan: PreparationPlan, files: Sequence[Path], workshop: Workshop, progress: bool
) -> dict[str, Any]:
    """Decide what becomes of each document, write the dataset and its report, and put them in the output's place.

    Args:
        plan: The job.
        files: Its chunks in the order of their rows.
        workshop: Where it works.
        progress: Show progress bars on stderr.

    Returns:
        The content of `preparation.json`.

    Raises:
        InputError: The documents contradict each other, or none is left.
    """
    options = plan.options
    canaries = CanaryOptions(**options["canaries"]) if "canaries" in options else None
    try:
        decisions = decide(
            files,
            plan.sources,
            plan.columns.patient_column is not None,
            options["columns"]["split_column"] is not None,
            DuplicateOptions(**options["duplicates"]),
            SplitOptions(**options["splits"]),
            progress,
        )
        kinds = _label_kinds(files, plan.columns.label_columns)
    except InputError:
        # The user will mend the input, which makes it another job: nothing here can be used again.
        workshop.discard()
        raise
    report = {
        "schema_version": SCHEMA_VERSION,
        "notespace_version": version("notespace"),
        "fingerprint": plan.fingerprint,
        "sources": [Path(source.name).name + (f" ({source.split})" if source.split else "") for source in plan.sources],
        "options": options,
    }
    report |= count_documents(files, decisions)
    if options["excluded_admissions"] and "excluded admission" not in report["dropped"]:
        report["warnings"].append("none of the admissions to exclude occurs in the input")
    planted = _planted(canaries, decisions) if canaries is not None else None
    _write(workshop.folder / "dataset", files, decisions, plan.columns, kinds, report, planted, progress)
    workshop.publish()
    return report


class _Planting(NamedTuple):
    """The canaries, their options, and the sentences for each document by its index over all chunks."""

    canaries: list[Canary]
    options: CanaryOptions
    plan: dict[int, list[str]]

    def texts(self, texts: list[str], documents: np.ndarray) -> tuple[list[str], bytes]:
        """Return the texts with their canaries, and what identifies the change."""
        planted, sentences = [], []
        for document, text in zip(documents.tolist(), texts, strict=True):
            here = self.plan.get(document, [])
            generator = np.random.default_rng([self.options.canary_seed, 103, document])
            planted.append(plant(text, here, generator) if here else text)
            sentences += here
        return planted, "\0".join(sentences).encode()


def _planted(options: CanaryOptions, decisions: Decisions) -> _Planting:
    training = np.flatnonzero(decisions.split == SPLITS.index("train"))
    if not len(training):
        raise InputError("there is no training document to plant canaries into", remedy="leave out --canaries")
    canaries = make_canaries(options)
    return _Planting(canaries, options, plan_planting(canaries, training, options.canary_seed))


def _label_kinds(files: Sequence[Path], names: tuple[str, ...]) -> list[str]:
    seen: list[set[str]] = [set() for _ in names]
    for file in files:
        for kinds, found in zip(seen, read_counts(file).label_kinds, strict=True):
            kinds.update(found)
    return [label_kind(kinds, name) for kinds, name in zip(seen, names, strict=True)]


def _write(
    folder: Path,
    files: Sequence[Path],
    decisions: Decisions,
    columns: NoteColumns,
    kinds: list[str],
    report: dict[str, Any],
    planted: _Planting | None,
    progress: bool,
) -> None:
    import pyarrow as pa
    from datasets import Features, Sequence, Value

    shutil.rmtree(folder, ignore_errors=True)
    text = ["text", "document_id"]
    text += ["patient_id"] if columns.patient_column else []
    text += ["note_category"] if columns.category_column else []
    types = {"int": Value("int64"), "string": Value("string"), "list": Sequence(Value("string"))}
    features = Features(
        {name: Value("string") for name in text}
        | {name: types[kind] for name, kind in zip(columns.label_columns, kinds, strict=True)}
        | {"dup_group": Value("int64")}
    )
    start, without = 0, [0] * len(columns.label_columns)
    with DatasetDictWriter(folder, features) as writer, progress_bar("Writing", "documents", progress) as bar:
        for file in files:
            table = read_columns(file, [*text, "labels", *_HASHES])
            here = slice(start, start + len(table))
            split, group = decisions.split[here], decisions.group[here]
            for index, name in enumerate(SPLITS):
                chosen = np.flatnonzero(split == index)
                if not len(chosen):
                    continue
                part = table.take(chosen)
                arrays = {column: part[column] for column in text}
                labels = part["labels"].to_pylist()
                without = [count + sum(row[place] is None for row in labels) for place, count in enumerate(without)]
                arrays |= _label_arrays(labels, columns.label_columns, kinds)
                arrays["dup_group"] = pa.array(group[chosen])
                content = b"".join(value for column in _HASHES for value in part[column].to_pylist())
                if planted is not None and name == "train":
                    texts, change = planted.texts(part["text"].to_pylist(), chosen + start)
                    arrays["text"] = pa.array(texts, pa.large_string())
                    content += change
                writer.write(name, pa.table(arrays), content + group[chosen].tobytes())
            start = here.stop
            bar.update(len(table))
    report["labels"] = {
        name: {"with": report["documents_kept"] - count, "without": count}
        for name, count in zip(columns.label_columns, without, strict=True)
    }
    if planted is not None:
        write_canaries(folder, planted.canaries, planted.options)
    (folder / REPORT_NAME).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _label_arrays(rows: list[list[str | None]], names: tuple[str, ...], kinds: list[str]) -> dict[str, Any]:
    import pyarrow as pa

    types = {"int": pa.int64(), "string": pa.string(), "list": pa.list_(pa.string())}
    return {
        name: pa.array([label_value(row[position], kind) for row in rows], types[kind])
        for position, (name, kind) in enumerate(zip(names, kinds, strict=True))
    }

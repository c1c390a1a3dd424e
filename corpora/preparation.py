"""The preparation job: inputs to a clean, grouped and split `DatasetDict` on disk; restartable."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from corpora.canaries import Canary, CanaryOptions, make_canaries, plan_planting, plant, write_canaries
from corpora.chunks import CleanedChunks, read_columns, read_counts
from corpora.cleaning import CleaningOptions
from corpora.columns import NoteColumns, read_admissions
from corpora.deduplication import DuplicateOptions
from corpora.errors import InputError
from corpora.grouping import Decisions, decide
from corpora.preparation_report import SCHEMA_VERSION, count_documents
from corpora.records import ReadingOptions, label_kind, label_value, resolve_all
from corpora.saving import DatasetDictWriter
from corpora.sources import find_sources
from corpora.splitting import SPLITS, SplitOptions

REPORT_NAME = "preparation.json"
_HASHES = ("text_hash", "id_hash", "patient_hash", "label_hash")


def prepare_notes(
    inputs: str | Path | Iterable[str | Path],
    output: str | Path,
    columns: NoteColumns | None = None,
    *,
    reading: ReadingOptions | None = None,
    cleaning: CleaningOptions | None = None,
    duplicates: DuplicateOptions | None = None,
    splits: SplitOptions | None = None,
    canaries: CanaryOptions | None = None,
    exclude_admissions: str | Path | None = None,
    overwrite: bool = False,
    num_proc: int = 1,
    progress: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Clean, deduplicate and split notes into a folder for `load_corpus` and `datasets.load_from_disk`.

    Work in progress lies in `OUTPUT.partial`. A killed job goes on from its last chunk of cleaned rows when it is
    started again with the same inputs and options, and ends with the same bytes as one that was not killed.

    Args:
        inputs: Files, globs, saved datasets or Hub ids; see `find_sources`.
        output: The folder to make.
        columns: Names of the input's columns.
        reading: What to do about rows that hold no usable note.
        cleaning: The cleaning steps.
        duplicates: What counts as a duplicate.
        splits: Shares and seed.
        canaries: Random identifiers to plant into the training split; see `corpora.canaries`.
        exclude_admissions: File of admission ids to leave out.
        overwrite: Replace a corpus that was prepared with other inputs or options.
        num_proc: Processes that clean and hash; the result does not depend on it.
        progress: Show progress bars on stderr.
        say: Called with each message for the user.

    Returns:
        The content of `OUTPUT/preparation.json`; see `corpora.preparation_report`.

    Raises:
        InputError: An input, a row or an option is at fault, or the output cannot be written.
    """
    columns, reading, cleaning = columns or NoteColumns(), reading or ReadingOptions(), cleaning or CleaningOptions()
    duplicates, splits, output = duplicates or DuplicateOptions(), splits or SplitOptions(), Path(output)
    if num_proc < 1:
        raise InputError(f"--num_proc {num_proc} is below 1", remedy="give the number of processes")
    sources = find_sources(inputs)
    resolved = resolve_all(sources, columns, reading)
    excluded: frozenset[str] = frozenset()
    if exclude_admissions is not None:
        if columns.admission_column is None:
            raise InputError(
                "--exclude_admissions needs the admissions' column", remedy="name it with --admission_column"
            )
        excluded = read_admissions(exclude_admissions, columns.admission_column)
    options = {
        "columns": asdict(columns) | {"label_columns": list(columns.label_columns)},
        "reading": asdict(reading),
        "cleaning": asdict(cleaning),
        "duplicates": asdict(duplicates),
        "splits": asdict(splits),
        "excluded_admissions": len(excluded),
    }
    if canaries is not None and canaries.canaries:  # only then: a corpus without them stays the job that it was
        options["canaries"] = asdict(canaries)
    identity = {
        "schema_version": SCHEMA_VERSION,
        "sources": [[Path(s.name).name, s.kind, s.state, s.stem, s.split] for s in sources],
        "resolved": [asdict(one) for one in resolved],
        "options": options,
        "excluded": sorted(excluded),
        "rensa": version("rensa"),
    }
    fingerprint = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=16).hexdigest()
    if any(Path(source.name).resolve() == output.resolve() for source in sources):
        raise InputError("the output is one of the inputs", file=output, remedy="name another output folder")
    workshop = Workshop(output, fingerprint)
    finished = workshop.finished_report(overwrite)
    if finished is not None:
        say(f"{output} is already prepared from these inputs and options")
        return finished
    chunks = CleanedChunks(
        workshop.folder / "chunks",
        sources,
        resolved,
        reading,
        cleaning,
        excluded,
        with_signatures=duplicates.near_duplicate_threshold > 0,
        num_proc=num_proc,
    )
    if workshop.open():
        say(f"going on with a preparation that was stopped: {len(chunks.files)} chunks of rows are done")
    try:
        with progress_bar("Cleaning", "documents", progress) as bar:
            chunks.write_missing(bar.update)
        decisions = decide(
            chunks.files,
            sources,
            resolved[0].patient_column is not None,
            columns.split_column is not None,
            duplicates,
            splits,
            progress,
        )
        kinds = _label_kinds(chunks, columns.label_columns)
    except InputError:
        # The user will mend the input, which makes it another job: nothing here can be used again.
        workshop.discard()
        raise
    report = {
        "schema_version": SCHEMA_VERSION,
        "notespace_version": version("notespace"),
        "fingerprint": fingerprint,
        "sources": [Path(source.name).name + (f" ({source.split})" if source.split else "") for source in sources],
        "options": options,
    }
    report |= count_documents(chunks.files, decisions)
    if excluded and "excluded admission" not in report["dropped"]:
        report["warnings"].append("none of the admissions to exclude occurs in the input")
    planted = _planted(canaries, decisions) if "canaries" in options else None
    _write(workshop.folder / "dataset", chunks, decisions, resolved[0], kinds, report, planted, progress)
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


class Workshop:
    """The folder of work in progress beside the output, and the final exchange."""

    def __init__(self, output: Path, fingerprint: str) -> None:
        self.output, self.fingerprint = output, fingerprint
        self.folder = output.with_name(output.name + ".partial")
        self.replaced = output.with_name(output.name + ".replaced")

    def finished_report(self, overwrite: bool) -> dict[str, Any] | None:
        """Return the report when the output is there already, None when it is to be made."""
        if not self.output.exists() or (self.output.is_dir() and not any(self.output.iterdir())):
            return None
        try:
            report = json.loads((self.output / REPORT_NAME).read_text(encoding="utf-8"))
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
                if json.loads(mark.read_text(encoding="utf-8"))["fingerprint"] == self.fingerprint:
                    return True
                shutil.rmtree(self.folder)
            self.folder.mkdir(parents=True, exist_ok=True)
            mark.write_text(json.dumps({"fingerprint": self.fingerprint}), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"the output cannot be written ({error.strerror})", file=self.folder, remedy="name another folder"
            ) from error
        return False

    def discard(self) -> None:
        """Delete the work in progress."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def publish(self) -> None:
        """Put the finished dataset in the output's place."""
        shutil.rmtree(self.replaced, ignore_errors=True)
        if self.output.exists():
            self.output.rename(self.replaced)
        (self.folder / "dataset").rename(self.output)
        shutil.rmtree(self.replaced, ignore_errors=True)
        self.discard()


def _label_kinds(chunks: CleanedChunks, names: tuple[str, ...]) -> list[str]:
    seen: list[set[str]] = [set() for _ in names]
    for file in chunks.files:
        for kinds, found in zip(seen, read_counts(file).label_kinds, strict=True):
            kinds.update(found)
    return [label_kind(kinds, name) for kinds, name in zip(seen, names, strict=True)]


def _write(
    folder: Path,
    chunks: CleanedChunks,
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
    start = 0
    with DatasetDictWriter(folder, features) as writer, progress_bar("Writing", "documents", progress) as bar:
        for file in chunks.files:
            table = read_columns(file, [*text, "labels", *_HASHES])
            here = slice(start, start + len(table))
            split, group = decisions.split[here], decisions.group[here]
            for index, name in enumerate(SPLITS):
                chosen = np.flatnonzero(split == index)
                if not len(chosen):
                    continue
                part = table.take(chosen)
                arrays = {column: part[column] for column in text}
                arrays |= _label_arrays(part["labels"].to_pylist(), columns.label_columns, kinds)
                arrays["dup_group"] = pa.array(group[chosen])
                content = b"".join(value for column in _HASHES for value in part[column].to_pylist())
                if planted is not None and name == "train":
                    texts, change = planted.texts(part["text"].to_pylist(), chosen + start)
                    arrays["text"] = pa.array(texts, pa.large_string())
                    content += change
                writer.write(name, pa.table(arrays), content + group[chosen].tobytes())
            start = here.stop
            bar.update(len(table))
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


def progress_bar(title: str, unit: str, shown: bool) -> Any:
    """Return a progress bar on stderr, or one that shows nothing."""
    from tqdm import tqdm

    return tqdm(desc=title, unit=f" {unit}", unit_scale=True, disable=not shown, dynamic_ncols=True)

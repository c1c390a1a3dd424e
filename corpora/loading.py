"""Loading notes for training and encoding: a prepared corpus as it is, anything else validated on the way."""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.columns import NoteColumns, shown_id
from corpora.errors import InputError
from corpora.records import (
    SPLIT_NAMES,
    ReadingOptions,
    kind_of_label,
    label_kind,
    label_value,
    read_records,
    resolve_all,
)
from corpora.sources import Source, find_sources

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

_logger = logging.getLogger(__name__)
REPORT_NAME = "preparation.json"
_SPLIT_ORDER = {"train": 0, "validation": 1, "test": 2}


def load_corpus(
    sources: str | Path | Sequence[str | Path],
    columns: NoteColumns | None = None,
    reading: ReadingOptions | None = None,
) -> DatasetDict:
    """Load notes with the standard columns, memory-mapped.

    A folder of `scripts/prepare_notes.py` is loaded as it is. Files, globs, other saved datasets and Hub ids are read
    row by row, validated, and kept as Arrow files in the cache of `datasets` (`HF_DATASETS_CACHE`), where the next call
    with the same unchanged inputs finds them. Nothing is cleaned or deduplicated here. Rows that are left out are
    logged as a warning, by reason.

    Args:
        sources: A prepared folder, or what `find_sources` takes.
        columns: Names of the input's columns; those of a prepared folder are known.
        reading: What to do about rows that hold no usable note; by default a null or over-long text is a fault, and a
            missing patient id is not.

    Returns:
        Splits with columns text, document_id, and where the input has them patient_id, note_category and the labels.
        Input without splits becomes `train`. Input ids that are missing become `FILESTEM-ROW`.

    Raises:
        InputError: An input or a row is at fault, an id occurs twice, or a patient lies in two splits.
    """
    sources = [sources] if isinstance(sources, (str, Path)) else list(sources)
    if len(sources) == 1 and (Path(sources[0]) / REPORT_NAME).is_file():
        return _load_prepared(Path(sources[0]), columns)
    columns, reading = columns or NoteColumns(), reading or ReadingOptions(on_missing_patient="keep")
    found = find_sources(sources)
    resolved = resolve_all(found, columns, reading)
    kinds, occupied, dropped = _validate(found, resolved, reading)
    if dropped:
        _logger.warning(
            "warning: rows left out: %s", ", ".join(f"{dropped[name]:,} {name}" for name in sorted(dropped))
        )
    by_split: dict[str, list[int]] = {}
    for index, source in enumerate(found):
        for split in occupied if columns.split_column else {_split_name(source)} & occupied:
            by_split.setdefault(split, []).append(index)
    from datasets import DatasetDict

    corpus = DatasetDict()
    for split, indices in sorted(by_split.items(), key=lambda item: _SPLIT_ORDER.get(item[0], 3)):
        wanted = split if columns.split_column else None
        parts = tuple((found[index], resolved[index]) for index in indices)
        corpus[split] = _generate(parts, reading, tuple(kinds), wanted, split)
    check_patients_apart(corpus)
    return corpus


def check_patients_apart(corpus: DatasetDict) -> None:
    """Check that no patient has documents in two splits; corpora without `patient_id` pass.

    Raises:
        InputError: One has; the message names the patient's id, the splits and the number of such patients.
    """
    import pyarrow.compute as pc

    # As Arrow arrays: a Python string for each of a million patients would take a hundred megabytes.
    known = [split for split, dataset in corpus.items() if "patient_id" in dataset.column_names]
    patients = {split: distinct_values(corpus[split], "patient_id") for split in known if len(known) > 1}
    divided: dict[str, tuple[str, str]] = {}
    for first, second in itertools.combinations(patients, 2):
        both = patients[second].filter(pc.is_in(patients[second], value_set=patients[first]))
        for patient in both.to_pylist():
            divided.setdefault(patient, (first, second))
    del patients
    release_columns()
    if divided:
        patient, (first, second) = next(iter(divided.items()))
        raise InputError(
            f"patient {shown_id(patient)} lies in {first} and in {second} ({len(divided):,} such patients)",
            column="patient_id",
            remedy="keep each patient in one split, for example by scripts/prepare_notes.py",
        )


def distinct_values(dataset: Dataset, column: str) -> Any:
    """Return the values of a column as an Arrow array, each once, without null; None where there is no such column."""
    values = _column(dataset, column)
    return None if values is None else values.unique().drop_null()


def count_values(dataset: Dataset, column: str) -> dict[str, int]:
    """Return how often a column has each value, as a string; without null, and empty where there is no such column."""
    values = _column(dataset, column)
    counted = [] if values is None else values.value_counts().to_pylist()
    return {str(one["values"]): one["counts"] for one in counted if one["values"] is not None}


def sum_column(dataset: Dataset, column: str) -> int:
    """Return the sum of a column of whole numbers."""
    import pyarrow.compute as pc

    return pc.sum(_column(dataset, column)).as_py() or 0


def release_columns() -> None:
    """Give back to the system what Arrow keeps after passes over whole columns: tens of MiB for a million rows."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()


def _column(dataset: Dataset, column: str) -> Any:
    """Return a column as Arrow has it; None where there is none."""
    if column not in dataset.column_names:
        return None
    return dataset.select_columns([column]).with_format("arrow")[:][column]


def _load_prepared(folder: Path, columns: NoteColumns | None) -> DatasetDict:
    from datasets import DatasetDict, load_from_disk

    try:
        corpus = load_from_disk(str(folder))
    except Exception as error:  # Arrow, JSON and file errors of a damaged folder
        raise InputError("the prepared corpus is damaged", file=folder, remedy="prepare it again") from error
    if not isinstance(corpus, DatasetDict) or not corpus:
        raise InputError("the prepared corpus holds no splits", file=folder, remedy="prepare it again")
    for split, dataset in corpus.items():
        for name in ("text", "document_id", *(columns.label_columns if columns else ())):
            if name not in dataset.column_names:
                raise InputError(
                    f"the column is missing from split {split}",
                    file=folder,
                    column=name,
                    remedy="prepare the notes again, naming it in --label_columns",
                )
    check_patients_apart(corpus)
    return corpus


def _split_name(source: Source) -> str:
    return SPLIT_NAMES.get(source.split, source.split) if source.split else "train"


def _validate(
    sources: Sequence[Source], columns: Sequence[NoteColumns], reading: ReadingOptions
) -> tuple[list[str], set[str], Counter[str]]:
    """Read everything once, so that faults show as they are.

    Returns:
        The labels' kinds, the splits that have rows, and the rows left out by reason.
    """
    names = columns[0].label_columns
    kinds: list[set[str]] = [set() for _ in names]
    ids: set[bytes] = set()
    occupied: set[str] = set()
    dropped: Counter[str] = Counter()
    for source, resolved in zip(sources, columns, strict=True):
        for record in read_records(source, resolved, reading):
            if record.dropped:
                dropped[record.dropped] += 1
                continue
            occupied.add(record.split or _split_name(source))
            key = hashlib.blake2b(record.document_id.encode(), digest_size=12).digest()
            if key in ids:
                raise InputError(
                    f"document id {shown_id(record.document_id)} occurs twice",
                    file=source.name,
                    row=record.row,
                    column=resolved.document_id_column,
                    remedy="give each document its own id, or leave out --document_id_column",
                )
            ids.add(key)
            for kind, label in zip(kinds, record.labels, strict=True):
                if label is not None:
                    kind.add(kind_of_label(label))
    if not occupied:
        raise InputError("no document is left", file=sources[0].name, remedy="check the options that drop rows")
    return [label_kind(kind, name) for kind, name in zip(kinds, names, strict=True)], occupied, dropped


def _generate(
    parts: tuple[tuple[Source, NoteColumns], ...],
    reading: ReadingOptions,
    kinds: tuple[str, ...],
    wanted_split: str | None,
    split: str,
) -> Dataset:
    from datasets import Dataset, Features, NamedSplit, Value

    labels = {name: LABEL_FEATURES[kind] for name, kind in zip(parts[0][1].label_columns, kinds, strict=True)}
    features = Features(
        {name: Value("string") for name in standard_columns(parts[0][1])}
        | {name: make() for name, make in labels.items()}
    )
    try:
        # The library names the cache by a hash of these arguments, in which a source's state stands for its content.
        # Tuples: it would take lists for shards and hand them over in pieces.
        return Dataset.from_generator(
            _records,
            features=features,
            gen_kwargs={"parts": parts, "reading": reading, "kinds": kinds, "wanted_split": wanted_split},
            split=NamedSplit(split),
        )
    except Exception as error:
        # The library wraps what its generator raises, for example when the file changed since it was validated.
        link: BaseException | None = error
        while link is not None and not isinstance(link, InputError):
            link = link.__cause__ or link.__context__
        if link is None:
            raise
        raise link from None


def standard_columns(columns: NoteColumns) -> list[str]:
    """Return the text columns that a corpus read with these columns has."""
    optional = {"patient_id": columns.patient_column, "note_category": columns.category_column}
    return ["text", "document_id", *(name for name, column in optional.items() if column)]


def _string_list() -> Any:
    from datasets import Sequence, Value

    return Sequence(Value("string"))


def _value(name: str) -> Any:
    from datasets import Value

    return Value(name)


LABEL_FEATURES = {"int": lambda: _value("int64"), "string": lambda: _value("string"), "list": _string_list}
"""Kind of label to its `datasets` feature, made when called."""


def _records(
    parts: tuple[tuple[Source, NoteColumns], ...], reading: ReadingOptions, kinds: list[str], wanted_split: str | None
) -> Iterator[dict[str, Any]]:
    for source, columns in parts:
        names = standard_columns(columns)
        for record in read_records(source, columns, reading):
            if record.dropped or record.split != wanted_split:
                continue
            row = {name: getattr(record, name) for name in names}
            for name, kind, label in zip(columns.label_columns, kinds, record.labels, strict=True):
                row[name] = label_value(label, kind)
            yield row

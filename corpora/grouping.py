"""From cleaned chunks to decisions: which documents stay, in which duplicate group and in which split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from corpora.chunks import NO_CATEGORY, read_columns
from corpora.columns import shown_id
from corpora.deduplication import (
    SIGNATURE_SLOTS,
    DuplicateOptions,
    as_hash_array,
    connected,
    first_of_each,
    group_near_duplicates,
    number_by_appearance,
)
from corpora.errors import InputError
from corpora.sources import Source
from corpora.splitting import SPLITS, SplitOptions, join_units, sample_units, share_warnings, split_units

_DROPPED = -1


@dataclass
class Decisions:
    """What becomes of each cleaned document; arrays are `(documents,)`, in the order of the chunks.

    Args:
        split: Index into `SPLITS`, or -1 where the document is dropped: an exact duplicate, or outside the sample.
        group: Duplicate group, or -1.
        category: Index into `category_names`.
        category_names: Note categories in order of appearance.
        patient: Patients numbered from 0; empty where the input has none.
        words: Words of the document.
        outside: How many are outside the sample.
        warnings: What the user should know.
    """

    split: NDArray[np.int8]
    group: NDArray[np.int64]
    category: NDArray[np.int32]
    category_names: list[str]
    patient: NDArray[np.int64]
    words: NDArray[np.int32]
    outside: int = 0
    warnings: list[str] = field(default_factory=list)


def decide(
    files: Sequence[Path],
    sources: Sequence[Source],
    with_patients: bool,
    with_splits: bool,
    duplicates: DuplicateOptions,
    splits: SplitOptions,
    progress: bool = False,
) -> Decisions:
    """Find duplicates and assign splits, from the chunks' hashes and signatures alone.

    Memory: about 400 bytes a document.

    Args:
        files: The chunks.
        sources: The inputs, for messages.
        with_patients: Whether documents have patients.
        with_splits: Whether documents come with their split.
        duplicates: What counts as a duplicate.
        splits: Shares and seed.
        progress: Show a progress bar on stderr.

    Raises:
        InputError: No document is left, two different documents share an id, or a given split divides a patient.
    """
    names = ["text_hash", "id_hash", "patient_hash", "label_hash", "words", "note_category", "split"]
    hashes: dict[str, list[bytes]] = {name: [] for name in names[:4]}
    words, given, category, codes = [], [], [], {}
    for file in files:
        table = read_columns(file, names)
        for name, parts in hashes.items():
            parts.append(b"".join(table[name].to_pylist()))
        words.append(table["words"].to_numpy())
        given.append(np.array([SPLITS.index(name) if name else 0 for name in table["split"].to_pylist()], np.int8))
        values = (value or NO_CATEGORY for value in table["note_category"].to_pylist())
        category.append(np.array([codes.setdefault(value, len(codes)) for value in values], np.int32))
    text, ids, patients, labels = (as_hash_array(parts) for parts in hashes.values())
    given_split = np.concatenate([*given, np.empty(0, np.int8)])
    documents = len(text)
    if not documents:
        raise InputError("no document is left after reading and cleaning", remedy="check the options that drop rows")
    decisions = Decisions(
        split=np.full(documents, _DROPPED, np.int8),
        group=np.full(documents, _DROPPED, np.int64),
        category=np.concatenate(category),
        category_names=list(codes),
        patient=number_by_appearance(first_of_each(patients)) if with_patients else np.empty(0, np.int64),
        words=np.concatenate(words),
    )
    # Where the splits are given, the copy in the test split is the one that stays.
    first = first_of_each(text, rank=-given_split if with_splits else None)
    is_copy = first != np.arange(documents)
    conflicting = int((labels[is_copy] != labels[first[is_copy]]).sum())
    if conflicting:
        decisions.warnings.append(
            f"{conflicting:,} exact duplicates have another category or label than the document they repeat"
        )
    remove = duplicates.exact_duplicates == "remove"
    kept = np.flatnonzero(~is_copy) if remove else np.arange(documents)
    _refuse_repeated_ids(ids, kept, files, sources)
    matrix = _signatures(files, kept, documents, duplicates)
    group = group_near_duplicates(matrix, duplicates.near_duplicate_threshold, progress)
    del matrix  # a quarter of a gigabyte for a million documents
    if not remove:
        group = number_by_appearance(
            connected(documents, [(np.arange(documents), group), (np.arange(documents), first)])
        )
    patient = decisions.patient[kept] if with_patients else None
    if splits.sample_share < 1:
        inside = sample_units(join_units(group, patient), text["low"][kept], splits)
        decisions.outside = int((~inside).sum())
        if not inside.any():
            raise InputError("no document is in the sample", remedy="raise --sample_share")
        kept, group = kept[inside], group[inside]
        patient = decisions.patient[kept] if with_patients else None
    decisions.group[kept] = group
    if with_splits:
        decisions.split[kept] = given_split[kept]
        _refuse_divided_patients(given_split[kept], patient, kept, files, sources)
        divided = _divided(group, given_split[kept])
        if divided.any():
            count = int(divided[group].sum())
            decisions.warnings.append(f"{count:,} documents have a near-duplicate in another of the given splits")
    else:
        units = join_units(group, patient)
        decisions.split[kept] = split_units(units, decisions.category[kept], text["low"][kept], splits)
        decisions.warnings += share_warnings(decisions.split[kept], units, splits)
    return decisions


def _signatures(
    files: Sequence[Path], kept: NDArray[np.int64], documents: int, duplicates: DuplicateOptions
) -> NDArray[np.uint16]:
    """Read the signatures of the kept documents, `(kept, 128)`."""
    if duplicates.near_duplicate_threshold == 0:
        return np.empty((len(kept), 0), np.uint16)
    matrix = np.empty((len(kept), SIGNATURE_SLOTS), np.uint16)
    stays = np.zeros(documents, dtype=bool)
    stays[kept] = True
    start = filled = 0
    for file in files:
        raw = b"".join(read_columns(file, ["signature"])["signature"].to_pylist())
        part = np.frombuffer(raw, np.uint16).reshape(-1, SIGNATURE_SLOTS)
        part = part[stays[start : start + len(part)]] if len(part) else part
        start += len(raw) // (2 * SIGNATURE_SLOTS)
        matrix[filled : filled + len(part)] = part
        filled += len(part)
    return matrix


def _divided(values: NDArray[np.int64], splits: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Tell for each value whether it occurs in more than one split."""
    present = np.zeros((int(values.max()) + 1, len(SPLITS)), dtype=bool)
    present[values, splits] = True
    return present.sum(axis=1) > 1


def _refuse_repeated_ids(
    ids: NDArray[np.void], kept: NDArray[np.int64], files: Sequence[Path], sources: Sequence[Source]
) -> None:
    first = first_of_each(ids[kept])
    repeated = np.flatnonzero(first != np.arange(len(kept)))
    if len(repeated):
        place = _place(files, sources, int(kept[repeated[0]]))
        earlier = _place(files, sources, int(kept[first[repeated[0]]]))
        raise InputError(
            f"document id {shown_id(place['document_id'])} occurs twice, first in row {earlier['row']:,} of "
            f"{earlier['file']}",
            file=place["file"],
            row=place["row"],
            remedy="give each document its own id, or none",
        )


def _refuse_divided_patients(
    splits: NDArray[np.int8],
    patient: NDArray[np.int64] | None,
    kept: NDArray[np.int64],
    files: Sequence[Path],
    sources: Sequence[Source],
) -> None:
    if patient is None:
        return
    divided = _divided(patient, splits)
    if divided.any():
        members = np.flatnonzero(divided[patient])
        same = members[patient[members] == patient[members[0]]]
        other = same[splits[same] != splits[same[0]]][0]
        place, earlier = (_place(files, sources, int(kept[position])) for position in (other, same[0]))
        raise InputError(
            f"patient {shown_id(place['patient_id'])} lies in {SPLITS[splits[other]]}, but in "
            f"{SPLITS[splits[same[0]]]} in row {earlier['row']:,} of {earlier['file']} "
            f"({int(divided.sum()):,} such patients)",
            file=place["file"],
            row=place["row"],
            remedy="keep each patient in one split, or leave out --split_column",
        )


def _place(files: Sequence[Path], sources: Sequence[Source], document: int) -> dict:
    """Find file, row, id and patient of a document by its index over all chunks."""
    for file in files:
        table = read_columns(file, ["source", "row", "document_id", "patient_id"])
        if document < len(table):
            found = table.slice(document, 1).to_pylist()[0]
            return found | {"file": sources[found["source"]].name}
        document -= len(table)
    raise IndexError("no such document")

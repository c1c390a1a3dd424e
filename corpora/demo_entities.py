"""The demo corpus as annotated text: synthetic notes with the nine medication entities of n2c2-2018.

Offsets are exact and come from the generator of `corpora.demo`. Labels: ADE, Dosage, Drug, Duration, Form, Frequency,
Reason, Route, Strength.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

from corpora.brat import write_brat
from corpora.complete_files import complete_folder
from corpora.conll import write_conll
from corpora.demo import generate_notes
from corpora.demo_options import DemoOptions
from corpora.entities import AnnotatedDocument, Entity, sorted_entities
from corpora.errors import InputError
from corpora.span_json_lines import write_span_json_lines
from corpora.tagging_corpus import tagged_sentences

SPLIT_SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
"""Shares of the patients."""


def demo_documents(options: DemoOptions | None = None) -> Iterator[tuple[str, AnnotatedDocument]]:
    """Generate annotated notes, without the copies that the demo corpus plants.

    Args:
        options: Number of patients, seed and so on; by default 40 patients, about 150 notes.

    Yields:
        The patient's id, and the note with its entities named T1, T2 and so on.
    """
    options = replace(options or DemoOptions(patients=40), exact_copies=0.0, near_copies=0.0)
    for note in generate_notes(options):
        found = [Entity(one["label"], ((one["start"], one["end"]),)) for one in note["entities"]]
        numbered = [replace(one, entity_id=f"T{number}") for number, one in enumerate(sorted_entities(found), 1)]
        yield note["patient_id"], AnnotatedDocument(note["document_id"], note["text"], tuple(numbered))


def demo_splits(options: DemoOptions | None = None) -> dict[str, list[AnnotatedDocument]]:
    """Generate annotated notes in train, validation and test, each patient in one, by `SPLIT_SHARES`.

    Args:
        options: As in `demo_documents`.

    Raises:
        InputError: There are too few patients for three splits.
    """
    by_patient: dict[str, list[AnnotatedDocument]] = {}
    for patient, document in demo_documents(options):
        by_patient.setdefault(patient, []).append(document)
    if len(by_patient) < len(SPLIT_SHARES):
        raise InputError(f"{len(by_patient)} patients make no three splits", remedy="give at least 3")
    patients = list(by_patient)  # the generator draws each on its own, so that any order is as good as another
    aside = {split: max(1, round(len(patients) * share)) for split, share in SPLIT_SHARES.items() if split != "train"}
    train = len(patients) - sum(aside.values())
    ends = {"train": train, "validation": train + aside["validation"], "test": len(patients)}
    splits, start = {}, 0
    for split, end in ends.items():
        splits[split] = [document for patient in patients[start:end] for document in by_patient[patient]]
        start = end
    return splits


def write_demo_entities(
    folder: str | Path, options: DemoOptions | None = None, form: Literal["brat", "conll", "jsonl"] = "brat"
) -> dict[str, int]:
    """Write the three splits into a new folder, whole or not at all.

    Args:
        folder: Must be absent or empty. Gets `train`, `validation` and `test`: folders of BRAT files, or files with the
            ending .conll or .jsonl.
        options: As in `demo_documents`.
        form: brat, conll or jsonl.

    Returns:
        The number of documents of each split.

    Raises:
        InputError: The folder holds files or cannot be written, or there are too few patients.
    """
    splits = demo_splits(options)
    with complete_folder(folder) as partial:
        for split, documents in splits.items():
            if form == "brat":
                write_brat(partial / split, documents)
            elif form == "jsonl":
                write_span_json_lines(partial / f"{split}.jsonl", documents)
            else:
                _write_conll(partial / f"{split}.conll", documents)
    return {split: len(documents) for split, documents in splits.items()}


def _write_conll(path: Path, documents: list[AnnotatedDocument]) -> None:
    sentences, _ = tagged_sentences(documents, divide_words=True)
    by_document: dict[str, list[tuple[list[str], list[str]]]] = {}
    for row in sentences:
        by_document.setdefault(row["document_id"], []).append((row["tokens"], row["tags"]))
    write_conll(path, by_document.items())

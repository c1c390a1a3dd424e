"""The embedded demo corpus: synthetic clinical notes, the same bytes for the same seed on every platform.

Nothing is copied from real notes: a small grammar (``demo_grammar.json``) is filled with findings, drugs and
procedures (``demo_lexicon.json``, ``demo_drugs.json``). Each patient has a latent condition, which decides the
specialty, one to three comorbidities of any specialty and a home hospital; each encounter shows a part of what goes
with them; each note shows a few of those findings among shared ones, negated ones and relatives' conditions. No term is
common to all notes of a specialty: the specialty follows from which rare terms occur together.

A note is a dictionary:

=================  ===================================================================================================
``document_id``    ``P000012-E1-N02``, unique
``patient_id``     ``P000012``
``encounter_id``   ``P000012-E1``; most patients have one, some two or three
``hospital``       ``north`` or ``south``, the same for all notes of a patient
``note_category``  one of ``CATEGORIES``
``specialty``      specialty of the encounter's condition, one of ``SPECIALTIES``
``text``           the note, with placeholders such as ``[**2145-3-1**]`` and some untidy white space
``entities``       list of ``{"start", "end", "label"}``: ``text[start:end]`` is the mention; labels of n2c2-2018
``concepts``       list of ``{"code", "name", "state"}``, state ``present`` or ``absent``; the encounter's structured
                   record in the words of the hospital; codes are local where the hospitals prefer different names
``outcome``        1 when the patient was readmitted; the same for all notes of an encounter; a noisy function of
                   conditions, social circumstances, age and hospital
``copy_of``        None, or the ``document_id`` that this note repeats (exactly or with an addendum): planted on
                   purpose, for de-duplication
=================  ===================================================================================================
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from corpora.complete_files import complete_file
from corpora.demo_lexicon import load_lexicon
from corpora.demo_options import CATEGORIES, SPECIALTIES, DemoOptions
from corpora.demo_patients import Patient
from corpora.errors import InputError

__all__ = ["CATEGORIES", "FLAT_COLUMNS", "SPECIALTIES", "DemoOptions", "generate_notes", "write_demo_notes"]

FLAT_COLUMNS = (
    "document_id", "patient_id", "encounter_id", "hospital", "note_category", "specialty", "outcome", "copy_of",
    "text",
)  # fmt: skip
"""Columns of a CSV file; ``entities`` and ``concepts`` are in JSON lines only."""


def generate_notes(options: DemoOptions) -> Iterator[dict[str, Any]]:
    """Generate the notes, patient by patient, in constant memory.

    Args:
        options: What to generate.

    Yields:
        One dictionary a note, described at the head of this module.
    """
    lexicon = load_lexicon()
    for number in range(1, options.patients + 1):
        # A string seed is hashed by SHA-512, the same on every platform and Python version.
        rng = random.Random(f"notespace demo {options.seed} {number}")
        yield from Patient(number, options, lexicon, rng).notes()


def write_demo_notes(path: str | Path, options: DemoOptions) -> int:
    """Write the corpus to a file; it appears under its name only when complete.

    Args:
        path: Ends in .csv, .tsv, .jsonl or .json (JSON lines), each also with .gz. CSV and TSV hold ``FLAT_COLUMNS``.
        options: What to generate.

    Returns:
        The number of notes written.

    Raises:
        InputError: When the ending is none of these, or the file cannot be written.
    """
    path = Path(path)
    ending = path.name.removesuffix(".gz").rpartition(".")[2]
    if ending not in ("csv", "tsv", "jsonl", "json"):
        raise InputError("unknown file type", file=path, remedy="use .csv, .tsv or .jsonl, each also with .gz")
    count = 0
    with complete_file(path) as file:
        if ending in ("csv", "tsv"):
            table = csv.DictWriter(
                file,
                FLAT_COLUMNS,
                extrasaction="ignore",
                delimiter="," if ending == "csv" else "\t",
                lineterminator="\n",
            )
            table.writeheader()
            write = table.writerow
        else:

            def write(note: dict[str, Any]) -> None:
                file.write(json.dumps(note, ensure_ascii=False) + "\n")

        for count, note in enumerate(generate_notes(options), 1):  # noqa: B007
            write(note)
    return count

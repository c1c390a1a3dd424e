"""The two sides of an audit: documents that a model was trained on, and others of the same kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from corpora.canaries import CANARY_FILE, Canary, without_canaries
from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.records import ReadingOptions

if TYPE_CHECKING:
    from datasets import Dataset

    from audit_options import AttackOptions, AuditOptions

FEWEST_DOCUMENTS = 10


@dataclass(frozen=True, eq=False)
class Side:
    """Members or non-members.

    Args:
        documents: `document_id` and `text` of those drawn.
        patients: Patient of each document, as a number; None where the input has no patients.
        found: Documents that there were.
        planted: Canaries to take out of the documents.
    """

    documents: Dataset
    patients: np.ndarray | None
    found: int
    planted: Sequence[Canary] = ()

    def text(self, place: int) -> str:
        """Return a document."""
        return without_canaries(self.documents[place]["text"], self.planted)

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield ids and texts, a batch of them in memory."""
        for batch in self.documents.iter(batch_size=256):
            texts = [without_canaries(text, self.planted) for text in batch["text"]]
            yield from zip(batch["document_id"], texts, strict=True)

    def groups(self) -> np.ndarray:
        """Return what documents are drawn by in a bootstrap: patients where they are known."""
        return np.arange(len(self.documents)) if self.patients is None else self.patients

    def describe(self) -> dict[str, int | None]:
        """Return counts for JSON."""
        return {
            "documents": len(self.documents),
            "documents_found": self.found,
            "patients": None if self.patients is None else len(np.unique(self.patients)),
        }


def read_sides(
    options: AuditOptions, attacks: AttackOptions, reading: ReadingOptions, canaries: Sequence[Canary] = ()
) -> tuple[Side, Side]:
    """Read members and non-members.

    Args:
        options: Which notes.
        attacks: How many to draw.
        reading: What to do about rows that hold no usable note.
        canaries: Taken out of the members, who would be told by them.

    Raises:
        InputError: A side has too few documents, or a document or a patient lies on both.
    """
    members = _read(options, reading, options.members, options.members_split, members=True)
    others = _read(options, reading, options.nonmembers, options.nonmembers_split, members=False)
    check_apart(members, others, canaries, options.nonmembers[0])
    return make_sides(members, others, attacks, canaries)


def make_sides(
    members: Dataset, others: Dataset, attacks: AttackOptions, canaries: Sequence[Canary] = ()
) -> tuple[Side, Side]:
    """Draw the documents of both sides from two that `check_apart` passed."""
    planted = [canary for canary in canaries if canary.repetitions]
    return _side(members, attacks, 1, planted), _side(others, attacks, 2)


def _read(
    options: AuditOptions, reading: ReadingOptions, data: Sequence[str], wanted: list[str] | None, *, members: bool
) -> Dataset:
    from datasets import concatenate_datasets

    from corpora.loading import load_corpus

    columns = NoteColumns(options.text_column, options.document_id_column, options.patient_column)
    corpus = load_corpus(data, columns, reading)
    option = "members" if members else "nonmembers"
    names = wanted or list(corpus)
    if wanted is None and len(corpus) > 1:
        names = ["train"] if members else [split for split in corpus if split != "train"]
    for name in names:
        if name not in corpus:
            raise InputError(
                f"there is no split '{name}' for --{option}",
                file=data[0],
                remedy=f"choose --{option}_split from {', '.join(corpus)}",
            )
    kept = ["document_id", "text", *(["patient_id"] if "patient_id" in corpus[names[0]].column_names else [])]
    documents = concatenate_datasets([corpus[name].select_columns(kept) for name in names])
    if len(documents) < FEWEST_DOCUMENTS:
        raise InputError(
            f"--{option} holds {len(documents)} documents, too few to tell anything",
            file=data[0],
            remedy=f"give {FEWEST_DOCUMENTS} at the least, better a thousand",
        )
    return documents


def check_apart(members: Dataset, others: Dataset, canaries: Sequence[Canary], file: str) -> None:
    """Check that no text and no patient is on both sides.

    Args:
        members: Columns `text` and, where there are patients, `patient_id`.
        others: The same of the non-members.
        canaries: Not part of a text here.
        file: Where the non-members are from, for the message.

    Raises:
        InputError: There are such texts or patients.
    """
    from corpora.deduplication import text_hash

    planted = [canary for canary in canaries if canary.repetitions]

    def hashes(documents: Dataset) -> set[bytes]:
        batches = documents.iter(batch_size=1000)
        return {text_hash(without_canaries(text, planted)) for batch in batches for text in batch["text"]}

    remedy = "an audit needs documents of other patients that the model has not seen"
    if both := len(hashes(members) & hashes(others)):
        raise InputError(f"{both:,} texts are members and non-members alike", file=file, remedy=remedy)
    if "patient_id" in members.column_names and "patient_id" in others.column_names:
        both = len((set(members.unique("patient_id")) & set(others.unique("patient_id"))) - {None})
        if both:
            raise InputError(
                f"{both:,} patients have documents among members and non-members",
                file=file,
                column="patient_id",
                remedy=remedy,
            )


def _side(documents: Dataset, attacks: AttackOptions, stream: int, planted: Sequence[Canary] = ()) -> Side:
    found = len(documents)
    if attacks.max_documents and found > attacks.max_documents:
        draw = np.random.default_rng([attacks.seed, 12, stream]).choice(found, attacks.max_documents, replace=False)
        documents = documents.select(np.sort(draw))
    patients = None
    if "patient_id" in documents.column_names:
        numbers: dict[object, int] = {}
        # A document without a patient is one of its own.
        patients = np.array(
            [
                numbers.setdefault((place, None) if patient is None else patient, len(numbers))
                for place, patient in enumerate(documents["patient_id"][:])
            ]
        )
    return Side(documents.select_columns(["document_id", "text"]), patients, found, planted)


def find_canaries(options: AuditOptions) -> Path | None:
    """Return the file of canaries that was named or that lies in the members' folder, if any."""
    if options.canaries is not None:
        return Path(options.canaries)
    beside = Path(options.members[0]) / CANARY_FILE
    return beside if beside.is_file() else None

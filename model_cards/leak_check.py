"""The check before any publication: does a checkpoint folder hold anything of patients, persons or machines?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from corpora.columns import NoteColumns
from corpora.complete_files import complete_file
from corpora.errors import InputError
from model_cards.allowed_files import sort_files
from model_cards.file_texts import TOKENIZER_FILES, is_text, text_pieces
from model_cards.findings import Finding
from model_cards.private_strings import REMEDIES, private_strings
from model_cards.rare_words import RareWords, vocabulary_words
from model_cards.word_sequences import WordSequences, words_of

if TYPE_CHECKING:
    from datasets import DatasetDict

    from corpora.records import ReadingOptions

SEQUENCE_LENGTH = 8
RARE_BELOW = 5
MAX_FILE_BYTES = 2_000_000_000
MAX_TEXT_BYTES = 64_000_000
"""A larger text is no card and no result, and its sequences of words would not fit into memory."""


def check_folder(
    folder: str | Path,
    corpus: Sequence[str | Path] | DatasetDict | None,
    *,
    columns: NoteColumns | None = None,
    reading: ReadingOptions | None = None,
    leave_out: Sequence[str] = (),
    max_file_bytes: int = MAX_FILE_BYTES,
    rare_below: int = RARE_BELOW,
    rare_words_report: str | Path | None = None,
) -> list[Finding]:
    """Look through a folder for what must not leave the hospital.

    Every file has to be on the list of `model_cards.allowed_files`, within the size limit and no link out of the
    folder. In every text of the allowed files (configurations, card, results, headers of safetensors, metadata of
    images, runs of letters in other binary files) access tokens, absolute paths and names of this account and machine
    are looked for, and sequences of eight words of the corpus, whatever their case and punctuation. The corpus is read
    once, document by document. Entries of the tokenizer's vocabulary are looked at one by one; whole words of it that
    fewer than `rare_below` patients have are counted.

    Args:
        folder: Checkpoint folder.
        corpus: Training corpus: loaded, or as `corpora.loading.load_corpus` takes it, or annotated text as
            `corpora.annotated_texts.divide_corpus` knows it; None leaves that part out.
        columns: Columns of a corpus that is not prepared.
        reading: What to do about rows without a usable note.
        leave_out: Patterns of files that are not going to be published.
        max_file_bytes: Largest file.
        rare_below: Patients (documents, where the corpus has no patient ids) below which a word is rare.
        rare_words_report: A local file for the rare words and their numbers of patients. It must not be in the folder.

    Returns:
        The findings, those that stop a publication first; empty when there is nothing. They never hold found text.

    Raises:
        InputError: The folder or the corpus cannot be read, or the report would be in the folder.
    """
    folder = Path(folder)
    report = Path(rare_words_report) if rare_words_report is not None else None
    if report is not None and report.resolve().is_relative_to(folder.resolve()):
        raise InputError("the list of rare words may not be in the folder to publish", file=report)
    files = sort_files(folder, leave_out)
    findings, sequences = list(files.findings), WordSequences(SEQUENCE_LENGTH)
    for relative in files.allowed:
        name, file = relative.as_posix(), folder / relative
        size = file.stat().st_size
        if size > max_file_bytes:
            remedy = "save the model in shards (max_shard_size), or raise --max_file_gb"
            findings.append(Finding(name, f"larger than {max_file_bytes / 1e9:g} GB", remedy=remedy))
        elif is_text(file) and file.name not in TOKENIZER_FILES and size > MAX_TEXT_BYTES:
            remedy = "a card or a result is smaller; take it out"
            findings.append(Finding(name, f"a text above {MAX_TEXT_BYTES // 1_000_000} MB", remedy=remedy))
        else:
            findings += _look_into(file, name, sequences)
    if corpus is not None:
        words = vocabulary_words(folder) if rare_below > 1 else set()
        rare = RareWords(words, rare_below)
        findings += _compare(corpus, columns, reading, sequences, rare)
        findings += _rare_findings(folder, rare)
        if report is not None:
            _write_report(report, rare)
    return sorted(findings, key=lambda finding: (not finding.stops, finding.file, finding.kind))


def _look_into(file: Path, name: str, sequences: WordSequences) -> list[Finding]:
    """Look for private strings in a file, and keep its sequences of words for the comparison with the corpus."""
    try:
        pieces = list(text_pieces(file))
    except OSError as error:  # also Pillow's fault of a broken image
        raise InputError("cannot be read", file=file, remedy="write it again, or take it out") from error
    for piece in pieces:
        sequences.add(name, piece)
    # A line break between entries keeps them apart; decoded and plain text would count a string twice.
    joined = ["\n".join(pieces)] if file.name in TOKENIZER_FILES else pieces
    kinds = {}
    for text in joined:
        for kind, count in private_strings([text]).items():
            kinds[kind] = max(count, kinds.get(kind, 0))
    return [Finding(name, kind, count, REMEDIES[kind]) for kind, count in kinds.items()]


def _compare(
    corpus: Sequence[str | Path] | DatasetDict,
    columns: NoteColumns | None,
    reading: ReadingOptions | None,
    sequences: WordSequences,
    rare: RareWords,
) -> list[Finding]:
    found: set[tuple[str, ...]] = set()
    for text, owner in _documents(corpus) if isinstance(corpus, Mapping) else _read(corpus, columns, reading):
        words = words_of(text)
        found |= sequences.found_in(words)
        rare.add(words, owner)
    remedy = "take out the text of documents, or reword it"
    return [
        Finding(name, f"sequences of {SEQUENCE_LENGTH} words of the corpus", count, remedy)
        for name, count in sorted(sequences.count(found).items())
    ]


def _read(
    corpus: Sequence[str | Path], columns: NoteColumns | None, reading: ReadingOptions | None
) -> Iterator[tuple[str, str]]:
    """Yield the texts of notes and of annotated text, with their owners as `_documents` does."""
    from corpora.annotated_texts import annotated_texts, divide_corpus
    from corpora.loading import load_corpus

    annotated, notes = divide_corpus(corpus)
    if notes or not annotated:
        yield from _documents(load_corpus(notes, columns, reading))
    yield from annotated_texts(annotated)


def _documents(corpus: DatasetDict) -> Iterator[tuple[str, str]]:
    """Yield the text of every document of every split, and its patient or, without one, its id."""
    for split in corpus.values():
        names = [name for name in ("text", "document_id", "patient_id") if name in split.column_names]
        for batch in split.select_columns(names).iter(batch_size=100):
            patients = batch.get("patient_id", batch["document_id"])
            for text, document, patient in zip(batch["text"], batch["document_id"], patients, strict=True):
                yield text, document if patient is None else patient


def _rare_findings(folder: Path, rare: RareWords) -> list[Finding]:
    words = rare.rare()
    if not words:
        return []
    name = "tokenizer.json" if (folder / "tokenizer.json").is_file() else "vocab.txt"
    if not _trained_here(folder):
        kind = f"words that fewer than {rare.fewer_than} patients have, in a vocabulary that this run did not train"
        remedy = "if an earlier stage trained it on these notes, list them by --rare_words_report and look at them"
        return [Finding(name, kind, len(words), remedy, stops=False, is_of_vocabulary=True)]
    kind = f"words that fewer than {rare.fewer_than} patients of the corpus have"
    remedy = (
        "list them by --rare_words_report; train a smaller vocabulary, or accept them by --accept_rare_words when "
        "none is a name"
    )
    return [Finding(name, kind, len(words), remedy, is_of_vocabulary=True)]


def _trained_here(folder: Path) -> bool:
    """Tell whether the tokenizer was trained on the corpus: a run of `scripts/pretrain.py` says so itself."""
    try:
        facts = json.loads((folder / "training_summary.json").read_text(encoding="utf-8"))
        earlier = facts.get("earlier_trainings") or ()
        return bool(facts["settings"]["train_tokenizer"]) or any(one.get("train_tokenizer") for one in earlier)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _write_report(report: Path, rare: RareWords) -> None:
    with complete_file(report) as file:
        file.write("word\tpatients\n")
        file.writelines(f"{word}\t{count}\n" for word, count in rare.rare().items())

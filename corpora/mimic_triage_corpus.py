"""The triage task of MIMIC-III as a prepared corpus: cleaned, grouped, split by patient and stratified by team."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from corpora.chunks import CleanedChunks, read_columns
from corpora.cleaning import CleaningOptions
from corpora.columns import NoteColumns
from corpora.deduplication import DuplicateOptions
from corpora.errors import InputError
from corpora.grouping import Decisions, decide
from corpora.mimic_triage import TRIAGE_CODES, Cohort, check_tables, select_cohort
from corpora.preparation_folder import REPORT_NAME, Workshop, progress_bar
from corpora.preparation_report import SCHEMA_VERSION, count_documents
from corpora.records import ReadingOptions
from corpora.saving import DatasetDictWriter
from corpora.sources import find_sources
from corpora.splitting import SPLITS, SplitOptions

LABEL_COLUMN, ADMISSION_COLUMN = "triage_team", "admission_id"
ALL_ADMISSIONS, TEST_ADMISSIONS = "admissions.txt", "test_admissions.txt"
_HASHES = ("text_hash", "id_hash", "patient_hash", "label_hash")
# The team stands where the category of a note would: splits are stratified by it.
_COLUMNS = NoteColumns("text", "document_id", "patient_id", LABEL_COLUMN)
_READING = ReadingOptions(on_empty_text="skip", on_too_long="skip")


def make_mimic_triage(
    notes: str | Path,
    diagnoses: str | Path,
    output: str | Path,
    *,
    cleaning: CleaningOptions | None = None,
    duplicates: DuplicateOptions | None = None,
    splits: SplitOptions | None = None,
    overwrite: bool = False,
    progress: bool = False,
    say: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Make the triage task from NOTEEVENTS and DIAGNOSES_ICD; see `select_cohort` for the documents chosen.

    The folder is one of `prepare_notes.py`, with the columns text, document_id (the ROW_ID), patient_id, admission_id,
    triage_team and dup_group. No patient and no group of near-duplicates lies in two splits. Beside it, one id a line
    for `prepare_notes.py --exclude_admissions`: `admissions.txt` holds the admissions of all documents,
    `test_admissions.txt` those of the test split. A document removed as an exact duplicate counts in both, since its
    text may be in any split.

    Args:
        notes: NOTEEVENTS of MIMIC-III.
        diagnoses: DIAGNOSES_ICD of MIMIC-III.
        output: The folder to make.
        cleaning: The cleaning steps.
        duplicates: What counts as a duplicate.
        splits: Shares and seed.
        overwrite: Replace a corpus that was prepared with other inputs or options.
        progress: Show progress bars on stderr.
        say: Called with each message for the user.

    Returns:
        The content of `OUTPUT/preparation.json`: the fields of `corpora.preparation_report`, and `cohort` with the
        numbers of diagnoses and `teams`, for each team its documents in each split.

    Raises:
        InputError: An input or an option is at fault, or the output cannot be written.
    """
    cleaning, duplicates = cleaning or CleaningOptions(), duplicates or DuplicateOptions()
    splits, output = splits or SplitOptions(), Path(output)
    sources = check_tables(notes, diagnoses)
    options = {
        "columns": asdict(_COLUMNS) | {"label_columns": [LABEL_COLUMN, ADMISSION_COLUMN]},
        "reading": asdict(_READING),
        "cleaning": asdict(cleaning),
        "duplicates": asdict(duplicates),
        "splits": splits.as_dict(),
        "excluded_admissions": 0,
    }
    identity = {
        "task": "mimic triage",
        "schema_version": SCHEMA_VERSION,
        "sources": [[Path(source.name).name, source.kind, source.state, source.split] for source in sources],
        "codes": TRIAGE_CODES,
        "options": options,
        "rensa": version("rensa"),
    }
    fingerprint = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=16).hexdigest()
    if any(Path(source.name).resolve() == output.resolve() for source in sources):
        raise InputError("the output is one of the inputs", file=output, remedy="name another output folder")
    workshop = Workshop(output, fingerprint)
    finished = workshop.finished_report(overwrite)
    if finished is not None:
        say(f"{output} is already made from these inputs and options")
        return finished
    if workshop.open():
        say("going on with a job that was stopped")
    try:
        with progress_bar("Reading", "notes", progress) as bar:
            cohort = select_cohort(notes, diagnoses, workshop.folder / "cohort.jsonl", lambda: bar.update(1))
        chunks, decisions = _decide(workshop.folder, cleaning, duplicates, splits, progress)
    except InputError as error:
        workshop.discard()
        if error.file is None or Path(error.file).parent != workshop.folder:
            raise
        raise InputError(
            error.problem, file=notes, column="TEXT", remedy="check how NOTEEVENTS was exported"
        ) from error
    report = {
        "schema_version": SCHEMA_VERSION,
        "notespace_version": version("notespace"),
        "fingerprint": fingerprint,
        "sources": [Path(source.name).name for source in sources],
        "options": options,
    }
    report |= _count(cohort, chunks, decisions)
    _write(workshop.folder / "dataset", cohort, chunks, decisions, report)
    workshop.publish()
    return report


def _decide(
    folder: Path, cleaning: CleaningOptions, duplicates: DuplicateOptions, splits: SplitOptions, progress: bool
) -> tuple[CleanedChunks, Decisions]:
    cohort = find_sources(folder / "cohort.jsonl")
    chunks = CleanedChunks(
        folder / "chunks",
        cohort,
        [_COLUMNS],
        _READING,
        cleaning,
        frozenset(),
        with_signatures=duplicates.near_duplicate_threshold > 0,
    )
    with progress_bar("Cleaning", "documents", progress) as bar:
        chunks.write_missing(bar.update)
    return chunks, decide(chunks.files, cohort, True, False, duplicates, splits, progress)


def _count(cohort: Cohort, chunks: CleanedChunks, decisions: Decisions) -> dict[str, Any]:
    """Return the report's counts, over all rows of NOTEEVENTS, with teams in the place of note categories."""
    counts = count_documents(chunks.files, decisions)
    counts["documents_read"] = cohort.rows
    counts["dropped"] = dict(sorted((cohort.dropped + Counter(counts["dropped"])).items()))
    counts["categories"] = {}
    by_split = {split: part.pop("categories") for split, part in counts["splits"].items()}
    for part in counts["splits"].values():
        part["categories"] = {}
    teams = {team: {split: found.get(team, 0) for split, found in by_split.items()} for team in TRIAGE_CODES}
    missing = [team for team, found in teams.items() if not found or not all(found.values())]
    if missing:
        counts["warnings"].append(f"not every split has documents of {', '.join(missing)}")
    return counts | {"cohort": {"diagnoses": cohort.diagnoses, "documents": len(cohort.admissions)}, "teams": teams}


def _write(folder: Path, cohort: Cohort, chunks: CleanedChunks, decisions: Decisions, report: dict[str, Any]) -> None:
    import pyarrow as pa
    from datasets import Features, Value

    shutil.rmtree(folder, ignore_errors=True)
    names = ("text", "document_id", "patient_id", ADMISSION_COLUMN, LABEL_COLUMN)
    features = Features({name: Value("string") for name in names} | {"dup_group": Value("int64")})
    split_of: dict[str, int] = {}
    with DatasetDictWriter(folder, features) as writer:
        for file in chunks.files:
            table = read_columns(file, ["text", "document_id", "patient_id", "note_category", *_HASHES])
            start = len(split_of)
            split, group = (part[start : start + len(table)] for part in (decisions.split, decisions.group))
            ids = table["document_id"].to_pylist()
            split_of |= dict(zip(ids, split.tolist(), strict=True))
            admissions = pa.array([cohort.admissions[name] for name in ids])
            for index, name in enumerate(SPLITS):
                chosen = np.flatnonzero(split == index)
                if not len(chosen):
                    continue
                part = table.take(chosen)
                arrays = {column: part[column] for column in ("text", "document_id", "patient_id")}
                arrays |= {
                    ADMISSION_COLUMN: admissions.take(pa.array(chosen)),
                    LABEL_COLUMN: part["note_category"],
                    "dup_group": pa.array(group[chosen]),
                }
                content = b"".join(value for column in _HASHES for value in part[column].to_pylist())
                content += " ".join(arrays[ADMISSION_COLUMN].to_pylist()).encode()
                writer.write(name, pa.table(arrays), content + group[chosen].tobytes())
    lists = {
        ALL_ADMISSIONS: cohort.admissions.values(),
        TEST_ADMISSIONS: [
            cohort.admissions[name] for name, split in split_of.items() if split in (SPLITS.index("test"), -1)
        ],
    }
    for name, admissions in lists.items():
        (folder / name).write_text("".join(f"{admission}\n" for admission in admissions), encoding="utf-8")
    (folder / REPORT_NAME).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def team_table(report: dict[str, Any]) -> str:
    """Return the documents of each team in each split, as aligned lines.

    Args:
        report: The content of `preparation.json`.
    """
    splits = list(report["splits"])
    rows = [["team", *splits], *([team, *map(str, found.values())] for team, found in report["teams"].items())]
    width = max(len(row[0]) for row in rows)
    return "\n".join("  ".join([row[0].ljust(width), *(cell.rjust(10) for cell in row[1:])]) for row in rows)

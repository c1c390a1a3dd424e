"""Notes in, a clean, grouped and split corpus out.

python scripts/prepare_notes.py --input_files notes.csv --patient_column patient --output_dir corpus
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Literal

from command_line import RecipeParser, run
from corpora.canaries import CanaryOptions
from corpora.cleaning import CleaningOptions
from corpora.columns import NoteColumns, preset_columns
from corpora.deduplication import DuplicateOptions
from corpora.preparation import prepare_notes
from corpora.records import ReadingOptions
from corpora.shards import Shard
from corpora.splitting import SplitOptions
from preparation_messages import print_preparation


@dataclass
class NoteArguments:
    """The inputs, their columns and the output."""

    _argument_group_name = "Notes"

    input_files: list[str] = field(
        metadata={
            "help": "CSV, TSV, JSON lines or Parquet files (each also .gz), globs, folders written by save_to_disk, or "
            "Hub dataset ids",
            "aliases": ["--input_file"],
        }
    )
    output_dir: str = field(metadata={"help": "folder for the prepared corpus"})
    overwrite: bool = field(default=False, metadata={"help": "replace a corpus prepared from other inputs or options"})
    preset: Literal["generic", "mimic3"] = field(
        default="generic", metadata={"help": "column names of a well-known export; single options override it"}
    )
    text_column: str | None = field(default=None, metadata={"help": "column of the document; generic: text"})
    document_id_column: str | None = field(
        default=None, metadata={"help": "column of its id; generic: document_id where there is one"}
    )
    patient_column: str | None = field(
        default=None, metadata={"help": "column of the patient's id; generic: patient_id where there is one"}
    )
    category_column: str | None = field(
        default=None, metadata={"help": "column of the note category; generic: note_category where there is one"}
    )
    label_columns: list[str] | None = field(default=None, metadata={"help": "columns of labels to carry along"})
    admission_column: str | None = field(
        default=None, metadata={"help": "column of the admission's id, for exclude_admissions"}
    )
    split_column: str | None = field(
        default=None,
        metadata={"help": "column of train, validation or test, to keep given splits (of a saved dataset: split)"},
    )
    exclude_admissions: str | None = field(
        default=None,
        metadata={"help": "file of admissions to leave out: one id a line, or CSV with the admission column"},
    )
    shard: str | None = field(
        default=None,
        metadata={
            "help": "I/N: clean and hash only the I-th of N shares, into OUTPUT_DIR.shard-I-of-N, for machines that "
            "work side by side; merge_shards.py joins the shares to the corpus of a run without it"
        },
    )
    num_proc: int = field(default=1, metadata={"help": "processes that clean and hash"})
    quiet: bool = field(default=False, metadata={"help": "no progress bars and no tables"})

    def columns(self) -> NoteColumns:
        """Return the columns that the options name."""
        return preset_columns(
            self.preset,
            text_column=self.text_column,
            document_id_column=self.document_id_column,
            patient_column=self.patient_column,
            category_column=self.category_column,
            label_columns=tuple(self.label_columns) if self.label_columns else None,
            admission_column=self.admission_column,
            split_column=self.split_column,
        )


OPTIONS = (NoteArguments, ReadingOptions, CleaningOptions, DuplicateOptions, SplitOptions, CanaryOptions)


def main(argv: list[str] | None = None) -> None:
    """Prepare notes as the command line says, print the report and return."""
    notes, reading, cleaning, duplicates, splits, canaries = RecipeParser(
        OPTIONS,
        description=__doc__,
    ).parse(argv)
    shard = Shard.parse(notes.shard)
    report = prepare_notes(
        notes.input_files,
        notes.output_dir,
        notes.columns(),
        reading=reading,
        cleaning=cleaning,
        duplicates=duplicates,
        splits=splits,
        canaries=canaries,
        exclude_admissions=notes.exclude_admissions,
        shard=shard,
        overwrite=notes.overwrite,
        num_proc=notes.num_proc,
        progress=not notes.quiet,
        say=lambda message: print(message, file=sys.stderr),
    )
    if shard is None:
        print_preparation(report, notes.output_dir, quiet=notes.quiet)
    elif not notes.quiet:
        print(f"Shard {shard} of the corpus: {shard.folder(notes.output_dir)}")


if __name__ == "__main__":
    run(main)

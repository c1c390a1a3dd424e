"""MIMIC-III to the triage task of the study: discharge summaries and the team that the primary diagnosis calls for.

python scripts/make_mimic_triage.py --notes NOTEEVENTS.csv.gz --diagnoses DIAGNOSES_ICD.csv.gz --output_dir triage

The folder is one of prepare_notes.py with the label triage_team. Leave its test admissions out of pre-training:
prepare_notes.py --preset mimic3 --exclude_admissions triage/test_admissions.txt (or triage/admissions.txt for all).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from command_line import RecipeParser, run
from corpora.cleaning import CleaningOptions
from corpora.deduplication import DuplicateOptions
from corpora.mimic_triage_corpus import make_mimic_triage, team_table
from corpora.preparation_report import preparation_table
from corpora.splitting import SplitOptions


@dataclass
class TriageArguments:
    """The tables and the output."""

    _argument_group_name = "MIMIC-III"

    notes: str = field(metadata={"help": "NOTEEVENTS: CSV or Parquet, also .gz"})
    diagnoses: str = field(metadata={"help": "DIAGNOSES_ICD: CSV or Parquet, also .gz"})
    output_dir: str = field(metadata={"help": "folder for the prepared corpus"})
    overwrite: bool = field(default=False, metadata={"help": "replace a corpus made from other inputs or options"})
    quiet: bool = field(default=False, metadata={"help": "no progress bars and no tables"})


def main(argv: list[str] | None = None) -> None:
    """Make the task as the command line says, print the report and return."""
    triage, cleaning, duplicates, splits = RecipeParser(
        [TriageArguments, CleaningOptions, DuplicateOptions, SplitOptions], description=__doc__
    ).parse(argv)
    report = make_mimic_triage(
        triage.notes,
        triage.diagnoses,
        triage.output_dir,
        cleaning=cleaning,
        duplicates=duplicates,
        splits=splits,
        overwrite=triage.overwrite,
        progress=not triage.quiet,
        say=lambda message: print(message, file=sys.stderr),
    )
    if not triage.quiet:
        print(f"{team_table(report)}\n\n{preparation_table(report)}")
        print(f"\nTriage task: {triage.output_dir}")
    for warning in report["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)


if __name__ == "__main__":
    run(main)

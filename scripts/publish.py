"""Publish a checkpoint: `python scripts/publish.py FOLDER --repo_id ORG/NAME --corpus prepared_notes`.

Checks the folder for leaks, loads it, pushes it in one commit, private unless told otherwise, downloads it again and
compares. `--dry_run` shows what would go. `--target folder|zip --output PATH` writes a parcel instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from column_options import DocumentColumns
from command_line import RecipeParser, run
from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.records import ReadingOptions
from model_cards.repository_names import check_repo_id
from publication_options import AcceptanceOptions, HubOptions

if TYPE_CHECKING:
    from model_cards.publishing import HubTarget, LeakOptions, Publication


@dataclass(kw_only=True)
class PublishOptions(HubOptions):
    """What is published, and where."""

    _argument_group_name = "Publication"

    folder: str = field(metadata={"positional": True, "help": "Checkpoint folder with its card (README.md)."})
    repo_id: str | None = field(default=None, metadata={"help": "ORG/NAME on the Hub (HF_ENDPOINT names another Hub)."})
    target: Literal["hub", "folder", "zip"] = field(
        default="hub", metadata={"help": "A Hub, or a parcel with a SHA-256 manifest for where no network goes."}
    )
    output: str | None = field(default=None, metadata={"help": "The folder or zip to write, with --target."})
    dry_run: bool = field(default=False, metadata={"help": "Show files, sizes, findings and card; send nothing."})
    commit_message: str = field(default="Publish model", metadata={"help": "First line of the commit's message."})

    def __post_init__(self) -> None:
        if (self.target == "hub") == (self.repo_id is None):
            raise InputError(
                "--repo_id and --target hub belong together",
                remedy="give --repo_id ORG/NAME, or --target folder|zip with --output",
            )
        if (self.target == "hub") != (self.output is None):
            raise InputError("--output names what --target folder or --target zip writes, and is needed there")
        if self.repo_id is not None:
            check_repo_id(self.repo_id)  # here, for a dry run asks no Hub
        if self.target != "hub" and (self.public or self.gated or self.tag):
            raise InputError("--public, --gated and --tag belong to a Hub")


@dataclass(kw_only=True)
class CheckOptions(DocumentColumns, AcceptanceOptions):
    """What is checked before."""

    _argument_group_name = "Checks before"

    corpus: list[str] | None = field(
        default=None,
        metadata={
            "help": "All training notes: folder of prepare_notes.py, or files; of a tagger annotated text as tag.py "
            "reads it too (BRAT, CoNLL, JSON lines); no file may share 8 words in a row."
        },
    )
    without_corpus: bool = field(
        default=False, metadata={"help": "Publish without the comparison with the notes, where they are out of reach."}
    )
    patient_column: str | None = field(default=None, metadata={"help": "Column of the patient, for rare words."})
    leave_out: list[str] = field(default_factory=list, metadata={"help": "Patterns of files that stay behind."})
    max_file_gb: float = field(default=2.0, metadata={"help": "Largest file, in 10^9 bytes."})
    rare_below: int = field(
        default=5, metadata={"help": "Words of the vocabulary that fewer patients have are counted; 1 counts none."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.corpus is None) != self.without_corpus:
            raise InputError(
                "name the training notes in --corpus, or pass --without_corpus to publish without that comparison"
            )
        if self.max_file_gb <= 0:
            raise InputError("--max_file_gb is not above 0")


def main(argv: list[str] | None = None) -> None:
    """Publish as the command line says."""
    options, checks, reading = RecipeParser(
        [PublishOptions, CheckOptions, ReadingOptions], description=__doc__.split("\n\n")[0]
    ).parse(argv)
    from model_cards.publishing import HubTarget, LeakOptions, write_parcel
    from modeling.checkpoint_folder import check_checkpoint

    folder = Path(options.folder)
    if not folder.is_dir():
        raise InputError("no such folder", file=folder, remedy="give the checkpoint folder to publish")
    check_checkpoint(folder)
    target = None
    if options.repo_id is not None:
        target = HubTarget(options.repo_id, options.public, options.gated, options.tag, message=options.commit_message)
        if not options.dry_run:
            target.repository()  # a missing token shows before minutes of checks
    leaks = LeakOptions(
        corpus=checks.corpus,
        columns=NoteColumns(checks.text_column, checks.document_id_column, checks.patient_column),
        reading=reading,
        leave_out=checks.leave_out,
        max_file_bytes=round(checks.max_file_gb * 1e9),
        rare_below=checks.rare_below,
        rare_words_report=checks.rare_words_report,
        accept_rare_words=checks.accept_rare_words,
    )
    accepted_risk = audited(folder, checks.accept_privacy_risk)
    if checks.corpus is None:
        print("note: the files were not compared with the training notes")
    if options.dry_run:
        show(folder, leaks, accepted_risk)
        return
    publication = prepared(folder, leaks, accepted_risk)
    if target is None:
        written = write_parcel(publication, options.target, Path(options.output))
        print(f"{options.output}: {'written and verified' if written else 'up to date'}")
    else:
        send(publication, target)


def audited(folder: Path, accepted_risk: str | None) -> str | None:
    """Print the verdict of the audit; return the reason where a risk is accepted.

    Raises:
        InputError: The verdict is a risk that nobody accepted, or the audit is of other weights.
    """
    from model_cards.publishing import check_audit

    verdict = check_audit(folder, accepted_risk)
    print(f"privacy audit: {verdict or 'none was made'}", flush=True)
    return accepted_risk if verdict == "risk" else None


def prepared(folder: Path, leaks: LeakOptions, accepted_risk: str | None) -> Publication:
    """Write an accepted risk into the card, and check the folder.

    Raises:
        InputError: A finding stops the publication.
    """
    from model_cards.publishing import checked

    if accepted_risk is not None:
        from model_cards.render import write_card

        write_card(folder, accepted_risk=accepted_risk)
    quiet_libraries()
    return checked(folder, leaks, _say)


def send(publication: Publication, target: HubTarget) -> None:
    """Push what was checked, and say where it is.

    Raises:
        InputError: The Hub refuses or stays out of reach, or what comes back differs.
    """
    from model_cards.publishing import publish

    commit = publish(publication, target, _say)
    print(f"published: {target.repo_id} at {commit[:12]}, {'public' if target.public else 'private'}")


def show(folder: Path, leaks: LeakOptions, accepted_risk: str | None) -> None:
    """Print what would be published: findings, files with sizes, the card.

    Raises:
        InputError: A finding stops the publication, or the card is missing.
    """
    from model_cards.allowed_files import sort_files
    from model_cards.publishing import CARD, card_with_risk, checked

    files = sort_files(folder, leaks.leave_out)
    sizes = {name: (folder / name).stat().st_size for name in files.allowed}
    for name, size in sizes.items():
        print(f"    {size:>15,}  {name.as_posix()}")
    print(f"    {sum(sizes.values()):>15,}  bytes in {len(sizes)} files; {len(files.left_behind)} stay behind")
    # Stops before the card is shown, which might hold what was found.
    checked(folder, leaks, _say)
    card = card_with_risk(folder, accepted_risk) if accepted_risk else (folder / CARD).read_text(encoding="utf-8")
    print(f"\n{card}\nnothing was sent")


def quiet_libraries() -> None:
    """Keep progress bars out of log files."""
    import sys

    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    run(main)

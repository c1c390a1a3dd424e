"""Which claims of three published studies hold, by result folders: `python scripts/judge_claims.py [NAME=]FOLDER ...`.

Folders of run_study.py, classify.py, analyse_embeddings.py, tag.py train and concept_transfer.py, in any mixture, and
claims.json of earlier calls in place of the folders that they were made from. The studies are on embedding spaces
(Taylor et al. 2024), entities (Belkadi et al. 2022) and concepts (Gao et al. 2024).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from command_line import RecipeParser, run
from corpora.errors import InputError
from named_paths import named_paths


@dataclass(kw_only=True)
class ClaimOptions:
    """What is judged by which results."""

    _argument_group_name = "Claims"

    results: list[str] = field(
        metadata={
            "positional": True,
            "help": "Output folders, which begin the command line; NAME=FOLDER names the data in the tables. Folders "
            "of one name are compared with each other: those of classify.py on one label, of concept_transfer.py on "
            "one target; systems of tag.py are by their corpus.",
        }
    )
    roles: list[str] = field(
        default_factory=list,
        metadata={
            "help": "MODEL=ROLE of models that are not called like their role: base, mlm, declutr, mlm_declutr, "
            "category or declutr_category. run_study.py knows those of its own."
        },
    )
    output: str | None = field(
        default=None, metadata={"help": "Folder for claims.md, claims.tex and claims.json; earlier ones are replaced."}
    )
    seed: int = field(default=0, metadata={"help": "Of the resamples."})

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError("--seed is below 0")


def main(argv: list[str] | None = None) -> None:
    """Judge as the command line says."""
    (options,) = RecipeParser([ClaimOptions], description=__doc__).parse(argv)
    roles = named_paths(options.roles, "--roles", "MODEL=ROLE")
    output = None if options.output is None else Path(options.output)
    if output is not None and output.exists() and not output.is_dir():
        raise InputError("the output is a file", file=output, remedy="give a folder")
    from reporting.claims_report import claims_markdown, judge_evidence, load_evidence, write_claims

    claims = judge_evidence(load_evidence([_named(entry) for entry in options.results]), roles, options.seed)
    print(claims_markdown(claims))
    if output is not None:
        for file in write_claims(claims, output):
            print(file)


def _named(entry: str) -> tuple[str | None, Path]:
    """Return the name and the folder of `NAME=FOLDER`; a folder's own name may hold `=`."""
    name, equals, folder = entry.partition("=")
    if not equals or Path(entry).is_dir():
        return None, Path(entry)
    if not name or not folder:
        raise InputError(f"{entry} is not of the form NAME=FOLDER")
    return name, Path(folder)


if __name__ == "__main__":
    run(main)

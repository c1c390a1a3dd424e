"""Results of classify.py side by side, with intervals and tests: `python scripts/compare.py RESULT_DIR ...`.

The folders must hold results of one label on the same test documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from command_line import RecipeParser, run
from corpora.errors import InputError


@dataclass(kw_only=True)
class CompareOptions:
    """What to compare."""

    _argument_group_name = "Comparison"

    results: list[str] = field(
        metadata={"positional": True, "help": "Output folders of classify.py; they begin the command line."}
    )
    reference: str | None = field(
        default=None,
        metadata={
            "help": "Words that tell the system to compare with: of its model, method, reading and frozen part, "
            "'base logistic_regression windows'; TF-IDF by default."
        },
    )
    metric: str = field(
        default="f1_macro",
        metadata={"help": "f1_macro, accuracy, precision_macro, recall_macro, f1_weighted or f1_micro."},
    )
    output: str | None = field(
        default=None,
        metadata={
            "help": "Folder for table.md, comparisons.json and the figures (PNG and SVG).",
            "aliases": ["--output_dir"],
        },
    )
    overwrite: bool = field(default=False, metadata={"help": "Replace an earlier comparison in the output folder."})
    resamples: int = field(
        default=1_000, metadata={"help": "Bootstrap resamples; more are taken where many comparisons need them."}
    )
    seed: int = field(default=0, metadata={"help": "Of the resamples."})

    def __post_init__(self) -> None:
        if self.resamples < 100:
            raise ValueError("--resamples is below 100, too few for an interval")
        if self.seed < 0:
            raise ValueError("--seed is below 0")


def main(argv: list[str] | None = None) -> None:
    """Compare as the command line says."""
    (options,) = RecipeParser([CompareOptions], description=__doc__).parse(argv)
    output = _output(options)
    from reporting.classification_report import main_table, make_report, write_report
    from reporting.classification_results import join_results, load_results

    results = join_results([load_results(folder) for folder in options.results])
    report = make_report(results, options.reference, options.metric, options.resamples, options.seed)
    print(main_table(report))
    if output is not None:
        write_report(report, output)
        print(f"\nReport: {output}")


def _output(options: CompareOptions) -> Path | None:
    if options.output is None:
        return None
    folder = Path(options.output)
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is a file", file=folder, remedy="give a folder")
    if (folder / "comparisons.json").exists() and not options.overwrite:
        raise InputError(
            "the output holds a comparison", file=folder, remedy="choose another folder, or pass --overwrite"
        )
    return folder


if __name__ == "__main__":
    run(main)

"""The report of a study of run_study.py: one page, tables as Markdown and LaTeX, and all values as JSON.

python scripts/report_study.py STUDY
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from command_line import RecipeParser, run


@dataclass(kw_only=True)
class ReportOptions:
    """Which study to report."""

    _argument_group_name = "Report"

    study: str = field(metadata={"positional": True, "help": "Folder of run_study.py."})
    output: str | None = field(default=None, metadata={"help": "Folder of the report; STUDY/report by default."})
    seed: int = field(default=0, metadata={"help": "Of the resamples."})


def main(argv: list[str] | None = None) -> None:
    """Write the report of what is finished."""
    (options,) = RecipeParser([ReportOptions], description=" ".join(__doc__.split("\n\n")[0].split())).parse(argv)
    from reporting.study_report import make_study_report, write_study_report
    from reporting.study_results import load_study

    study = load_study(options.study)
    report = make_study_report(study, options.seed)
    for file in write_study_report(report, Path(options.output) if options.output else study.folder / "report"):
        print(file)


if __name__ == "__main__":
    run(main)

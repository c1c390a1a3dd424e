"""Which measures of an embedding space tell how well a model classifies?

    python scripts/correlate_metrics.py SPACE_DIR CLASSIFY_DIR ... --output DIR

takes results of analyse_embeddings.py and of classify.py for the same models, by name, and the same label; with several
corpora or labels, write each folder as TASK=DIR. Models of a task are ranked by each measure and by their score.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import RecipeParser, run
from corpora.errors import InputError
from corpora.json_files import write_json

if TYPE_CHECKING:
    from reporting.metric_correlations import Task


@dataclass(kw_only=True)
class CorrelateOptions:
    """What is correlated."""

    _argument_group_name = "Correlation"

    results: list[str] = field(
        metadata={
            "positional": True,
            "help": "Output folders of analyse_embeddings.py and of classify.py, as DIR or TASK=DIR; they begin the "
            "command line. Two folders of the same task belong together; its name is the label by default.",
        }
    )
    output: str = field(metadata={"help": "Folder for table.md, correlations.json and the figure."})
    method: str = field(
        default="logistic_regression", metadata={"help": "Method of classify.py whose scores are taken."}
    )
    shots: int = field(default=0, metadata={"help": "Labelled documents a class; 0 for all."})
    reading: str | None = field(default=None, metadata={"help": "Way of reading, where the scores have several."})
    metric: str = field(default="f1_macro", metadata={"help": "Score, as in compare.py."})
    resamples: int = field(default=2_000, metadata={"help": "Bootstrap resamples and permutations."})
    seed: int = field(default=0, metadata={"help": "Of both."})
    overwrite: bool = field(default=False, metadata={"help": "Replace earlier correlations in the output folder."})

    def __post_init__(self) -> None:
        if self.shots < 0:
            raise ValueError("--shots is below 0; give documents a class, or 0 for all")
        if self.resamples < 100:
            raise ValueError("--resamples is below 100, too few for an interval")
        if self.seed < 0:
            raise ValueError("--seed is below 0")


def main(argv: list[str] | None = None) -> None:
    """Correlate as the command line says."""
    (options,) = RecipeParser([CorrelateOptions], description=" ".join(__doc__.split("\n\n")[0].split())).parse(argv)
    output = Path(options.output)
    if output.exists() and not output.is_dir():
        raise InputError("the output is a file", file=output, remedy="give a folder")
    if (output / "correlations.json").exists() and not options.overwrite:
        raise InputError(
            "the output holds correlations", file=output, remedy="choose another folder, or pass --overwrite"
        )
    tasks = read_tasks(options)
    from reporting.metric_correlations import as_dict, correlate, correlation_table, write_correlations

    found = correlate(tasks, options.method, options.shots or None, options.metric, options.resamples, options.seed)
    print(correlation_table(found))
    files = write_correlations(found, output)
    write_json(output / "correlations.json", as_dict(found))
    print("\n" + "\n".join(map(str, files)))


def read_tasks(options: CorrelateOptions) -> list[Task]:
    """Pair the folders by task.

    Raises:
        InputError: A folder is no result, stands alone, or stands twice.
    """
    from reporting.classification_results import ClassificationResults, load_results
    from reporting.metric_correlations import make_task
    from reporting.space_results import SpaceResults, load_space_results

    spaces: dict[str, SpaceResults] = {}
    scores: dict[str, ClassificationResults] = {}
    for entry in options.results:
        name, equals, path = entry.partition("=")
        folder = Path(path if equals else entry)
        results = load_space_results(folder) if _kind(folder) == "embedding_space" else load_results(folder)
        kind: dict = spaces if isinstance(results, SpaceResults) else scores
        task = name if equals else results.label_column or "documents"
        if task in kind:
            raise InputError(
                f"two results of one kind are of the task '{task}'", file=folder, remedy="write them as TASK=DIR"
            )
        kind[task] = results
    for task in spaces.keys() ^ scores.keys():
        alone = spaces.get(task) or scores[task]
        missing = "classify.py" if task in spaces else "analyse_embeddings.py"
        raise InputError(f"the task '{task}' has no result of {missing}", file=alone.folder, remedy="give both")
    return [
        make_task(
            task, spaces[task], scores[task], options.method, options.shots or None, options.reading, options.metric
        )
        for task in spaces
    ]


def _kind(folder: Path) -> str | None:
    """Return what a folder says it holds; what it does not say, the reader of classifications will find wrong."""
    try:
        return json.loads((folder / "results.json").read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError, AttributeError):
        return None


if __name__ == "__main__":
    run(main)

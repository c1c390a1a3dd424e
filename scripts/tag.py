"""Entities in clinical text: `python scripts/tag.py train|evaluate|predict|compare [RECIPE.yaml] [--option value ...]`.

    python scripts/tag.py train recipes/bert_crf.yaml --train_file TRAIN --test_file TEST --output_dir DIR
    python scripts/tag.py evaluate DIR/model --test_file OTHER
    python scripts/tag.py predict DIR/model --data NOTES --output ANNOTATED
    python scripts/tag.py compare DIR DIR2 --output_dir TABLES

train: an encoder with a CRF or without, over seeds and shares of the training sentences, scored on test documents by
strict spans. evaluate: score a trained tagger. predict: mark entities in texts, as BRAT stand-off, JSON lines or CoNLL.
compare: several systems in one table, with paired tests. `tag.py COMMAND --help` lists the options.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from command_line import RecipeParser, run
from corpora.errors import InputError

COMMANDS = ("train", "evaluate", "predict", "compare")


@dataclass
class ComparedFolders:
    """Which studies to compare."""

    _argument_group_name = "Comparison"

    results: list[str] = field(metadata={"positional": True, "help": "Folders that tag.py train wrote."})
    output_dir: str = field(metadata={"help": "Folder for table and figures.", "aliases": ["--output"]})


def compare(argv: list[str]) -> None:
    """Put several systems into one table."""
    (options,) = RecipeParser(
        [ComparedFolders], description="Several systems of tag.py train in one table.", prog="tag.py compare"
    ).parse(argv)
    from tag_study import report

    output = Path(options.output_dir)
    if output.exists() and not output.is_dir():
        raise InputError("the output is a file, not a folder", file=output, remedy="choose another --output_dir")
    report([Path(folder) for folder in options.results], output)


def main(argv: list[str]) -> None:
    """Run one of the commands."""
    if not argv or argv[0] in ("-h", "--help"):
        if argv:
            print(__doc__.strip())
            return
        raise InputError("no command is given", remedy=f"begin with one of {', '.join(COMMANDS)}")
    command, *rest = argv
    if command not in COMMANDS:
        raise InputError(f"'{command}' is no command", remedy=f"begin with one of {', '.join(COMMANDS)}")
    if command == "compare":
        compare(rest)
    elif command == "train":
        from tag_study import train

        train(rest)
    else:
        import tag_prediction

        getattr(tag_prediction, command)(rest)


if __name__ == "__main__":
    run(main)

"""Write the embedded demo corpus: synthetic clinical notes, the same bytes for the same seed.

    python scripts/make_demo_notes.py --output notes.jsonl --patients 1000 --seed 0

JSON lines hold everything (entities, structured concepts); CSV and TSV hold the flat columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from command_line import RecipeParser, run
from corpora.demo import DemoOptions, write_demo_notes


@dataclass
class OutputArguments:
    """Where the notes go."""

    _argument_group_name = "Output"

    output: str = field(metadata={"help": "file to write: .jsonl, .csv or .tsv, each also with .gz"})


def main(argv: list[str]) -> None:
    """Parse the command line, generate, write and say how many notes there are."""
    output, options = RecipeParser((OutputArguments, DemoOptions), description=__doc__.splitlines()[0]).parse(argv)
    count = write_demo_notes(output.output, options)
    print(f"{output.output}: {count:,} notes of {options.patients:,} patients")


if __name__ == "__main__":
    run(main)

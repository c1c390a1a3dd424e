"""Write the embedded demo corpus: synthetic clinical notes, the same bytes for the same seed.

    python scripts/make_demo_notes.py --output notes.jsonl --patients 1000 --seed 0

JSON lines hold everything (entities, structured concepts); CSV and TSV hold the flat columns.

    python scripts/make_demo_notes.py --output annotated --annotated brat --patients 40

writes train, validation and test notes with their entities marked, for tag.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from command_line import RecipeParser, run
from corpora.demo import DemoOptions, write_demo_notes


@dataclass
class OutputArguments:
    """Where the notes go."""

    _argument_group_name = "Output"

    output: str = field(
        metadata={"help": "file to write: .jsonl, .csv or .tsv, each also with .gz; with --annotated a new folder"}
    )
    annotated: Literal["brat", "conll", "jsonl"] | None = field(
        default=None,
        metadata={"help": "write notes in three splits by patient, their entities marked: BRAT, CoNLL or JSON lines"},
    )


def main(argv: list[str]) -> None:
    """Parse the command line, generate, write and say how many notes there are."""
    output, options = RecipeParser((OutputArguments, DemoOptions), description=__doc__.splitlines()[0]).parse(argv)
    if output.annotated is not None:
        from corpora.demo_entities import write_demo_entities

        counts = write_demo_entities(output.output, options, output.annotated)
        print(f"{output.output}: {', '.join(f'{count:,} {split}' for split, count in counts.items())} notes")
        return
    count = write_demo_notes(output.output, options)
    print(f"{output.output}: {count:,} notes of {options.patients:,} patients")


if __name__ == "__main__":
    run(main)

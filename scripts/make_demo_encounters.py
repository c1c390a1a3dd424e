"""Write the demo encounters: two made-up hospitals with partly different codes, the same bytes for the same seed.

    python scripts/make_demo_encounters.py --output_dir encounters --encounters 1500 --seed 0

Of each hospital: tables of encounters and events, other names of the codes, and the network they are drawn from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from command_line import RecipeParser, run
from corpora.demo_encounters import DemoEncounterOptions, write_demo_encounters


@dataclass
class OutputArguments:
    """Where the tables go."""

    _argument_group_name = "Output"

    output_dir: str = field(metadata={"help": "folder to write to; files of an earlier run are replaced"})


def main(argv: list[str]) -> None:
    """Parse the command line, generate, write and say what there is."""
    parser = RecipeParser((OutputArguments, DemoEncounterOptions), description=__doc__.splitlines()[0])
    output, options = parser.parse(argv)
    files = write_demo_encounters(Path(output.output_dir), options)
    print(f"{output.output_dir}: {len(files)} files, {options.encounters:,} encounters of each hospital")


if __name__ == "__main__":
    run(main)

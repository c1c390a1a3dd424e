"""Write the model card of a checkpoint folder, from what training, evaluation and the privacy audit left.

    python scripts/make_card.py [STATEMENT.yaml] MODEL --results CLASSIFY_DIR SPACE_DIR --result_name adapted

What is said once (licence, source of the notes, results, ...) is kept in the folder for the next time. What you write
into README.md between `<!-- notespace:keep NAME -->` and `<!-- /notespace:keep -->` stays.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from command_line import RecipeParser, run
from corpora.errors import InputError
from modeling.checkpoint_folder import check_checkpoint


@dataclass(kw_only=True)
class CardOptions:
    """What the card is made of."""

    _argument_group_name = "Card"

    folder: str = field(metadata={"positional": True, "help": "Checkpoint folder."})
    results: list[str] = field(
        default_factory=list,
        metadata={"help": "Output folders of classify.py, analyse_embeddings.py and tag.py train."},
    )
    result_name: str | None = field(
        default=None, metadata={"help": "What the model is called in them, where they are of several."}
    )
    figures: list[str] = field(
        default_factory=list,
        metadata={"help": "Images to copy into the folder and show: few_shot_curves.png of the results, ..."},
    )
    overwrite: bool = field(default=False, metadata={"help": "Replace a README.md that is not ours."})


def main(argv: list[str] | None = None) -> None:
    """Write the card."""
    from model_cards.statements import DataStatement, ModelStatement

    parser = RecipeParser(
        [CardOptions, ModelStatement, DataStatement], description=" ".join(__doc__.split("\n\n")[0].split())
    )
    options, model, data = parser.parse(argv)
    folder = check_checkpoint(options.folder)
    if folder is None:
        raise InputError("no such checkpoint folder", file=options.folder)
    from model_cards.card_facts import CardFacts
    from model_cards.card_files import FIGURES
    from model_cards.render import IMAGES, write_card

    figures = [Path(name) for name in options.figures]
    for figure in figures:
        if not figure.is_file() or figure.suffix not in IMAGES:
            raise InputError(f"is no image ({', '.join(IMAGES)})", file=figure)
    for figure in figures:
        (folder / FIGURES).mkdir(exist_ok=True)
        shutil.copyfile(figure, folder / FIGURES / figure.name)
    facts = CardFacts(model=model, data=data, result_name=options.result_name)
    print(write_card(folder, facts, options.results, overwrite=options.overwrite))


if __name__ == "__main__":
    run(main)

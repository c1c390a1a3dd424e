"""Write the model card of a checkpoint folder, from what training, evaluation and the privacy audit left.

    python scripts/make_card.py [STATEMENT.yaml] MODEL --results CLASSIFY_DIR SPACE_DIR --result_name adapted

What is said once (licence, source of the notes, results, ...) is kept in the folder for the next time. What you write
into README.md between `<!-- notespace:keep NAME -->` and `<!-- /notespace:keep -->` stays.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    for name, times in Counter(figure.name for figure in figures).items():
        if times > 1:
            raise InputError(f"{times} figures are called {name}", remedy="give each a name of its own, or one of them")
    facts = CardFacts(model=model, data=data, result_name=options.result_name)
    with copied(figures, folder / FIGURES):
        card = write_card(folder, facts, options.results, overwrite=options.overwrite)
    print(card)


@contextmanager
def copied(files: Sequence[Path], folder: Path) -> Iterator[None]:
    """Copy files into a folder, and take them back where what is done with them fails.

    The card shows what lies in the folder, so the figures have to come before the last of its checks.

    Args:
        files: Of names of their own; one that lies in the folder stays as it is.
        folder: Made when missing.
    """
    made = bool(files) and not folder.is_dir()
    places = {folder / file.name: file for file in files}
    earlier = {place: place.read_bytes() if place.is_file() else None for place in places}
    try:
        if made:
            folder.mkdir()
        for place, file in places.items():
            if earlier[place] is None or not place.samefile(file):
                shutil.copyfile(file, place)
        yield
    except BaseException:
        for place, content in earlier.items():
            if content is None:
                place.unlink(missing_ok=True)
            elif place.read_bytes() != content:
                place.write_bytes(content)
        if made:
            folder.rmdir()
        raise


if __name__ == "__main__":
    run(main)

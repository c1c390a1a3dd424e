"""Writes the card beside every checkpoint of a training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from model_cards.card_facts import CardFacts
from model_cards.card_files import TRAINING, write_json
from model_cards.render import write_card


class CardCallback(TrainerCallback):
    """Writes `README.md` and `training_summary.json` into each checkpoint, and the card of the finished model.

    A card then lies beside every folder of weights, and `Trainer.push_to_hub` pushes it too: the stock card, which
    would take its place, names whatever the arguments hold. The main process writes.

    Example:
        ```python
        card = CardCallback(trainer, describe=lambda: {"objective": "declutr", "steps": trainer.state.global_step})
        trainer.add_callback(card)
        trainer.train()
        trainer.export("model")
        card.write("model")
        ```

    Args:
        trainer: Whose checkpoints they are.
        describe: Returns the content of `training_summary.json` as of now.
    """

    def __init__(self, trainer: Trainer, describe: Callable[[], Mapping[str, Any]]) -> None:
        self._trainer, self._describe = trainer, describe
        trainer.create_model_card = self._instead_of_the_stock_card

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Write the card of the checkpoint that was saved."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
            # So that the card can be made anew there.
            write_json(folder / TRAINING, dict(self._describe()))
            write_card(folder)

    def write(self, folder: str | Path, training: Mapping[str, Any] | None = None) -> Path:
        """Write the card of a finished model.

        Args:
            folder: Where it was exported to.
            training: Content of `training_summary.json`; as of now when not given.

        Returns:
            The card.
        """
        return write_card(folder, CardFacts(training=training if training is not None else self._describe()))

    def _instead_of_the_stock_card(self, *args: Any, **kwargs: Any) -> None:
        if self._trainer.is_world_process_zero():
            self.write(self._trainer.args.output_dir)

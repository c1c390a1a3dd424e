"""All that a card is made of, and what of it is kept in `card_facts.json` for the next time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.json_files import read_fields
from model_cards.card_files import STORED_FACTS, TRAINING, write_json
from model_cards.markdown import one_line
from model_cards.statements import DataStatement, ModelStatement, filled, updated

SCHEMA_VERSION = 1
MEND = "remove the file, and make the card anew with make_card.py"


@dataclass(frozen=True)
class CardFacts:
    """What a card says besides what lies in the folder.

    Args:
        model: What is said of the model.
        data: What is said of the notes.
        training: Content of `training_summary.json`, where it does not lie in the folder yet.
        results: From `model_cards.result_facts.read_results`.
        result_name: What the model is called in them; needed where they are of several.
        accepted_risk: Why the weights are shared against the verdict of the privacy audit.
    """

    model: ModelStatement = field(default_factory=ModelStatement)
    data: DataStatement = field(default_factory=DataStatement)
    training: Mapping[str, Any] | None = None
    results: Sequence[Mapping[str, Any]] = ()
    result_name: str | None = None
    accepted_risk: str | None = None

    def over(self, earlier: CardFacts) -> CardFacts:
        """Return these facts, and where they say nothing, the earlier ones.

        Results of the same kind, label and models replace earlier ones; others are added. Of those given together all
        stay: a study evaluates the same models with the same label in several ways.
        """
        given = {_key(result) for result in self.results}
        kept = [result for result in earlier.results if _key(result) not in given]
        return CardFacts(
            model=updated(earlier.model, self.model),
            data=updated(earlier.data, self.data),
            training=self.training if self.training is not None else earlier.training,
            results=(*kept, *self.results),
            result_name=self.result_name or earlier.result_name,
            accepted_risk=self.accepted_risk or earlier.accepted_risk,
        )


def _key(result: Mapping[str, Any]) -> tuple[Any, ...]:
    return result["kind"], result["label"], *sorted(result["models"])


def read_facts(folder: Path) -> CardFacts:
    """Return the facts that lie in a folder.

    Raises:
        InputError: A file of them is damaged.
    """
    training = read_fields(folder / TRAINING, "train again") if (folder / TRAINING).is_file() else None
    if training is not None and not isinstance(training.get("settings", {}), dict):
        raise InputError("does not hold settings", file=folder / TRAINING, remedy="train again")
    file = folder / STORED_FACTS
    if not file.is_file():
        return CardFacts(training=training)
    content = read_fields(file, MEND)
    try:
        if content["schema_version"] != SCHEMA_VERSION:
            raise InputError(f"has schema version {content['schema_version']}", file=file, remedy=MEND)
        return CardFacts(
            model=ModelStatement(**content["model"]),
            data=DataStatement(**content["data"]),
            training=training,
            results=tuple(content["results"]),
            result_name=content["result_name"],
            accepted_risk=content["accepted_risk"],
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("does not hold the facts of a card", file=file, remedy=MEND) from error


def store_facts(folder: Path, facts: CardFacts) -> None:
    """Keep what cannot be read elsewhere in the folder; nothing is written where there is nothing."""
    facts = replace(facts, accepted_risk=one_line(facts.accepted_risk) if facts.accepted_risk else None)
    content = {
        "model": filled(facts.model),
        "data": filled(facts.data),
        "results": list(facts.results),
        "result_name": facts.result_name,
        "accepted_risk": facts.accepted_risk,
    }
    if any(content.values()):
        write_json(folder / STORED_FACTS, {"schema_version": SCHEMA_VERSION, **content})

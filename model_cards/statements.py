"""What only people know of a model and its data: asked for, never guessed, and "not stated" where they did not say."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]*")
LANGUAGE = re.compile(r"[a-z]{2,3}|code|multilingual")

Statement = TypeVar("Statement", "ModelStatement", "DataStatement")


@dataclass(kw_only=True)
class ModelStatement:
    """What is said of the model.

    Raises:
        ValueError: The licence or a language is not of the form that the Hub knows.
    """

    _argument_group_name = "What is said of the model"

    title: str | None = field(default=None, metadata={"help": "Title of the card; the folder's name when not given."})
    repo_id: str | None = field(
        default=None,
        metadata={"help": "ORG/NAME on the Hub, for the lines of usage; else the folder's name."},
    )
    license: str | None = field(
        default=None, metadata={"help": "Identifier of the licence on the Hub: apache-2.0, cc-by-nc-4.0, other, ..."}
    )
    language: list[str] | None = field(default=None, metadata={"help": "Languages of the notes: en, de, ..."})
    base_model: str | None = field(
        default=None, metadata={"help": "Hub id of the base model, where the run started from a copy in a folder."}
    )
    contact: str | None = field(default=None, metadata={"help": "Whom to ask about the model."})

    def __post_init__(self) -> None:
        if self.license is not None and not LICENSE.fullmatch(self.license):
            raise ValueError("--license is not an identifier of the Hub, such as apache-2.0 or other")
        for language in self.language or ():
            if not LANGUAGE.fullmatch(language):
                raise ValueError("--language takes codes of two or three small letters, such as en")


@dataclass(kw_only=True)
class DataStatement:
    """What is said of the notes that the model was trained on."""

    _argument_group_name = "What is said of the data"

    dataset_name: str | None = field(default=None, metadata={"help": "What the corpus is called."})
    dataset_id: str | None = field(default=None, metadata={"help": "Its id on the Hub, where it is public."})
    source: str | None = field(default=None, metadata={"help": "Where the notes come from: sites, systems, kinds."})
    period: str | None = field(default=None, metadata={"help": "When they were written."})
    population: str | None = field(default=None, metadata={"help": "Whose they are: patients, ages, specialties."})
    governance: str | None = field(
        default=None, metadata={"help": "On what basis they are used: approvals, ethics, agreements."}
    )
    deidentification: str | None = field(
        default=None, metadata={"help": "How identifiers were removed, by what tool, how it was checked."}
    )
    access: str | None = field(default=None, metadata={"help": "Who may have the notes, and how."})


def filled(statement: Any) -> dict[str, Any]:
    """Return what was said, by field."""
    pairs = ((part.name, getattr(statement, part.name)) for part in fields(statement))
    return {name: value for name, value in pairs if value not in (None, [])}


def updated(earlier: Statement, later: Statement) -> Statement:
    """Return a statement in which what was said later takes the place of what was said earlier."""
    return type(earlier)(**{**filled(earlier), **filled(later)})

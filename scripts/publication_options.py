"""Options of a publication, for publish.py and for `pretrain.py --publish`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from corpora.errors import InputError


@dataclass(kw_only=True)
class HubOptions:
    """How a repository on a Hub is made and marked."""

    _argument_group_name = "Hub"

    public: bool = field(default=False, metadata={"help": "Let everybody see it once it is verified."})
    gated: Literal["auto", "manual"] | None = field(
        default=None, metadata={"help": "Readers ask for access, granted by itself or by an owner."}
    )
    tag: str | None = field(default=None, metadata={"help": "Name for the commit, for example v1.0; never moved."})


@dataclass(kw_only=True)
class AcceptanceOptions:
    """What a person looked at and accepts.

    Raises:
        InputError: A risk is accepted without a reason.
    """

    _argument_group_name = "What is accepted after a look"

    rare_words_report: str | None = field(
        default=None,
        metadata={"help": "Local file for those words and their numbers of patients; never published."},
    )
    accept_rare_words: bool = field(
        default=False, metadata={"help": "Publish a vocabulary trained on the notes with such words, after a look."}
    )
    accept_privacy_risk: str | None = field(
        default=None, metadata={"help": "Publish against the verdict of the privacy audit; the card shows the reason."}
    )

    def __post_init__(self) -> None:
        if self.accept_privacy_risk is not None and not self.accept_privacy_risk.strip():
            raise InputError("--accept_privacy_risk needs a reason")


@dataclass(kw_only=True)
class PublicationOptions(HubOptions, AcceptanceOptions):
    """What `pretrain.py` does with a finished model.

    Raises:
        InputError: An option says how to publish, but nothing is to be published.
    """

    _argument_group_name = "Publication"

    publish: str | None = field(
        default=None,
        metadata={
            "help": "ORG/NAME on the Hub (HF_ENDPOINT names another Hub): evaluate the finished model, audit it, write "
            "the card and push, private. Needs validation documents. A finished run can be published later so too."
        },
    )
    statement: str | None = field(
        default=None,
        metadata={"help": "YAML file of what make_card.py asks for: licence, source of the notes, governance, ..."},
    )
    probe_label: str | None = field(
        default=None, metadata={"help": "Label column for a frozen probe, fitted on training documents."}
    )
    audit_reference: str | None = field(
        default=None,
        metadata={
            "help": "Checkpoint that has not seen the notes, for the privacy audit; the base model when not given, "
            "unless notespace made it."
        },
    )
    audit_documents: int = field(
        default=5_000, metadata={"help": "Documents that the audit draws of each side; 0 for all."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.audit_documents < 0:
            raise InputError("--audit_documents is below 0; give 0 for all")
        if self.publish is None:
            given = [name for name, part in self.__dataclass_fields__.items() if getattr(self, name) != part.default]
            if given:
                raise InputError(f"--{given[0]} belongs to --publish", remedy="add --publish ORG/NAME, or leave it out")

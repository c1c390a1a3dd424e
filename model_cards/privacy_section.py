"""What a card says of the privacy audit, `privacy_audit.json`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.json_files import read_fields
from model_cards.card_files import AUDIT
from model_cards.card_tables import thresholds_table
from model_cards.markdown import text
from modeling.weights_digest import weights_digest

VERDICTS = ("low", "moderate", "risk")
AGAIN = "run audit_privacy.py again"
NO_AUDIT = "**No privacy audit was made of these weights** (`scripts/audit_privacy.py` makes one)."
NO_AUDIT_OF_TAGGERS = (
    "**No privacy audit was made of these weights.** `scripts/audit_privacy.py` audits encoders and masked language "
    "models: audit the encoder, before a tagger is trained on it."
)
OTHER_WEIGHTS = "**The audit below is of other weights than those in this folder**; it has to be made again."


def read_audit(folder: Path) -> dict[str, Any] | None:
    """Return the audit in a folder; None where there is none.

    Raises:
        InputError: The file is damaged or of another version.
    """
    file = folder / AUDIT
    if not file.is_file():
        return None
    audit = read_fields(file, AGAIN)
    parts = (("sentences", list), ("thresholds", dict), ("settings", dict))
    if (
        audit.get("kind") != "privacy_audit"
        or audit.get("schema_version") != 1
        or audit.get("verdict") not in VERDICTS
        or not all(isinstance(audit.get(name), kind) for name, kind in parts)
    ):
        raise InputError("is not a privacy audit, or of another version", file=file, remedy=AGAIN)
    return audit


def privacy_words(audit: Mapping[str, Any] | None, folder: Path, *, tagger: bool = False) -> str:
    """Return the verdict, its sentences and its thresholds.

    Args:
        audit: From `read_audit`.
        folder: With the weights, to tell whether they are those that were audited.
        tagger: Whether they are of a tagger.
    """
    if audit is None:
        return NO_AUDIT_OF_TAGGERS if tagger else NO_AUDIT
    audited = audit["settings"].get("weights_sha256")
    parts = [OTHER_WEIGHTS] if audited is not None and audited != weights_digest(folder) else []
    # The first sentence states the verdict.
    opening, *sentences = audit["sentences"] or [f"{audit['verdict']}."]
    parts.append(f"**Verdict of the audit: {text(opening)}**")
    if sentences:
        parts.append("\n".join(f"- {text(sentence)}" for sentence in sentences))
    thresholds = audit["thresholds"]
    if thresholds:
        parts.append(thresholds_table(thresholds))
    parts += [
        f"{text(name).replace('_', ' ').capitalize()}: {text(words)}."
        for name, words in thresholds.items()
        if isinstance(words, str)
    ]
    return "\n\n".join(parts)

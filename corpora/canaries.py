"""Canaries: random identifiers planted into training notes, to measure how well a model remembers what it saw.

A canary is a sentence with a made-up name and a number of single digits, which no document could hold by chance. Each
is planted a known number of times (Carlini et al. 2019, The Secret Sharer, section 4). As many more are made up and not
planted: they show what a model says of a number that it has never seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from corpora.errors import InputError

CANARY_FILE = "canaries.json"
SCHEMA_VERSION = 1
_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
_READ_WORDS = 64
"""A canary lies among the first words of a document, where every kind of training reads."""
_WORD = re.compile(r"\S+")


@dataclass
class CanaryOptions:
    """Random identifiers to plant into the training split, for `audit_privacy.py`."""

    _argument_group_name = "Canaries"

    canaries: int = field(
        default=0,
        metadata={"help": "identifiers to plant; they are kept in canaries.json beside the corpus. 0 plants none"},
    )
    canary_repetitions: list[int] = field(
        default_factory=lambda: [1, 4, 16, 64],
        metadata={"help": "how often each is planted; the canaries take these counts in turn"},
    )
    canary_digits: int = field(default=6, metadata={"help": "digits of an identifier"})
    canary_seed: int = field(default=0, metadata={"help": "seed of the identifiers and of their places"})

    def __post_init__(self) -> None:
        if self.canaries < 0:
            raise InputError(f"--canaries {self.canaries} is below 0", remedy="give their number")
        if not self.canary_repetitions or min(self.canary_repetitions) < 1:
            raise InputError("--canary_repetitions holds a count below 1", remedy="give counts of 1 and more")
        if self.canary_seed < 0:
            raise InputError(f"--canary_seed {self.canary_seed} is below 0", remedy="give 0 or more")
        if not 2 <= self.canary_digits <= 12:
            raise InputError(f"--canary_digits {self.canary_digits} is out of range", remedy="give 2 to 12")


@dataclass(frozen=True)
class Canary:
    """One made-up identifier.

    Args:
        name: Two made-up words, of no other canary.
        secret: The digits.
        repetitions: How often it was planted; 0 for a control.
    """

    name: str
    secret: str
    repetitions: int

    def parts(self, secret: str | None = None) -> tuple[str, str, str]:
        """Return what stands before the digits, the digits, and what stands after.

        Digits stand singly, so that all secrets have as many tokens whatever the vocabulary merges.

        Args:
            secret: Other digits to put in place of the canary's own.
        """
        return f"Locator of {self.name} is", " " + " ".join(secret or self.secret), "."

    def sentence(self, secret: str | None = None) -> str:
        """Return the sentence; see `parts`."""
        return "".join(self.parts(secret))


def make_canaries(options: CanaryOptions) -> list[Canary]:
    """Make up the canaries to plant, followed by as many controls."""
    generator = np.random.default_rng([options.canary_seed, 101])
    names: dict[str, None] = {}
    while len(names) < 2 * options.canaries:
        names[f"{_made_up_word(generator)} {_made_up_word(generator)}"] = None
    digits = generator.integers(0, 10, (len(names), options.canary_digits))
    counts = options.canary_repetitions
    return [
        Canary(name, "".join(map(str, row)), counts[place % len(counts)] if place < options.canaries else 0)
        for place, (name, row) in enumerate(zip(names, digits.tolist(), strict=True))
    ]


def plan_planting(canaries: Sequence[Canary], documents: np.ndarray, seed: int) -> dict[int, list[str]]:
    """Decide which documents hold which canaries.

    The copies of a canary lie in different documents as long as there are enough.

    Args:
        canaries: Controls among them are passed over.
        documents: `(documents,)` numbers of the training documents.
        seed: Of the draw.

    Returns:
        Document to the sentences to plant.
    """
    generator = np.random.default_rng([seed, 102])
    plan: dict[int, list[str]] = {}
    for canary in canaries:
        order = generator.permutation(documents)
        for copy in range(canary.repetitions):
            plan.setdefault(int(order[copy % len(order)]), []).append(canary.sentence())
    return plan


def plant(text: str, sentences: Sequence[str], generator: np.random.Generator) -> str:
    """Return a document with sentences put between its first words.

    Args:
        text: The document.
        sentences: To plant.
        generator: Chooses the places.
    """
    ends = [match.end() for match, _ in zip(_WORD.finditer(text), range(_READ_WORDS), strict=False)] or [0]
    places = sorted((ends[int(generator.integers(len(ends)))] for _ in sentences), reverse=True)
    for end, sentence in zip(places, sentences, strict=True):
        text = f"{text[:end]} {sentence}{text[end:]}"  # from the last place on, so that none is split by another
    return text


def without_canaries(text: str, canaries: Sequence[Canary]) -> str:
    """Return a document as it was before planting.

    Otherwise an attack would tell members by their canaries, which non-members do not have.
    """
    for canary in canaries:
        if canary.name in text:
            sentence = canary.sentence()
            text = text.replace(f" {sentence}", "").replace(sentence, "")
    return text


def write_canaries(folder: Path, canaries: Sequence[Canary], options: CanaryOptions) -> None:
    """Write `canaries.json` into a prepared corpus: names, digits and counts, which must not leave the house."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "kind": "canaries",
        "digits": options.canary_digits,
        "seed": options.canary_seed,
        "canaries": [asdict(canary) for canary in canaries],
    }
    (folder / CANARY_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def read_canaries(path: str | Path) -> list[Canary]:
    """Read what `write_canaries` wrote.

    Args:
        path: The file, or the prepared corpus that holds it.

    Raises:
        InputError: There is no such file, or it holds no canaries.
    """
    file = Path(path) / CANARY_FILE if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise InputError("no such file of canaries", file=file, remedy="prepare the notes with --canaries")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        canaries = [_canary(entry) for entry in content["canaries"]]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError("is not a file of canaries", file=file, remedy="prepare the notes with --canaries") from error
    if not any(canary.repetitions for canary in canaries):
        raise InputError("holds no planted canary", file=file, remedy="prepare the notes with --canaries")
    if len({len(canary.secret) for canary in canaries}) > 1:
        raise InputError("holds canaries of different lengths", file=file, remedy="audit them one file at a time")
    return canaries


def _canary(entry: Mapping) -> Canary:
    name, secret, repetitions = entry["name"], entry["secret"], entry["repetitions"]
    if not (isinstance(name, str) and isinstance(secret, str) and secret.isdecimal() and int(repetitions) >= 0):
        raise ValueError("not a canary")
    return Canary(name, secret, int(repetitions))


def _made_up_word(generator: np.random.Generator) -> str:
    letters = [
        letters[int(generator.integers(len(letters)))]
        for letters in (_CONSONANTS, _VOWELS, _CONSONANTS, _VOWELS, _CONSONANTS)
    ]
    return "".join(letters).capitalize()

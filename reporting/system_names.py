"""Short names of systems for tables and legends, and the way back from words to a system."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from corpora.errors import InputError
from reporting.classification_results import System

BASELINES = ("tfidf", "bagged_tfidf", "majority")
METHODS = {
    "logistic_regression": "logistic regression",
    "knn": "k-nearest neighbours",
    "mlp": "MLP head",
    "hybrid": "hybrid with TF-IDF",
    "bagged_regression": "logistic regression in balanced bags",
    "bagged_hybrid": "hybrid with TF-IDF in balanced bags",
    "fine_tuned": "fine-tuned",
    "lora": "LoRA",
    "dora": "DoRA",
    "ia3": "IA3",
    "ln_tuning": "layer-norm tuning",
    "tfidf": "TF-IDF",
    "bagged_tfidf": "TF-IDF in balanced bags",
    "majority": "majority class",
}
READINGS = {"windows": "windows", "head": "head", "head_tail": "head and tail", "attention": "attention over windows"}
# What a method freezes unless asked otherwise, and a name need not say.
USUALLY_FROZEN = {"fine_tuned": ("none",)} | dict.fromkeys(("lora", "dora", "ia3", "ln_tuning"), ("all", "none"))


def method_name(method: str) -> str:
    """Return how a method is called in print."""
    return METHODS.get(method, method.replace("_", " "))


def frozen_name(frozen: str) -> str:
    """Return how a frozen part is called in print."""
    if frozen.isdecimal():
        return f"{frozen} layer{'' if frozen == '1' else 's'} frozen"
    return {"all": "frozen", "none": "nothing frozen", "embeddings": "embeddings frozen"}.get(frozen, frozen)


def system_names(systems: Sequence[System]) -> dict[System, str]:
    """Return a name for each system, as short as they stay apart.

    What all systems share is left out: the reading where there is only one, and the frozen part where the method
    implies it.
    """
    readings = {system.reading for system in systems if system.reading is not None}
    short = {system: _name(system, len(readings) > 1) for system in systems}
    times = Counter(short.values())
    names = {system: name if times[name] == 1 else _full_name(system) for system, name in short.items()}
    times = Counter(names.values())
    # Names of models can be such that even full names meet.
    return {
        system: name if times[name] == 1 else f"{name} ({number + 1})"
        for number, (system, name) in enumerate(names.items())
    }


def shared_reading(systems: Sequence[System], window_length: int | None = None) -> str | None:
    """Return what all encoders read, which `system_names` leaves out; None where they read in several ways.

    Args:
        systems: Of one table.
        window_length: Tokens of a window; None where that is not known.
    """
    readings = {system.reading for system in systems if system.reading is not None}
    if len(readings) != 1:
        return None
    (reading,) = readings
    if window_length is None:
        return READINGS.get(reading, reading)
    return {
        "windows": f"windows of {window_length:,} tokens",
        "head": f"the first {window_length:,} tokens",
        "head_tail": f"{window_length:,} tokens of head and tail",
        "attention": f"windows of {window_length:,} tokens, weighted by attention",
    }.get(reading, reading)


def find_system(systems: Sequence[System], words: str) -> System:
    """Return the system that bears all the words.

    Args:
        systems: To choose from.
        words: Its name by `system_names`, or any of its model, method, reading and frozen part, separated by spaces or
            commas, `base logistic_regression windows`.

    Raises:
        InputError: None bears them, or several do.
    """
    names = system_names(systems)
    named = [system for system in systems if names[system] == words]
    wanted = words.replace(",", " ").split()
    found = named or [system for system in systems if wanted and all(word in _words(system) for word in wanted)]
    if len(found) != 1:
        listed = "; ".join(" ".join(_words(system)) for system in found or systems)
        raise InputError(
            f"{'several systems are' if found else 'no system is'} called '{words}'",
            remedy=f"name one of: {listed}",
        )
    return found[0]


def _words(system: System) -> list[str]:
    parts = (system.model, system.method, system.reading, system.frozen)
    return [word for part in parts if part is not None for word in part.split()]


def _name(system: System, with_reading: bool) -> str:
    method = method_name(system.method)
    if system.method in BASELINES:
        return method
    parts = [system.model, method]
    if with_reading and system.reading is not None:
        parts.append(READINGS.get(system.reading, system.reading))
    if system.frozen is not None and system.frozen not in USUALLY_FROZEN.get(system.method, ("all",)):
        parts.append(frozen_name(system.frozen))
    return ", ".join(part for part in parts if part)


def _full_name(system: System) -> str:
    parts = [system.model, method_name(system.method)]
    parts += [READINGS.get(system.reading, system.reading)] if system.reading else []
    parts += [frozen_name(system.frozen)] if system.frozen else []
    return ", ".join(part for part in parts if part)

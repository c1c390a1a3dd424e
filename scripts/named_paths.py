"""NAME=PATH on a command line."""

from __future__ import annotations

from collections.abc import Sequence

from corpora.errors import InputError


def named_paths(entries: Sequence[str], option: str, form: str = "NAME=PATH") -> dict[str, str]:
    """Return the paths, or what else is named, by name.

    Args:
        entries: Each `NAME=PATH`.
        option: The option, for messages.
        form: What an entry looks like, for messages.

    Raises:
        InputError: An entry has another form, or a name stands twice.
    """
    named: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name or not value:
            raise InputError(f"{option} {entry} is not of the form {form}")
        if name in named:
            raise InputError(f"{option} names '{name}' twice")
        named[name] = value
    return named

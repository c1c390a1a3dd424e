"""Turns a word of the command line, or a value of a YAML recipe, into the type of a dataclass field."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

TRUE_WORDS = frozenset({"true", "yes", "1"})
FALSE_WORDS = frozenset({"false", "no", "0"})
NULL_WORDS = frozenset({"none", "null"})


def members(hint: Any) -> tuple:
    """Return the members of a union, or the hint itself as the only one."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return tuple(member for part in typing.get_args(hint) for member in members(part))
    return (hint,)


def is_list(hint: Any) -> bool:
    """Tell whether a union member is a list or a tuple, with or without an element type."""
    return (typing.get_origin(hint) or hint) in (list, tuple)


def is_mapping(hint: Any) -> bool:
    """Tell whether a union member takes a mapping: a dict, or a dataclass built from one."""
    return (typing.get_origin(hint) or hint) is dict or dataclasses.is_dataclass(hint)


def is_flag(hint: Any) -> bool:
    """Tell whether a field is a plain switch: `bool` or `bool | None`."""
    return set(members(hint)) <= {bool, type(None)} and bool in members(hint)


def describe(hint: Any) -> str:
    """Say in words what a field accepts, for error messages and `--help`."""
    options = members(hint)
    if any(_is_enum(option) for option in options):
        options = tuple(option for option in options if option is not str)
    return " or ".join(dict.fromkeys(_describe_one(option) for option in options))


def convert(value: Any, hint: Any) -> Any:
    """Convert a value to the type of a field.

    Args:
        value: A string or a list of strings (command line), or whatever YAML holds.
        hint: The resolved type hint: `str, int, float, bool, Path, Literal, Enum, list, tuple, dict`, a
            dataclass, or a union of these.

    Raises:
        ValueError: The value has the wrong type; the text says what is accepted.
    """
    options = members(hint)
    if isinstance(value, list) and len(value) == 1 and str in options and isinstance(value[0], str):
        value = value[0]  # `--report_to tensorboard`: one word where text or a list may stand
    # Where text may stand beside other things, `none` may be one of its words (`report_to`); elsewhere it is nothing.
    null_word = (
        isinstance(value, str)
        and value.lower() in NULL_WORDS
        and (str not in options or set(options) == {str, type(None)})
    )
    if type(None) in options and (value is None or null_word):
        return None
    if isinstance(value, str) and value.lstrip().startswith("{") and any(map(is_mapping, options)):
        value = _read_json(value)
    if any(_is_enum(option) for option in options):
        # `SchedulerType | str` means "one of these, also as text": any other text is a mistake.
        options = tuple(option for option in options if option is not str)
    for option in sorted(set(options) - {type(None)}, key=_rank):
        try:
            return _convert_one(value, option)
        except (ValueError, TypeError):
            continue
    raise ValueError(f"expects {describe(hint)}, got {value!r}")


def _read_json(text: str) -> dict:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON ({error.msg} at character {error.pos + 1})") from error


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def _rank(option: Any) -> int:
    """Order in which the members of a union are tried: narrow types first, text and lists last."""
    if option is str:
        return 6
    if is_list(option):
        return 7
    order = {bool: 1, int: 3, float: 4, Path: 5}
    return order.get(option, 2 if _is_enum(option) or is_mapping(option) else 0)


def _convert_one(value: Any, option: Any) -> Any:
    if option is Any:
        return value
    if typing.get_origin(option) is typing.Literal:
        return _first([choice for choice in typing.get_args(option) if _same(value, choice)])
    if _is_enum(option):
        return _first([member for member in option if value in (member, member.value, member.name)])
    if is_list(option):
        return _convert_list(value, option)
    if dataclasses.is_dataclass(option):
        return value if isinstance(value, option) else option(**_mapping(value))
    if is_mapping(option):
        return _mapping(value)
    converter: Callable[[Any], Any] = {bool: _bool, int: _int, float: _float, str: _str, Path: _path}[option]
    return converter(value)


def _first(matches: list) -> Any:
    if not matches:
        raise ValueError("no such choice")
    return matches[0]


def _same(value: Any, choice: Any) -> bool:
    return (type(value) is type(choice) and value == choice) or (
        isinstance(value, str) and value.lower() == str(choice).lower()
    )


def _convert_list(value: Any, option: Any) -> Any:
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    if isinstance(value, dict) or value is None:
        raise ValueError("not a list")
    kinds = typing.get_args(option) or (Any,)
    is_tuple = (typing.get_origin(option) or option) is tuple
    if is_tuple and len(kinds) > 1 and kinds[-1] is not Ellipsis:
        if len(items) != len(kinds):
            raise ValueError("wrong length")
        return tuple(convert(item, kind) for item, kind in zip(items, kinds, strict=True))
    converted = [convert(item, kinds[0]) for item in items]
    return tuple(converted) if is_tuple else converted


def _mapping(value: Any) -> dict:
    if not isinstance(value, dict):
        raise ValueError("not a mapping")
    return value


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in TRUE_WORDS | FALSE_WORDS:
        return value.lower() in TRUE_WORDS
    raise ValueError("not a switch")


def _int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value = float(value)  # `1e5`, a common way to write a number of steps
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ValueError("not a whole number")
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)) or math.isnan(float(value)):
        raise ValueError("not a number")
    return float(value)


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not text")
    return value


def _path(value: Any) -> Path:
    return Path(_str(value) if not isinstance(value, Path) else value)


def _describe_one(option: Any) -> str:
    if typing.get_origin(option) is typing.Literal:
        return f"one of {', '.join(str(choice) for choice in typing.get_args(option))}"
    if _is_enum(option):
        return f"one of {', '.join(str(member.value) for member in option)}"
    if is_list(option):
        kinds = [kind for kind in typing.get_args(option) if kind is not Ellipsis]
        return f"a list of {describe(kinds[0])}" if kinds else "a list"
    if is_mapping(option):
        return "a mapping (JSON)"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    return names.get(option, "none" if option is type(None) else "any value")

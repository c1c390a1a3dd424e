"""The command line of every script: options from dataclasses, a YAML recipe underneath, one-line errors.

Built on argparse alone, as `transformers.HfArgumentParser` takes seconds to import and knows no recipe under
the command line: `--help` and a mistyped option should answer at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import errno
import inspect
import os
import re
import sys
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from corpora.errors import InputError
from field_types import FALSE_WORDS, NULL_WORDS, TRUE_WORDS, convert, describe, is_flag, is_list, members

# Titles for the options of classes that are not ours and name no group themselves.
FOREIGN_TITLES = {"TrainingArguments": "Trainer (transformers)"}


class RecipeParser:
    """Reads dataclasses from an optional YAML recipe and the command line; the command line wins.

    Each field is an option `--name` (`--na-me` is the same). A switch takes `--name`, `--no_name` or
    `--name false`; a list takes several words; a mapping takes JSON. The field's `metadata` may hold `help`,
    `aliases` (further names of the option), `positional=True` (the value stands alone, without its name; a list is
    the words that begin the command line, or has its name) and argparse's `nargs` and `const`.
    A class attribute `_argument_group_name` titles the options that this very class declares.

    Args:
        dataclass_types: The dataclasses, in the order in which `parse` returns them. No two may share a
            field.
        description: First paragraph of `--help`.
        prog: Name of the program in `--help`; the script's file name by default.
    """

    def __init__(
        self,
        dataclass_types: type | Sequence[type],
        *,
        description: str | None = None,
        prog: str | None = None,
    ) -> None:
        self.dataclass_types = [dataclass_types] if isinstance(dataclass_types, type) else list(dataclass_types)
        self.hints: dict[str, Any] = {}
        self._parser = _Parser(
            prog=prog or Path(sys.argv[0]).name,
            description=description,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=110),
            usage="%(prog)s [RECIPE.yaml] {}[--option value ...]".format(
                "".join(f"{_placeholder(field, self._type_hints[field.name])} " for field in self._positional())
            ),
        )
        own, foreign = [], []
        for field, owner in self._fields():
            (foreign if owner.__name__ in FOREIGN_TITLES else own).append((field, owner))
        groups: dict[type, Any] = {}
        for field, owner in own + foreign:
            if field.name in self.hints:
                raise TypeError(f"two dataclasses share the option --{field.name}")
            if owner not in groups:
                title = owner.__dict__.get("_argument_group_name") or FOREIGN_TITLES.get(owner.__name__)
                groups[owner] = self._parser.add_argument_group(title or owner.__name__)
            self.hints[field.name] = self._type_hints[field.name]
            self._add_option(groups[owner], field)

    def parse(self, argv: Sequence[str] | None = None, *, partial: bool = False) -> tuple[Any, ...]:
        """Read the recipe, if the first argument ends in .yaml or .yml, then the command line.

        Args:
            argv: The arguments without the program's name; `sys.argv[1:]` by default.
            partial: Pass over options of other dataclasses. A script whose options take seconds to import can check
                the others first.

        Returns:
            One instance of each dataclass.

        Raises:
            InputError: A missing or broken recipe, an unknown or missing option, a value of the wrong type,
                or a ValueError from a dataclass's `__post_init__`.
            SystemExit: After `--help`.
        """
        words = list(sys.argv[1:] if argv is None else argv)
        values: dict[str, Any] = {}
        if words and not words[0].startswith("-") and words[0].lower().endswith((".yaml", ".yml")):
            values = self._read_recipe(Path(words.pop(0)), partial)
        given, unknown = self._parser.parse_known_args(list(self._normalise(self._with_option(words))))
        if unknown and not partial:
            raise InputError(self._unknown(unknown[0]))
        for name, value in vars(given).items():
            values[name] = self._convert(name, value, place=f"--{name}")
        missing = [
            f.name.upper() if f.metadata.get("positional") else f"--{f.name}"
            for f, _ in self._fields()
            if f.name not in values and not _has_default(f)
        ]
        if missing:
            raise InputError(f"missing {', '.join(missing)}", remedy="see --help")
        return tuple(self._build(cls, values) for cls in self.dataclass_types)

    def _positional(self) -> list[dataclasses.Field]:
        return [field for field, _ in self._fields() if field.metadata.get("positional")]

    def _fields(self) -> Iterator[tuple[dataclasses.Field, type]]:
        """Yield each field with the class that declares it last, which decides its group."""
        self._type_hints = {
            name: hint for cls in self.dataclass_types for name, hint in typing.get_type_hints(cls).items()
        }
        for cls in self.dataclass_types:
            owned = [
                (field, next(c for c in cls.__mro__ if field.name in inspect.get_annotations(c)))
                for field in dataclasses.fields(cls)
                if field.init
            ]
            # What a class declares itself comes before what it inherits, also in `--help`.
            yield from sorted(owned, key=lambda pair: cls.__mro__.index(pair[1]))

    def _add_option(self, group: argparse._ArgumentGroup, field: dataclasses.Field) -> None:
        hint = self.hints[field.name]
        extra = {key: field.metadata[key] for key in ("nargs", "const") if key in field.metadata}
        if "const" in extra:
            extra["const"] = str(extra["const"]).lower()
        elif any(map(is_list, members(hint))):
            extra.setdefault("nargs", "+")
        elif bool in members(hint) and not is_flag(hint):
            extra.update(nargs="?", const="true")
        # Texts of transformers are written for argparse, with %% for a percent sign; ours are plain.
        text = field.metadata.get("help", "").replace("%%", "%").replace("%", "%%")
        shown = "required" if not _has_default(field) else f"default: {_default(field)}".replace("%", "%%")
        words = f"{text} ({describe(hint).replace('%', '%%')}; {shown})".lstrip()
        if field.metadata.get("positional") and not _is_leading_list(field, hint):
            group.add_argument(field.name, nargs="?", metavar=field.name.upper(), help=words, default=argparse.SUPPRESS)
            return
        aliases = field.metadata.get("aliases", [])
        names = [f"--{field.name}", *([aliases] if isinstance(aliases, str) else aliases)]
        metavar = "true|false" if is_flag(hint) else field.name.rsplit("_", 1)[-1].upper()
        group.add_argument(*names, dest=field.name, metavar=metavar, help=words, **extra)
        if is_flag(hint):
            group.add_argument(
                f"--no_{field.name}",
                dest=field.name,
                action="store_const",
                const="false",
                help=argparse.SUPPRESS,
            )

    def _with_option(self, words: list[str]) -> list[str]:
        """Put the name of a positional list before the words that begin the command line.

        argparse would end such a list at the first option and call later words unexpected; a name says it plainly.
        """
        lists = [field.name for field in self._positional() if _is_leading_list(field, self.hints[field.name])]
        return [f"--{lists[0]}", *words] if lists and words and not words[0].startswith("-") else words

    def _normalise(self, words: list[str]) -> Iterator[str]:
        """Yield the words with underscores in option names and switches as `--name=true`.

        A switch decides here whether the next word is its value: `--overwrite MODEL` leaves MODEL alone.
        """
        flags = {f"--{name}" for name, hint in self.hints.items() if is_flag(hint)}
        position = 0
        while position < len(words):
            word = words[position]
            position += 1
            if word.startswith("--"):
                name, equals, value = word.partition("=")
                name = "--" + name[2:].replace("-", "_")
                if name in flags and not equals:
                    following = words[position].lower() if position < len(words) else ""
                    position += following in TRUE_WORDS | FALSE_WORDS | NULL_WORDS
                    following = following if following in TRUE_WORDS | FALSE_WORDS | NULL_WORDS else "true"
                    word = f"{name}={following}"
                else:
                    word = name + equals + value
            yield word

    def build(self, values: Mapping[str, Any], file: Path) -> tuple[Any, ...]:
        """Return the dataclasses that a mapping of option names to values gives, as `parse` does for a recipe.

        Args:
            values: As a recipe holds them.
            file: Where they come from, for messages.

        Raises:
            InputError: An unknown or missing option, or a value that is not of its type or not allowed.
        """
        converted = self._converted(values, file, partial=False)
        missing = [field.name for field, _ in self._fields() if field.name not in values and not _has_default(field)]
        if missing:
            raise InputError(f"missing {', '.join(missing)}", file=file)
        return tuple(self._build(cls, converted) for cls in self.dataclass_types)

    def _read_recipe(self, file: Path, partial: bool) -> dict[str, Any]:
        return self._converted(read_yaml(file), file, partial)

    def _converted(self, recipe: Mapping[str, Any], file: Path, partial: bool) -> dict[str, Any]:
        values = {}
        for name, value in recipe.items():
            if name not in self.hints:
                if partial:
                    continue
                raise InputError(f"unknown key '{name}'{_nearest(str(name), self.hints)}", file=file)
            values[name] = self._convert(name, value, place=f"key '{name}'", file=file)
        return values

    def _convert(self, name: str, value: Any, place: str, file: Path | None = None) -> Any:
        try:
            return convert(value, self.hints[name])
        except ValueError as error:
            raise InputError(f"{place} {error}", file=file) from error

    def _unknown(self, word: str) -> str:
        if not word.startswith("-"):
            return f"unexpected argument '{word}'"
        name = word.split("=")[0]
        return f"unknown option {name}{_nearest(name.lstrip('-'), self.hints, prefix='--')}"

    def _build(self, cls: type, values: dict[str, Any]) -> Any:
        try:
            return cls(**{f.name: values[f.name] for f in dataclasses.fields(cls) if f.init and f.name in values})
        except InputError:
            raise
        except ValueError as error:
            raise InputError(str(error)) from error


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message, remedy="see --help")


def _placeholder(field: dataclasses.Field, hint: Any) -> str:
    name = field.name.upper()
    return f"{name.removesuffix('S')} [{name.removesuffix('S')} ...]" if _is_leading_list(field, hint) else name


def _is_leading_list(field: dataclasses.Field, hint: Any) -> bool:
    return bool(field.metadata.get("positional")) and any(map(is_list, members(hint)))


def _has_default(field: dataclasses.Field) -> bool:
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _default(field: dataclasses.Field) -> str:
    value = field.default if field.default is not dataclasses.MISSING else field.default_factory()
    value = getattr(value, "value", value)
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)


def _nearest(name: str, names: Sequence[str] | dict, prefix: str = "") -> str:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.0)
    return f"; the nearest is '{prefix}{close[0]}'" if close else ""


class _RecipeLoader(yaml.SafeLoader):
    """YAML with the scalar types of version 1.2: `no` is a word, `2e-5` a number; a key stands once.

    Version 1.1, PyYAML's default, reads `eval_strategy: no` as False and `learning_rate: 2e-5` as text.
    """

    yaml_implicit_resolvers: typing.ClassVar[dict] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key '{key.value}' stands twice", key.start_mark)
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _add_scalar_types() -> None:
    number = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
    for tag, pattern, first in (
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
        ("int", r"[-+]?[0-9]+", list("-+0123456789")),
        ("float", number, list("-+.0123456789")),
        ("merge", r"<<", ["<"]),
    ):
        _RecipeLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), first)
    # PyYAML reads an integer with a leading zero as octal, as version 1.1 does.
    _RecipeLoader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))


_add_scalar_types()


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file that holds one mapping.

    Raises:
        InputError: The file is missing, a folder, unreadable, not YAML, not a mapping, or repeats a key.
    """
    if not file.exists():
        raise InputError("no such recipe", file=file)
    if file.is_dir():
        raise InputError("is a folder, not a recipe", file=file)
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), Loader=_RecipeLoader)  # a SafeLoader
    except UnicodeDecodeError as error:
        raise InputError("is not UTF-8 text", file=file) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        where = f"line {mark.line + 1}: " if mark else ""
        raise InputError(f"{where}not a valid recipe: {problem}", file=file) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=file) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError("is not a mapping of option names to values", file=file)
    return content


def run(main: Callable[[list[str]], int | None], argv: list[str] | None = None) -> NoReturn:
    """Call a script's `main` and end the process: a user's fault becomes one line on stderr and status 2.

    A user's fault is an InputError, also one that a library has wrapped, or an operating system's refusal of
    a named path or of space. Status 130 after Ctrl-C. Everything else is a bug and keeps its traceback.
    """
    name = Path(sys.argv[0]).name
    try:
        status = main(sys.argv[1:] if argv is None else argv) or 0
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{name}: interrupted; the same command starts again, or goes on where the script can", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # `script | head`: the reader has gone; keep Python's exit from complaining about the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        problem = _user_fault(error)
        if problem is None:
            raise
        print(f"{name}: error: {problem}", file=sys.stderr)
        sys.exit(2)
    sys.exit(status)


def _user_fault(error: BaseException) -> str | None:
    """Find the fault of the user in an exception or in what it was raised from."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for link in chain:
        if isinstance(link, InputError):
            return str(link)
    for link in chain:
        if isinstance(link, OSError) and link.filename is not None:
            return f"{os.fsdecode(link.filename)}: {link.strerror or 'cannot be used'}"
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return str(link.strerror)
    return None

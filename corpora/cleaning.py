"""Cleaning of one document at a time: named steps, each of which can be switched off and is counted.

No step rewrites words: a pattern either matches whole characters that are no part of a word, or a whole
de-identification placeholder.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Literal

from corpora.errors import InputError

STEPS = ("control_characters", "unicode_nfc", "deid_placeholders", "white_space")


@dataclass
class CleaningOptions:
    """The cleaning steps, in the order in which they run."""

    _argument_group_name = "Cleaning"

    control_characters: bool = field(
        default=True,
        metadata={"help": "remove control and invisible characters; page and line separators become line breaks"},
    )
    unicode_nfc: bool = field(default=True, metadata={"help": "compose accents (Unicode NFC)"})
    deid_placeholders: Literal["token", "remove", "keep"] = field(
        default="token",
        metadata={"help": "de-identification placeholders such as [**2101-3-4**]: put deid_token, remove or keep"},
    )
    deid_token: str = field(default="[DEID]", metadata={"help": "what stands for a placeholder"})
    deid_pattern: str = field(
        default=r"\[\*\*[^\[\]]*?\*\*\]",
        metadata={"help": "regular expression of a placeholder"},
    )
    white_space: Literal["lines", "collapse", "keep"] = field(
        default="lines",
        metadata={
            "help": "runs of white space become one space: keep line breaks (at most one blank line), collapse them "
            "too, or keep all as it is"
        },
    )
    min_words: int = field(default=1, metadata={"help": "drop documents of fewer words after cleaning"})
    min_characters: int = field(default=1, metadata={"help": "drop documents of fewer characters after cleaning"})

    def __post_init__(self) -> None:
        try:
            re.compile(self.deid_pattern)
        except re.error as error:
            raise InputError(f"--deid_pattern is no regular expression ({error})") from error
        if re.search(self.deid_pattern, ""):
            raise InputError("--deid_pattern matches the empty text", remedy="make it match whole placeholders")
        if not self.deid_token.strip() and self.deid_placeholders == "token":
            raise InputError("--deid_token is blank", remedy="use --deid_placeholders remove")


_CONTROL = {code: None for code in [*range(0x20), *range(0x7F, 0xA0)] if chr(code) not in "\t\n\r"}
_CONTROL |= dict.fromkeys((0x00AD, 0x200B, 0x2060, 0xFEFF))  # soft hyphen, zero-width space, joiner, BOM
_CONTROL |= dict.fromkeys((0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029), "\n")
_CONTROL_PATTERN = re.compile("[" + "".join(map(re.escape, map(chr, _CONTROL))) + "]")
# Only runs that change: a substitution for every single space takes most of the cleaning's time.
_SPACES = re.compile(r" [^\S\n]+|[^\S\n ][^\S\n]*")
_OTHER_SPACE = re.compile(r"[^\S\n ]")
_BLANK_LINES = re.compile(r"\n{3,}")


class Cleaner:
    """Cleans documents.

    Args:
        options: The steps.
    """

    def __init__(self, options: CleaningOptions | None = None) -> None:
        self.options = options or CleaningOptions()
        self._placeholder = re.compile(self.options.deid_pattern)

    def clean(self, text: str) -> tuple[str, list[str]]:
        """Return the cleaned document and the names of the steps that changed it."""
        options, changed = self.options, []
        for step, enabled, apply in (
            ("control_characters", options.control_characters, _remove_controls),
            ("unicode_nfc", options.unicode_nfc, lambda text: unicodedata.normalize("NFC", text)),
            ("deid_placeholders", options.deid_placeholders != "keep", self._replace_placeholders),
            ("white_space", options.white_space != "keep", self._normalise_white_space),
        ):
            if enabled:
                cleaned = apply(text)
                if cleaned != text:
                    changed.append(step)
                text = cleaned
        return text, changed

    def is_too_short(self, text: str, words: int) -> bool:
        """Tell whether a cleaned document of so many words is below the minimum length."""
        return words < self.options.min_words or len(text) < self.options.min_characters

    def _replace_placeholders(self, text: str) -> str:
        token = self.options.deid_token if self.options.deid_placeholders == "token" else ""

        def replacement(match: re.Match) -> str:
            # A space keeps the words on either side apart: "Mr.[**Name**]was" must not become "Mr.was", nor the
            # token grow onto a word.
            before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
            if not token:
                return " " if before.isalnum() or after.isalnum() else ""
            return (" " if before.isalnum() else "") + token + (" " if after.isalnum() else "")

        return self._placeholder.sub(replacement, text)

    def _normalise_white_space(self, text: str) -> str:
        if self.options.white_space == "collapse":
            return " ".join(text.split())
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        # Most notes have nothing to replace, and looking whether there is takes a tenth of the time.
        if "  " in text or _OTHER_SPACE.search(text):
            text = _SPACES.sub(" ", text)
        if " \n" in text or "\n " in text or text[:1] == " " or text[-1:] == " ":
            text = "\n".join(line.strip(" ") for line in text.split("\n"))
        if "\n\n\n" in text:
            text = _BLANK_LINES.sub("\n\n", text)
        return text.strip("\n")


def _remove_controls(text: str) -> str:
    return text.translate(_CONTROL) if _CONTROL_PATTERN.search(text) else text


def count_words(text: str) -> int:
    """Return the number of words: runs of anything but white space."""
    return len(text.split())

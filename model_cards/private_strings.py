"""Strings that tell of a machine or a person rather than of a model: paths, names, access tokens."""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

# Names of accounts that name nobody.
_GENERIC = frozenset("root user users admin ubuntu debian runner jovyan vscode nobody docker developer home".split())
_USUAL_ROOTS = frozenset(
    "home Users root mnt media data scratch tmp private srv nfs gpfs lustre Volumes storage projects export content "
    "kaggle dbfs workspace work".split()
)
_SYSTEM = frozenset("bin boot dev etc lib lib32 lib64 libx32 proc run sbin sys usr opt var".split())
_TOKEN = "an access token"
_PATH = "an absolute path"
_USER = "the name of a user"
_HOST = "the name of a machine"

REMEDIES = {
    _TOKEN: "delete it from the file, and revoke it: it may have been seen",
    _PATH: "delete it, or make it relative",
    _USER: "delete it",
    _HOST: "delete it",
}


def private_strings(texts: Iterable[str]) -> Counter[str]:
    """Count the private strings in texts, by kind.

    Looked for are access tokens (Hub, GitHub, AWS, private keys), absolute paths, and the names of this account and
    this machine unless they name nobody (`root`).
    """
    found: Counter[str] = Counter()
    for text in texts:
        for kind, pattern in _patterns():
            found[kind] += sum(1 for _ in pattern.finditer(text))
    return +found


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    tokens = (
        r"\bhf_[A-Za-z0-9]{16,}|\bapi_org_[A-Za-z0-9]{16,}|\bgh[pousr]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{30,}"
        r"|\bAKIA[0-9A-Z]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    )
    patterns = [(_TOKEN, re.compile(tokens)), (_PATH, _path_pattern())]
    names = {_account(), Path.home().name}
    # Not within a word, nor in the middle of a path or address, such as the organisation of a model.
    patterns += [
        (_USER, re.compile(rf"(?<![\w/.-]){re.escape(name)}(?![\w/.-])", re.IGNORECASE))
        for name in sorted(names)
        if len(name) > 3 and name.lower() not in _GENERIC
    ]
    host = socket.gethostname()
    if len(host) > 3 and re.search(r"[\d-]", host):
        patterns.append((_HOST, re.compile(rf"(?<!\w){re.escape(host)}(?!\w)", re.IGNORECASE)))
    return tuple(patterns)


def _path_pattern() -> re.Pattern[str]:
    home = Path.home()
    roots = _USUAL_ROOTS | {entry.name for entry in Path(home.anchor).iterdir() if entry.is_dir()}
    roots = {name for name in roots - _SYSTEM if len(name) > 2}
    either = "|".join(map(re.escape, sorted(roots)))
    parts = [
        rf"(?<![\w./])/(?:{either})/[\w.@+-]",
        r"file:///?\w",
        r"(?<![\w])[A-Za-z]:\\{1,2}\w",
        r"(?<![\w\\])\\\\{1,2}\w+\\{1,2}\w",
    ]
    if len(home.parts) > 1:
        parts.append(rf"(?<![\w./]){re.escape(str(home))}(?![\w-])")
    return re.compile("|".join(parts))


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name, as in some containers
        return os.environ.get("USER", "")

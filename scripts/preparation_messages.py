"""What a user is told of a prepared corpus."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpora.canaries import CANARY_FILE
from corpora.preparation_report import preparation_table


def print_preparation(report: Mapping[str, Any], output: str | Path, *, quiet: bool) -> None:
    """Print the report's tables on stdout and its warnings on stderr.

    Args:
        report: The content of `preparation.json`.
        output: Folder of the corpus.
        quiet: Warnings alone.
    """
    if not quiet:
        print(preparation_table(dict(report)))
        print(f"\nPrepared corpus: {output}")
    canaries = report["options"].get("canaries", {}).get("canaries", 0)
    if canaries:
        print(
            f"warning: {canaries:,} canaries were planted into the training split, for audits; {CANARY_FILE} lists "
            "them and must stay with the corpus",
            file=sys.stderr,
        )
    for warning in report["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)

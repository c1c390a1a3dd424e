"""The report of a preparation, `preparation.json`, and its tables.

Schema, version 1 (a new field leaves the version; a changed or removed one raises it):

- `schema_version`, `notespace_version`
- `fingerprint`: hash of inputs (names, sizes, times of change), options and schema; equal means the same job
- `sources`: names of the inputs, without folders
- `options`: columns, reading, cleaning, duplicates, splits; and the number of `excluded_admissions`
- `documents_read`, `documents_kept`: rows of the input, documents of the output
- `dropped`: reason to number of rows: empty text, too long, no patient id, entered in error, excluded admission, too
  short, exact duplicate, outside the sample. Together with `documents_kept` they make up `documents_read`
- `cleaned`: step to number of documents that it changed, exact duplicates included
- `near_duplicates`: number of `groups` of two and more, `documents` in them, documents in the `largest_group`
- `splits`: for each split `documents`, `patients` (null where the input has none), `words`, `categories` (category to
  number of documents; empty where the input has none)
- `categories`: for each note category rows `read`, documents `kept`, `share_kept`; `(none)` counts rows without one
- `labels`: for each label column documents `with` and `without` a label
- `warnings`: what a reader of the numbers should know, one line each

It holds counts and names, never words of a document.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from corpora.category_columns import shown_counts, shown_names
from corpora.chunks import NO_CATEGORY, read_counts
from corpora.cleaning import STEPS
from corpora.grouping import Decisions
from corpora.splitting import SPLITS

SCHEMA_VERSION = 1


def count_documents(files: Sequence[Path], decisions: Decisions) -> dict[str, Any]:
    """Count what was read, dropped, changed and kept: the report's fields from `documents_read` on.

    Args:
        files: The chunks.
        decisions: What became of their documents.
    """
    read, dropped, cleaned, categories = 0, Counter(), Counter(dict.fromkeys(STEPS, 0)), Counter()
    for file in files:
        counts = read_counts(file)
        read += counts.read
        dropped.update(counts.dropped)
        cleaned.update(counts.cleaned)
        categories.update(counts.categories)
    kept = decisions.split >= 0
    copies = int((~kept).sum()) - decisions.outside
    for reason, count in (("exact duplicate", copies), ("outside the sample", decisions.outside)):
        if count:
            dropped[reason] = count
    if set(categories) == {NO_CATEGORY}:
        categories = Counter()
    # Reports are shown to others: values of a column that holds text do not go into them.
    shown = shown_names({name: count for name, count in categories.items() if name != NO_CATEGORY})
    categories = shown_counts(categories, shown)
    splits = {
        name: _count_split(decisions, decisions.split == index, shown if categories else None)
        for index, name in enumerate(SPLITS)
        if (decisions.split == index).any()
    }
    kept_of = Counter()
    for part in splits.values():
        kept_of.update(part["categories"])
    sizes = np.bincount(decisions.group[kept])
    return {
        "documents_read": read,
        "documents_kept": int(kept.sum()),
        "dropped": dict(sorted(dropped.items())),
        "cleaned": dict(cleaned),
        "near_duplicates": {
            "groups": int((sizes > 1).sum()),
            "documents": int(sizes[sizes > 1].sum()),
            "largest_group": int(sizes.max()),
        },
        "splits": splits,
        "categories": {
            name: {"read": count, "kept": kept_of[name], "share_kept": round(kept_of[name] / count, 6)}
            for name, count in sorted(categories.items(), key=lambda item: (-item[1], item[0]))
        },
        "warnings": list(decisions.warnings),
    }


def _count_split(decisions: Decisions, chosen: np.ndarray, shown: Mapping[str, str] | None) -> dict[str, Any]:
    found = np.bincount(decisions.category[chosen], minlength=len(decisions.category_names)).tolist()
    counts = {} if shown is None else shown_counts(dict(zip(decisions.category_names, found, strict=True)), shown)
    return {
        "documents": int(chosen.sum()),
        "patients": len(np.unique(decisions.patient[chosen])) if len(decisions.patient) else None,
        "words": int(decisions.words[chosen].sum(dtype=np.int64)),
        "categories": {category: count for category, count in counts.items() if count},
    }


def preparation_table(report: dict[str, Any]) -> str:
    """Return tables of splits, note categories, dropped rows and cleaning steps.

    Args:
        report: The content of `preparation.json`.
    """
    kept = report["documents_kept"]
    rows = [
        [
            name,
            f"{part['documents']:,}",
            f"{part['documents'] / kept:.1%}",
            "-" if part["patients"] is None else f"{part['patients']:,}",
            f"{part['words']:,}",
        ]
        for name, part in report["splits"].items()
    ]
    parts = report["splits"].values()
    patients = [part["patients"] for part in parts]
    total = "-" if None in patients else f"{sum(patients):,}"
    rows.append(["all", f"{kept:,}", "100.0%", total, f"{sum(part['words'] for part in parts):,}"])
    blocks = [_table(["split", "documents", "share", "patients", "words"], rows)]
    if report["categories"]:
        names = list(report["splits"])
        rows = [
            [
                category,
                f"{counts['read']:,}",
                f"{counts['share_kept']:.1%}",
                *(_share(report["splits"][name]["categories"].get(category, 0), counts["kept"]) for name in names),
            ]
            for category, counts in report["categories"].items()
        ]
        blocks.append(_table(["note category", "read", "kept", *names], rows))
    if report.get("labels"):
        rows = [[name, f"{count['with']:,}", f"{count['without']:,}"] for name, count in report["labels"].items()]
        blocks.append(_table(["label", "with", "without"], rows))
    rows = [["read", f"{report['documents_read']:,}", "100.0%"]]
    rows += [
        [f"dropped: {reason}", f"{count:,}", _share(count, report["documents_read"])]
        for reason, count in report["dropped"].items()
    ]
    rows.append(["kept", f"{kept:,}", _share(kept, report["documents_read"])])
    rows += [
        [f"changed by {step}", f"{count:,}", _share(count, report["documents_read"])]
        for step, count in report["cleaned"].items()
    ]
    near = report["near_duplicates"]
    rows.append(
        [
            f"in {near['groups']:,} groups of near-duplicates (largest {near['largest_group']:,})",
            f"{near['documents']:,}",
            _share(near["documents"], report["documents_read"]),
        ]
    )
    blocks.append(_table(["documents", "count", "share"], rows))
    return "\n\n".join(blocks)


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "-"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])

"""Tables of claims: a line for each verdict, and a line for each comparison behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reporting.claims import FAILS, HOLDS, ClaimResult
from reporting.printed_table import PrintedTable
from reporting.tables import MISSING, difference_text


def claims_table(claims: Sequence[ClaimResult], caption: str, name: str = "claims") -> PrintedTable:
    """Return each claim with its verdict, and how many comparisons it rests on.

    Args:
        claims: In their order.
        caption: Of the table.
        name: Of the table, its own among those of one report.
    """
    lines = [["No.", "Claim", "Stated by", "Verdict", "For / against / undecided", "Differences"]]
    for number, claim in _numbered(claims).items():
        counts = " / ".join(map(str, claim.counts)) if claim.findings else MISSING
        lines.append([number, claim.claim, claim.source, f"**{_verdict(claim)}**", counts, _range(claim)])
    note = (
        "Holds: at least one 95 % interval lies on the claimed side of zero and none on the other; does not hold: the "
        "other way round; depends: some on each; not shown: all hold zero. One interval among many may miss zero by "
        "chance. Differences: least and greatest, positive on the claimed side."
    )
    return PrintedTable(name, caption, lines, note)


def findings_table(claims: Sequence[ClaimResult], name: str = "findings") -> PrintedTable:
    """Return the comparisons behind each verdict, those of a claim under its number; see `claims_table`."""
    lines = [["No.", "Data", "Compared", "Measure", "Difference [95 % interval]", "Speaks"]]
    for number, claim in _numbered(claims).items():
        for found in claim.findings:
            speaks = {1: "for", -1: "against", 0: "undecided"}[found.sign]
            difference = difference_text(found.difference, found.interval)
            lines.append([number, found.task, found.what, found.measure, difference, speaks])
    note = "Positive on the claimed side; intervals are not corrected for their number."
    return PrintedTable(name, "What the verdicts rest on", lines, note)


def _numbered(claims: Sequence[ClaimResult]) -> Mapping[str, ClaimResult]:
    """Return the claims by number: that of the study, and that within it."""
    numbered: dict[str, ClaimResult] = {}
    for claim in claims:
        within = sum(known.study == claim.study for known in numbered.values())
        numbered[f"{claim.study}.{within + 1}"] = claim
    return numbered


def _verdict(claim: ClaimResult) -> str:
    """Return the verdict, with the share of comparisons that speak where the others are undecided."""
    speaking, total = max(claim.counts[:2]), len(claim.findings)
    some = claim.verdict in (HOLDS, FAILS) and speaking < total
    return f"{claim.verdict} in {speaking} of {total}" if some else claim.verdict


def _range(claim: ClaimResult) -> str:
    if not claim.findings:
        return MISSING
    differences = [found.difference for found in claim.findings]
    if len(differences) == 1:
        return difference_text(differences[0], claim.findings[0].interval)
    return f"{min(differences):+.3f} to {max(differences):+.3f}"

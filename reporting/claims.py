"""Claims of published studies, the findings that speak for or against them, and the verdict that follows.

A claim is tested wherever results of ours allow it, each test with a 95 % interval. It `holds` where the interval lies
on the claimed side in at least one test, and on the other side in none; `does not hold` the other way round; `depends`
where tests contradict each other; is `not shown` where every interval holds zero; and `not tested` where no result
speaks of it. Intervals are not corrected for their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from metrics.intervals import PairedDifference

HOLDS, FAILS, DEPENDS, NOT_SHOWN, UNTESTED = "holds", "does not hold", "depends", "not shown", "not tested"
STUDIES = {1: "Taylor et al. 2024", 2: "Belkadi et al. 2022", 3: "Gao et al. 2024"}
# What a claim is tested for although its study does not state it.
OURS = "this project"


@dataclass(frozen=True)
class Finding:
    """The answer of one test to a claim.

    Args:
        task: Data, and what was predicted.
        what: What was compared.
        measure: Score that differs.
        difference: On the claimed side when positive.
        interval: 95 %.
    """

    task: str
    what: str
    measure: str
    difference: float
    interval: tuple[float, float]

    @property
    def sign(self) -> int:
        """1 where the interval lies above zero, -1 below, else 0."""
        return (self.interval[0] > 0) - (self.interval[1] < 0)


@dataclass(frozen=True)
class ClaimResult:
    """A claim with what was found.

    Args:
        study: Number of the study, a key of `STUDIES`.
        claim: In words.
        findings: One a test.
        stated_by: Who states it; the study by default.
    """

    study: int
    claim: str
    findings: Sequence[Finding]
    stated_by: str = ""

    @property
    def source(self) -> str:
        """Who states it."""
        return self.stated_by or STUDIES[self.study]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Findings for it, against it and undecided."""
        signs = [finding.sign for finding in self.findings]
        return signs.count(1), signs.count(-1), signs.count(0)

    @property
    def verdict(self) -> str:
        """Whether it holds."""
        if not self.findings:
            return UNTESTED
        for_it, against, _ = self.counts
        if for_it and against:
            return DEPENDS
        return HOLDS if for_it else FAILS if against else NOT_SHOWN

    def values(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "study": STUDIES[self.study],
            "stated_by": self.source,
            "claim": self.claim,
            "verdict": self.verdict,
            "findings": [{**vars(one), "interval": list(one.interval)} for one in self.findings],
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> ClaimResult:
        """Return the claim whose `values` these are; its verdict is worked out anew.

        Raises:
            KeyError, TypeError, ValueError: They are not of a claim.
        """
        study = {name: number for number, name in STUDIES.items()}[values["study"]]
        findings = []
        for one in values["findings"]:
            low, high = map(float, one["interval"])
            words = [str(one[name]) for name in ("task", "what", "measure")]
            findings.append(Finding(*words, float(one["difference"]), (low, high)))
        stated_by = "" if values["stated_by"] == values["study"] else str(values["stated_by"])
        return cls(study, str(values["claim"]), findings, stated_by)


class Roles:
    """What the models of some results stand for: `base`, `mlm`, `declutr`, ...

    Args:
        by_name: Role of each model.
    """

    def __init__(self, by_name: Mapping[str, str]) -> None:
        self.by_name = by_name

    def named(self, role: str) -> list[str]:
        """Return the models of a role."""
        return [name for name, found in self.by_name.items() if found == role]


def finding(task: str, what: str, measure: str, found: PairedDifference) -> Finding:
    """Make a finding of a paired difference."""
    return Finding(task, what, measure, found.difference, found.interval)


def join_claims(results: Iterable[Sequence[ClaimResult]]) -> list[ClaimResult]:
    """Bring together what several sources found of the same claims.

    Returns:
        Each claim once, by study, then in its first order.
    """
    joined: dict[tuple[int, str], ClaimResult] = {}
    for one in (claim for claims in results for claim in claims):
        known = joined.get((one.study, one.claim))
        findings = [*(known.findings if known else ()), *one.findings]
        joined[one.study, one.claim] = ClaimResult(one.study, one.claim, findings, one.stated_by)
    return sorted(joined.values(), key=lambda claim: claim.study)

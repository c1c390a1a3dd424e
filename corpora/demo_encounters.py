"""Generated encounters of two hospitals that write the same findings in partly different codes.

Everything is drawn from one naive-Bayes network a hospital, which is written beside the tables: what is known of an
encounter after 24 hours depends on its outcome alone, so the best possible scores are known.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from corpora.bayes_network import BayesNetwork, network_xml
from corpora.errors import InputError

SITES = ("north", "south")
PREDICTION_HOURS = 24
OUTCOME = "outcome"
_DAY = 1440


@dataclass(frozen=True)
class DemoEncounterOptions:
    """What to generate; the fields explain themselves in their ``help``."""

    _argument_group_name = "Demo encounters"

    encounters: int = field(default=1500, metadata={"help": "encounters of each hospital; one patient in five has two"})
    seed: int = field(default=0, metadata={"help": "seed of all draws"})
    prevalence: float = field(default=0.25, metadata={"help": "share of encounters with the outcome"})
    shared_codes: float = field(
        default=0.5, metadata={"help": "share of findings that have one code at both hospitals"}
    )
    shift: float = field(
        default=0.5, metadata={"help": "how far the findings' log-odds differ between the hospitals, as a deviation"}
    )
    synonyms: bool = field(
        default=False, metadata={"help": "the south writes the other name of each finding, not the same name"}
    )

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            InputError: When one is out of range.
        """
        if self.encounters < 20:
            raise InputError(f"encounters is {self.encounters}", remedy="give at least 20")
        if not 0 < self.prevalence < 1:
            raise InputError(f"prevalence is {self.prevalence}", remedy="give a share above 0 and below 1")
        if not 0 <= self.shared_codes <= 1:
            raise InputError(f"shared_codes is {self.shared_codes}", remedy="give a share from 0 to 1")
        if self.shift < 0:
            raise InputError(f"shift is {self.shift}", remedy="give 0 or more")


@dataclass(frozen=True)
class DemoSite:
    """One hospital's codes and names, in the order of the findings of its network."""

    network: BayesNetwork
    codes: tuple[str, ...]
    names: tuple[str, ...]
    synonyms: tuple[str, ...]


def demo_sites(options: DemoEncounterOptions) -> dict[str, DemoSite]:
    """Return the hospitals with the networks that encounters are drawn from.

    A finding that raises the risk has log-odds 0.6 to 1.6 higher with the outcome than without, one that lowers it as
    much lower, a neutral one equal.
    """
    groups = json.loads(Path(__file__).with_name("demo_concepts.json").read_text(encoding="utf-8"))
    signs = [sign for group, sign in (("raises", 1), ("lowers", -1), ("neutral", 0)) for _ in groups[group]]
    pairs = [pair for group in ("raises", "lowers", "neutral") for pair in groups[group]]
    generator = np.random.default_rng([options.seed, 0])
    effects = np.array(signs) * generator.uniform(0.6, 1.6, len(pairs))
    common = generator.normal(-2.0, 0.7, len(pairs))
    shared = np.zeros(len(pairs), dtype=bool)
    shared[generator.permutation(len(pairs))[: round(options.shared_codes * len(pairs))]] = True
    sites = {}
    for number, site in enumerate(SITES):
        local = generator.permutation(len(pairs))
        codes = tuple(f"c{i:03d}" if shared[i] else f"{site[0]}{local[i]:03d}" for i in range(len(pairs)))
        base = common + (generator.normal(0, options.shift, len(pairs)) if number else 0)
        odds = np.exp(np.stack([base, base + effects]))  # (outcomes, findings)
        probabilities = odds / (1 + odds)
        findings = {
            code: (("absent", "present"), np.stack([1 - probabilities[:, i], probabilities[:, i]], 1))
            for i, code in enumerate(codes)
        }
        prior = np.array([1 - options.prevalence, options.prevalence])
        other = number and options.synonyms
        names, synonyms = (tuple(pair[column] for pair in pairs) for column in ((1, 0) if other else (0, 1)))
        sites[site] = DemoSite(BayesNetwork(OUTCOME, ("0", "1"), prior, findings), codes, names, synonyms)
    return sites


def write_demo_encounters(folder: Path, options: DemoEncounterOptions) -> list[Path]:
    """Write the tables of both hospitals, to be read with the generic preset at 24 hours.

    Of each hospital: `SITE_encounters.csv`, `SITE_events.csv`, the network `SITE.bif` (findings that are not recorded
    are absent) and `SITE_synonyms.txt` (`CODE: other name`). Some events lie after the 24 hours and give the outcome
    away: the code `end` occurs in most encounters with the outcome and in no other.

    Args:
        folder: To write to; made where it is missing.
        options: What to generate.

    Returns:
        The files; each appears whole, in place of an earlier one.

    Raises:
        InputError: The folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is a file, not a folder", file=folder, remedy="name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []

    def write(name: str, content: str) -> None:
        files.append(folder / name)
        partial = folder / f"{name}.partial"
        partial.write_text(content, encoding="utf-8")
        partial.replace(files[-1])

    for number, (site, made) in enumerate(demo_sites(options).items()):
        encounters, events = _draw(site, made, np.random.default_rng([options.seed, 1, number]), options)
        write(f"{site}_encounters.csv", _csv(encounters))
        write(f"{site}_events.csv", _csv(events))
        write(f"{site}.bif", network_xml(made.network, site))
        pairs = zip(made.codes, made.synonyms, strict=True)
        write(f"{site}_synonyms.txt", "".join(f"{code}: {other}\n" for code, other in pairs))
    return files


def _csv(rows: list[tuple]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _draw(
    site: str, made: DemoSite, generator: np.random.Generator, options: DemoEncounterOptions
) -> tuple[list[tuple], list[tuple]]:
    encounters: list[tuple] = [("encounter_id", "patient_id", OUTCOME, "end")]
    events: list[tuple] = [("encounter_id", "code", "description", "time")]
    present = np.stack([table[:, 1] for _, table in made.network.findings.values()])  # (findings, outcomes)
    patient = 0
    for number in range(options.encounters):
        patient += number == 0 or generator.random() > 1 / 6  # one encounter in six is a second one: of five patients
        outcome = int(generator.random() < options.prevalence)
        end = int(_DAY * (1 + generator.exponential(3)))
        encounter = f"{site}-{number:05d}"
        encounters.append((encounter, f"{site}-p{patient:05d}", outcome, end))
        for finding in np.flatnonzero(generator.random(len(present)) < present[:, outcome]):
            for _ in range(1 + (generator.random() < 0.2)):  # some are recorded twice
                time = int(generator.integers(-_DAY // 2, _DAY))
                events.append((encounter, made.codes[finding], made.names[finding], time))
        if outcome and end > _DAY and generator.random() < 0.8:
            events.append((encounter, "end", "comfort measures only", int(generator.integers(_DAY + 1, end + 2))))
    return encounters, events

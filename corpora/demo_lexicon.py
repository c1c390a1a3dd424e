"""Vocabulary of the demo corpus: conditions with their findings, drugs and the words two hospitals use for them.

Read from ``demo_lexicon.json``, ``demo_drugs.json`` and ``demo_grammar.json``, which explain their own notation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HOSPITALS = ("north", "south")
FINDING_KINDS = ("symptom", "sign", "test", "imaging", "procedure", "care", "plan")
"""What a condition brings along; each kind is a slot of the grammar."""
CODED_KINDS = {
    "condition": "DX", "symptom": "SX", "sign": "SG", "test": "LB", "imaging": "IM",
    "procedure": "PR", "drug": "RX", "social": "SO",
}  # fmt: skip
"""Kinds that are recorded as structured concepts, with the prefix of their codes."""

Forms = dict[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Concept:
    """One clinical concept.

    Attributes:
        kind: One of ``FINDING_KINDS``, or condition, drug, social, modality.
        name: The first form at hospital north; names the concept within its kind.
        forms: For each hospital the words it uses, the preferred one first.
        number: Running number within the kind.
        risk: What the concept adds to the probability of the outcome.
    """

    kind: str
    name: str
    forms: Forms
    number: int
    risk: float = 0.0

    def coded(self, hospital: str, state: str) -> dict[str, str]:
        """Give the record of the concept: code, name, state.

        Where both hospitals prefer the same words they share the code; otherwise each has a local code and name,
        and the local numbers do not match.
        """
        return {"code": _code(self, hospital), "name": self.forms[hospital][0], "state": state}


@cache
def _code(concept: Concept, hospital: str) -> str:
    prefix = CODED_KINDS[concept.kind]
    if concept.forms["north"][0] == concept.forms["south"][0]:
        return f"{prefix}{concept.number:03d}"
    # 389 has no factor in common with 1000: a permutation, so that equal numbers mean nothing.
    local = concept.number if hospital == "north" else (concept.number * 389 + 71) % 1000
    return f"{hospital[0].upper()}-{prefix}{local:03d}"


@dataclass(frozen=True, eq=False)
class Drug:
    """One drug and how it is ordered; every field but ``concept`` and ``frequencies`` gives the words by hospital."""

    concept: Concept
    strengths: Forms
    product_forms: Forms
    routes: tuple[Forms, ...]
    dosages: Forms
    frequencies: tuple[Forms, ...]


@dataclass(frozen=True, eq=False)
class Condition:
    """A latent condition: its name, its specialty and the findings and drugs seen with it."""

    concept: Concept
    specialty: str
    findings: dict[str, tuple[Concept, ...]]
    drugs: tuple[Drug, ...]
    modalities: tuple[Concept, ...]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """The whole vocabulary.

    Attributes:
        conditions: All conditions by specialty.
        common: For each specialty and kind, findings seen with any of its conditions.
        common_drugs: The same for drugs.
        shared: Findings by kind (also social, modality) that any patient may have.
        shared_drugs: Drugs that any patient may take.
        symptoms: Every symptom there is, for negations.
        images: Every imaging finding there is, for negations.
        durations: Words for how long a drug is given.
        adverse_effects: Words for adverse drug effects.
    """

    conditions: dict[str, tuple[Condition, ...]]
    common: dict[str, dict[str, tuple[Concept, ...]]]
    common_drugs: dict[str, tuple[Drug, ...]]
    shared: dict[str, tuple[Concept, ...]]
    shared_drugs: tuple[Drug, ...]
    symptoms: tuple[Concept, ...]
    images: tuple[Concept, ...]
    durations: Forms
    adverse_effects: tuple[Forms, ...]


def parse_forms(text: str) -> Forms:
    """Parse ``a|b // c``: hospital north says a or b, south says c; without ``//`` both say all of it."""
    sides = [tuple(form.strip() for form in side.split("|")) for side in text.split("//")]
    return {"north": sides[0], "south": sides[-1]}


def load_json(name: str) -> dict:
    """Read a data file that lies beside this module."""
    return json.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


def _split(text: str) -> Iterator[str]:
    return (part.strip() for part in text.split(";"))


class _Registry:
    """Makes each concept once, whatever number of conditions name it."""

    def __init__(self, definitions: list[tuple[str, str]]) -> None:
        self.concepts: dict[tuple[str, str], Concept] = {}
        forms: dict[tuple[str, str], Forms] = {}
        for kind, text in definitions:
            parsed = parse_forms(text.split("=")[0])
            key = kind, parsed["north"][0]
            if key not in forms or sum(map(len, parsed.values())) > sum(map(len, forms[key].values())):
                forms[key] = parsed
        numbers: dict[str, int] = {}
        risks = {(kind, text.split("=")[0].split("|")[0]): text for kind, text in definitions if "=" in text}
        for (kind, name), words in forms.items():
            numbers[kind] = numbers.get(kind, 0) + 1
            risk = float(risks[kind, name].split("=")[1]) if (kind, name) in risks else 0.0
            self.concepts[kind, name] = Concept(kind, name, words, numbers[kind], risk)

    def get(self, kind: str, text: str) -> Concept:
        return self.concepts[kind, parse_forms(text.split("=")[0])["north"][0]]

    def many(self, kind: str, text: str) -> tuple[Concept, ...]:
        return tuple(self.get(kind, part) for part in _split(text))


def _plural(kind: str) -> str:
    """Name of a kind's key in the data file."""
    return {"care": "care", "plan": "plan", "imaging": "imaging", "social": "social"}.get(
        kind, "modalities" if kind == "modality" else f"{kind}s"
    )


def _definitions(data: dict) -> list[tuple[str, str]]:
    """List every concept text of the data file with its kind, in file order."""
    found = []
    blocks = [block for one in data["specialties"].values() for block in (one, *one["conditions"])]
    for block in (*blocks, data["shared"]):
        for kind in (*FINDING_KINDS, "social", "modality"):
            found += [(kind, text) for text in _split(block[_plural(kind)])] if _plural(kind) in block else []
        if "name" in block:
            found.append(("condition", f"{block['name']}={block['severity']}"))
            found += [("modality", text) for text in block["modality"].split("|")]
    return found


def _load_drugs(words: dict) -> dict[str, Drug]:
    drugs = {}
    for number, line in enumerate(load_json("demo_drugs.json")["drugs"], 1):
        names, strengths, product, routes, frequencies = _split(line)
        forms = parse_forms(names)
        first_product = parse_forms(product)["north"][0]
        drugs[forms["north"][0]] = Drug(
            Concept("drug", forms["north"][0], forms, number),
            parse_forms(strengths),
            parse_forms(product),
            tuple(parse_forms(words["routes"][route]) for route in routes.split("|")),
            parse_forms(words["dosages"].get(first_product, words["dosages"]["other"])),
            tuple(parse_forms(words["frequencies"][frequency]) for frequency in frequencies.split("|")),
        )
    return drugs


@cache
def load_lexicon() -> Lexicon:
    """Read the vocabulary; the result is shared and must not be changed."""
    data, words = load_json("demo_lexicon.json"), load_json("demo_grammar.json")["words"]
    drugs, registry = _load_drugs(words), _Registry(_definitions(data))

    def findings(block: dict) -> dict[str, tuple[Concept, ...]]:
        return {kind: registry.many(kind, block[_plural(kind)]) for kind in FINDING_KINDS}

    def drugs_of(block: dict) -> tuple[Drug, ...]:
        return tuple(drugs[name] for name in _split(block["drugs"]))

    specialties, shared = data["specialties"], data["shared"]
    conditions = {
        specialty: tuple(
            Condition(
                registry.get("condition", one["name"]),
                specialty,
                findings(one),
                drugs_of(one),
                tuple(registry.get("modality", text) for text in one["modality"].split("|")),
            )
            for one in block["conditions"]
        )
        for specialty, block in specialties.items()
    }
    every = registry.concepts.values()
    return Lexicon(
        conditions,
        {specialty: findings(block) for specialty, block in specialties.items()},
        {specialty: drugs_of(block) for specialty, block in specialties.items()},
        findings(shared) | {kind: registry.many(kind, shared[_plural(kind)]) for kind in ("social", "modality")},
        drugs_of(shared),
        tuple(concept for concept in every if concept.kind == "symptom"),
        tuple(concept for concept in every if concept.kind == "imaging"),
        parse_forms(words["durations"]),
        tuple(parse_forms(text) for text in _split(shared["adverse_effects"])),
    )

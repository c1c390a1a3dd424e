"""Patients of the demo corpus: latent conditions, encounters, and what each note may mention."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from corpora.demo_grammar import NoteWriter, load_grammar
from corpora.demo_lexicon import CODED_KINDS, FINDING_KINDS, Concept, Condition, Drug, Lexicon
from corpora.demo_options import CATEGORIES, SPECIALTIES, DemoOptions

_SUMMARISED = 0.3  # share of encounters that end in a discharge summary


class Patient:
    """One patient: what stays the same over encounters."""

    def __init__(self, number: int, options: DemoOptions, lexicon: Lexicon, rng: random.Random) -> None:
        self.options, self.lexicon, self.rng, self.random = options, lexicon, rng, rng.random
        self.patient_id = f"P{number:06d}"
        self.hospital = self.pick(options.hospitals)
        self.condition = self.pick(lexicon.conditions[self.weighted(SPECIALTIES)])
        pregnant = self.condition.specialty == "obstetrics"
        self.female = pregnant or self.random() < 0.5
        self.age = self.between(19, 43) if pregnant else self.between(22, 91)
        others = [
            condition
            for specialty, conditions in lexicon.conditions.items()
            for condition in conditions
            if specialty != "obstetrics" and condition is not self.condition
        ]
        self.comorbidities = [others.pop(int(self.random() * len(others))) for _ in range(self.between(1, 3))]
        self.relatives = [self.pick(others) for _ in range(2)]
        first = int(self.random() * len(lexicon.shared["social"]))
        second = first + 1 + int(self.random() * (len(lexicon.shared["social"]) - 1))
        self.social = [lexicon.shared["social"][index % len(lexicon.shared["social"])] for index in (first, second)]
        self.year = 2101 + int(self.random() * 90)

    def pick(self, options: Any) -> Any:
        """Draw one of ``options``."""
        return options[int(self.random() * len(options))]

    def between(self, low: int, high: int) -> int:
        """Draw a whole number, both bounds included."""
        return low + int(self.random() * (high - low + 1))

    def weighted(self, shares: dict[str, float]) -> str:
        """Draw a key of ``shares`` in proportion to its value."""
        point = self.random() * sum(shares.values())
        edge = 0.0
        for name, share in shares.items():
            edge += share
            if point < edge:
                return name
        return next(iter(shares))  # only when rounding leaves the sum of the edges below the point

    def notes(self) -> Iterator[dict[str, Any]]:
        """Yield the notes of all encounters."""
        for encounter in range(1, (1, 1, 1, 1, 2, 2, 3)[int(self.random() * 7)] + 1):
            condition, comorbidities = self.condition, list(self.comorbidities)
            if encounter > 1 and self.random() < 0.25:  # comes back with another of the conditions
                condition = comorbidities.pop(0)
                comorbidities.append(self.condition)
            yield from self.encounter(f"{self.patient_id}-E{encounter}", Case(self, condition, comorbidities))
            self.age += self.random() < 0.5

    def encounter(self, encounter_id: str, case: Case) -> Iterator[dict[str, Any]]:
        """Yield the notes of one encounter."""
        categories = [self.weighted(CATEGORIES) for _ in range(self.between(1, 3))]
        if self.random() < _SUMMARISED:
            categories.append("Discharge summary")
        record = {
            "patient_id": self.patient_id,
            "encounter_id": encounter_id,
            "hospital": self.hospital,
            "specialty": case.condition.specialty,
            "concepts": case.concepts(),
            "outcome": int(self.random() < case.risk()),
        }
        number = 0
        for category in categories:
            text, entities = self.note(category, case)
            number += 1
            document_id = f"{encounter_id}-N{number:02d}"
            yield _row(record, document_id, category, text, entities, None)
            kind = self.random()
            if kind < self.options.exact_copies + self.options.near_copies:
                if kind >= self.options.exact_copies:
                    text, entities = self.with_addendum(text, entities, case)
                number += 1
                yield _row(record, f"{encounter_id}-N{number:02d}", category, text, entities, document_id)

    def note(self, category: str, case: Case) -> tuple[str, list[dict[str, Any]]]:
        """Write one note: text and entities."""
        case.start_note(self)
        writer = NoteWriter(case, self.rng, self.options.length_scale)
        text = writer.write(load_grammar(self.hospital), category)
        if category == "Incident report":
            text = text.upper()
        elif self.hospital == "north" and category != "ECG" and self.random() < 0.7:
            text = _wrap(text, writer.entities)
        return text, writer.entities

    def with_addendum(self, text: str, entities: list[dict[str, Any]], case: Case) -> tuple[str, list[dict[str, Any]]]:
        """Repeat a note as a near-duplicate: signed again below or headed as a revision."""
        person = case.fact("person", self.random)
        if self.random() < 0.5:
            return f"{text}\nAddendum: seen and agreed, {person}.", entities
        head = f"Revised by {person}\n"
        moved = [{**one, "start": one["start"] + len(head), "end": one["end"] + len(head)} for one in entities]
        return head + text, moved


class Case:
    """What is true of one encounter; the source of every concept and fact that its notes mention."""

    def __init__(self, patient: Patient, condition: Condition, comorbidities: list[Condition]) -> None:
        self.lexicon, self.hospital, self.random = patient.lexicon, patient.hospital, patient.random
        self.patient, self.condition, self.comorbidities = patient, condition, comorbidities
        self.note_focus = patient.options.focus
        specialty, shared = condition.specialty, self.lexicon.shared
        self.own: dict[str, list[Concept]] = {}
        self.other: dict[str, list[Concept]] = {}
        for kind in FINDING_KINDS:
            own = self.some(condition.findings[kind], 0.75) + self.some(self.lexicon.common[specialty][kind], 0.4)
            other = [one for each in comorbidities for one in self.some(each.findings[kind], 0.4)]
            self.own[kind] = own or [condition.findings[kind][0]]
            self.other[kind] = other + self.some(shared[kind], 0.45) or [shared[kind][0]]
        self.own_drugs = self.some(condition.drugs, 0.75) + self.some(self.lexicon.common_drugs[specialty], 0.4)
        self.other_drugs = self.some(self.lexicon.shared_drugs, 0.3) or [self.lexicon.shared_drugs[0]]
        self.drug_reasons = dict.fromkeys(self.own_drugs, (condition.concept, *self.own["symptom"]))
        for each in comorbidities:
            for one in self.some(each.drugs, 0.4):
                self.other_drugs.append(one)
                self.drug_reasons.setdefault(one, (each.concept, *each.findings["symptom"]))
        present = {*self.own["symptom"], *self.other["symptom"]}
        self.absent: list[Concept] = []
        while len(self.absent) < 8:
            pool = condition.findings["symptom"] if self.random() < 0.2 else self.lexicon.symptoms
            one = patient.pick(pool)
            if one not in present or self.random() < 0.02:  # the way out when a condition shows all its symptoms
                self.absent.append(one)

    def some(self, pool: tuple, share: float) -> list:
        """Keep each item with probability ``share``."""
        return [one for one in pool if self.random() < share]

    def start_note(self, patient: Patient) -> None:
        """Draw how much the coming note keeps to the encounter's own condition."""
        self.note_focus = min(1.0, patient.options.focus * (0.6 + 0.8 * self.random()))

    def draw(self, kind: str, used: set[Concept], pick: Callable[[Any], Any]) -> Concept:
        """Draw a concept for a slot of the grammar, one not in ``used`` if a few tries find one."""
        for _ in range(6):
            if kind == "condition":
                return self.condition.concept
            if kind == "comorbidity":
                concept = pick(self.comorbidities).concept
            elif kind == "family":
                concept = pick(self.patient.relatives).concept
            elif kind == "absent":
                concept = pick(self.absent)
            elif kind == "imaging_absent":
                concept = pick(self.lexicon.images)
            elif kind == "social":
                concept = pick(self.patient.social)
            elif kind == "modality":
                own = self.random() < self.note_focus
                concept = pick(self.condition.modalities if own else self.lexicon.shared["modality"])
            else:
                concept = pick((self.own if self.random() < self.note_focus else self.other)[kind])
            if concept not in used:
                break
        return concept

    def draw_drug(self, used: set[Concept], pick: Callable[[Any], Any]) -> tuple[Drug, tuple[Concept, ...]]:
        """Draw a drug and what it may be given for."""
        for attempt in range(10):
            own = self.own_drugs and self.random() < self.note_focus
            drug = pick(self.own_drugs if own else self.other_drugs if attempt < 6 else self.lexicon.shared_drugs)
            if drug.concept not in used:
                break
        return drug, self.drug_reasons.get(drug) or self.lexicon.shared["symptom"]

    def fact(self, name: str, rnd: Callable[[], float]) -> str:
        """Give a fact of the patient, or a placeholder as de-identification leaves it."""
        female = self.patient.female
        if name == "date":
            month, day = 1 + int(rnd() * 12), 1 + int(rnd() * 28)
            return f"[**{self.patient.year}-{month}-{day}**]" if rnd() < 0.7 else f"[**{month}-{day}**]"
        if name == "person":
            kind = ("Last Name (NamePattern1)", "Doctor Last Name", "Name (NI)", "First Name4 (NamePattern1)")
            return f"[**{kind[int(rnd() * 4)]} {1 + int(rnd() * 4999)}**]"
        if name == "place":
            return f"[**Hospital{1 + int(rnd() * 4)} {1 + int(rnd() * 99)}**]"
        if name == "age":
            return str(self.patient.age)
        if name == "sex":
            words = ("woman", "female", "lady") if female else ("man", "male", "gentleman")
            return words[int(rnd() * 3)]
        return {"he": ("he", "she"), "his": ("his", "her"), "him": ("him", "her")}[name][female]

    def concepts(self) -> list[dict[str, str]]:
        """Give the structured record of the encounter, each concept once."""
        present = [self.condition.concept, *(one.concept for one in self.comorbidities)]
        for kind in FINDING_KINDS:
            if kind in CODED_KINDS:
                present += self.own[kind] + self.other[kind]
        present += [one.concept for one in (*self.own_drugs, *self.other_drugs)] + self.patient.social
        states = dict.fromkeys(present, "present")
        for one in self.absent:
            states.setdefault(one, "absent")
        return [concept.coded(self.hospital, state) for concept, state in states.items()]

    def risk(self) -> float:
        """Give the true probability of the outcome; plain sums, so that no platform rounds differently."""
        total = -0.52 + 2.2 * self.condition.concept.risk
        total += 0.9 * sum(one.concept.risk for one in self.comorbidities)
        total += 1.6 * sum(one.risk for one in self.patient.social)
        total += 0.004 * (self.patient.age - 55) + (0.05 if self.hospital == "south" else 0.0)
        return min(0.95, max(0.03, total))


def _row(
    record: dict[str, Any],
    document_id: str,
    category: str,
    text: str,
    entities: list[dict[str, Any]],
    copy_of: str | None,
) -> dict[str, Any]:
    """Put one note together in the order of the module's table."""
    return {
        "document_id": document_id,
        "patient_id": record["patient_id"],
        "encounter_id": record["encounter_id"],
        "hospital": record["hospital"],
        "note_category": category,
        "specialty": record["specialty"],
        "text": text,
        "entities": entities,
        "concepts": record["concepts"],
        "outcome": record["outcome"],
        "copy_of": copy_of,
    }


def _wrap(text: str, entities: list[dict[str, Any]], width: int = 78) -> str:
    """Break long lines by turning blanks outside of mentions into line breaks, so that offsets still hold."""
    inside = {place for one in entities for place in range(one["start"], one["end"])}
    characters, start = list(text), 0
    while len(text) - start > width:
        line_end = text.find("\n", start, start + width)
        if line_end < 0:
            line_end = text.rfind(" ", start + 1, start + width)
            while line_end in inside:
                line_end = text.rfind(" ", start + 1, line_end)
            if line_end < 0:
                line_end = start + width
            else:
                characters[line_end] = "\n"
        start = line_end + 1
    return "".join(characters)

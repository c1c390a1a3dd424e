"""Sentences of the demo corpus: a small grammar and the writer that expands it into one note with entity offsets."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from corpora.demo_lexicon import Concept, Drug, Forms, load_json

MEDICATION_LABELS = {
    "drug": "Drug", "strength": "Strength", "dosage": "Dosage", "form": "Form", "route": "Route",
    "frequency": "Frequency", "duration": "Duration", "reason": "Reason", "adverse_effect": "ADE",
}  # fmt: skip
"""Slots that are marked as entities, with their labels: the nine of the n2c2-2018 medication task."""
_CONCEPT_SLOTS = {
    "condition", "comorbidity", "family", "symptom", "absent", "sign", "test", "imaging", "imaging_absent",
    "procedure", "care", "plan", "social", "modality",
}  # fmt: skip
_FACT_SLOTS = {"age", "sex", "he", "his", "him", "date", "person", "place"}
_CLOSE_UP = (" ", ".", ",", ";", "\n")
_NUMBER = re.compile(r"([\d.]*\d)\.\.(\d[\d.]*)")
_REPEAT = re.compile(r"(\w+)\*(\d+)\.\.(\d+)(/?)")

Sequence = list  # of literal strings and of (method of NoteWriter, argument) pairs
Rules = dict[str, list[Sequence]]


class _Parser:
    """Compiles the options of one hospital's rules; rule references share the option lists, so order is free."""

    def __init__(self, texts: dict[str, list[str]]) -> None:
        self.rules: Rules = {name: [] for name in texts}
        for name, options in texts.items():
            self.rules[name].extend(self.alternatives(list(option))[0] for option in options)

    def alternatives(self, characters: list[str], closing: str = "") -> list[Sequence]:
        """Parse up to ``closing``; eats ``characters`` from the front. Only an inner level splits at bars."""
        if not closing:
            characters.reverse()
        options: list[Sequence] = [[]]
        literal: list[str] = []

        def flush() -> None:
            if literal:
                options[-1].append("".join(literal))
                literal.clear()

        while characters:
            character = characters.pop()
            if character == closing:
                break
            if character == "|" and closing:
                flush()
                options.append([])
            elif character == "<":
                flush()
                options[-1].append((NoteWriter.choose, self.alternatives(characters, ">")))
            elif character == "{":
                flush()
                slot = ""
                while (character := characters.pop()) != "}":
                    slot += character
                options[-1].append(self.slot(slot))
            else:
                literal.append(character)
        flush()
        return options

    def slot(self, text: str) -> tuple[Callable, Any]:
        if number := _NUMBER.fullmatch(text):
            decimals = len(number[1].partition(".")[2])
            scale = 10**decimals
            return NoteWriter.number, (round(float(number[1]) * scale), round(float(number[2]) * scale), decimals)
        name, low, high, lines = text, 1, 1, ""
        if repeat := _REPEAT.fullmatch(text):
            name, low, high, lines = repeat[1], int(repeat[2]), int(repeat[3]), repeat[4]
        if name in _CONCEPT_SLOTS:
            return NoteWriter.concepts, (name, low, high)
        if name in MEDICATION_LABELS:
            return NoteWriter.medication, name
        if name in _FACT_SLOTS:
            return NoteWriter.fact, name
        if name == text:
            return NoteWriter.choose, self.rules[name]
        return NoteWriter.repeat, (self.rules[name], low, high, "\n" if lines else " ")


@cache
def load_grammar(hospital: str) -> Rules:
    """Compile the rules of ``hospital`` from ``demo_grammar.json``.

    Raises:
        KeyError: When a template names a rule that does not exist.
    """
    data = load_json("demo_grammar.json")
    return _Parser(data["shared"] | data[hospital]).rules


class NoteWriter:
    """Writes one note: expands rules, keeps the character offsets of medication mentions.

    Args:
        case: What is true of the encounter (``corpora.demo.Case``): gives concepts, drugs and facts by ``draw``,
            ``draw_drug`` and ``facts``.
        rng: The only source of randomness.
        length_scale: Factor on the number of sentences in repeatable passages.
    """

    def __init__(self, case: Any, rng: random.Random, length_scale: float) -> None:
        self.case, self.random, self.length_scale = case, rng.random, length_scale
        self.hospital: str = case.hospital
        self.parts: list[str] = []
        self.length = 0
        self.entities: list[dict[str, Any]] = []
        self.used: set[Concept] = set()
        self.drug: Drug | None = None
        self.drug_reasons: tuple[Concept, ...] = ()
        self.sentence_start, self.ends_blank = True, False
        self.wide = self.random() < 0.25  # typists who leave two spaces after a full stop
        self.carriage_return = self.random() < 0.04
        self.form_feed = self.random() < 0.03

    def pick(self, options: Any) -> Any:
        """Draw one of ``options``; ``random.choice`` is neither faster nor promised to stay the same."""
        return options[int(self.random() * len(options))]

    def write(self, rules: Rules, name: str) -> str:
        """Expand rule ``name`` and return the whole text so far."""
        self.choose(rules[name])
        return "".join(self.parts)

    def add(self, text: str) -> int:
        """Append ``text``, with a capital at the start of a sentence, and return where it begins."""
        first, last = text[0], text[-1]
        if self.ends_blank and first in _CLOSE_UP:
            self.parts[-1] = self.parts[-1][:-1]  # an optional passage before this was left out
            self.length -= 1
        if self.sentence_start:
            bare = text.lstrip(" \n-")
            text = text[: len(text) - len(bare)] + bare[:1].upper() + bare[1:]
            self.sentence_start = not bare or last in ".\n" or text[-2:] == ". "
        else:
            self.sentence_start = last in ".\n" or text[-2:] == ". "
        self.ends_blank = last == " "
        if "\n" in text:
            if self.form_feed and text.endswith("\n\n"):
                text = text[:-1] + "\f\n"
                self.form_feed = False
            if self.carriage_return:
                text = text.replace("\n", "\r\n")
        start = self.length
        self.parts.append(text)
        self.length += len(text)
        return start

    def expand(self, sequence: Sequence) -> None:
        """Write literals and run slots in order."""
        for item in sequence:
            if item.__class__ is str:
                self.add(item)
            else:
                item[0](self, item[1])

    def choose(self, options: list[Sequence]) -> None:
        """Write one of ``options``."""
        self.expand(self.pick(options))

    def repeat(self, argument: tuple[list[Sequence], int, int, str]) -> None:
        """Write several options, each once before any comes again."""
        options, low, high, separator = argument
        count = max(1, round((low + int(self.random() * (high - low + 1))) * self.length_scale))
        order: list[Sequence] = []
        for index in range(count):
            if not order:
                order = list(options)
            if index:
                self.add("  " if self.wide and separator == " " else separator)
            self.expand(order.pop(int(self.random() * len(order))))

    def number(self, argument: tuple[int, int, int]) -> None:
        """Write a number between two bounds given in units of the last decimal."""
        low, high, decimals = argument
        value = low + int(self.random() * (high - low + 1))
        self.add(str(value) if not decimals else f"{value // 10**decimals}.{value % 10**decimals:0{decimals}d}")

    def concepts(self, argument: tuple[str, int, int]) -> None:
        """Write one or several different concepts of a kind, each in one of the hospital's forms."""
        kind, low, high = argument
        count = low + int(self.random() * (high - low + 1))
        chosen: list[Concept] = []
        for _ in range(count):
            concept = self.case.draw(kind, self.used, self.pick)
            if concept not in chosen:
                chosen.append(concept)
                self.used.add(concept)
        for index, concept in enumerate(chosen):
            if index:
                self.add(" and " if index == len(chosen) - 1 else ", ")
            self.add(self.pick(concept.forms[self.hospital]))

    def medication(self, slot: str) -> None:
        """Write a part of a medication order and mark it as an entity; ``drug`` moves on to another drug."""
        words: Forms
        if slot == "drug":
            self.drug, self.drug_reasons = self.case.draw_drug(self.used, self.pick)
            self.used.add(self.drug.concept)
            words = self.drug.concept.forms
        elif slot == "adverse_effect":
            words = self.pick(self.case.lexicon.adverse_effects)
        elif slot == "duration":
            words = self.case.lexicon.durations
        else:
            drug = self.drug
            assert drug is not None, "a template names a part of an order before its drug"
            words = {
                "strength": lambda: drug.strengths,
                "form": lambda: drug.product_forms,
                "dosage": lambda: drug.dosages,
                "route": partial(self.pick, drug.routes),
                "frequency": partial(self.pick, drug.frequencies),
                "reason": lambda: self.pick(self.drug_reasons).forms,
            }[slot]()
        text = self.pick(words[self.hospital])
        start = self.add(text)
        self.entities.append({"start": start, "end": start + len(text), "label": MEDICATION_LABELS[slot]})

    def fact(self, name: str) -> None:
        """Write a fact of the patient or a de-identification placeholder."""
        self.add(self.case.fact(name, self.random))

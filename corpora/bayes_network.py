"""Naive-Bayes networks in XMLBIF, and the exact posterior that no classifier of their samples can beat."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from corpora.encounter_options import EncounterOptions
from corpora.encounters import PRESENT, ConceptState, Encounters
from corpora.errors import InputError

_TINY = 1e-300
_ROUNDED = 0.01


@dataclass(frozen=True)
class BayesNetwork:
    """A class variable and findings that are independent of one another given the class.

    Args:
        variable: Name of the class variable.
        classes: Its values.
        prior: `(classes,)` probabilities.
        findings: Name of each finding to its values and their probabilities, `(classes, values)`.
    """

    variable: str
    classes: tuple[str, ...]
    prior: np.ndarray
    findings: dict[str, tuple[tuple[str, ...], np.ndarray]]

    def posterior(
        self, encounters: Encounters, positive: list[str], unsaid: Literal["missing", "absent"] = "missing"
    ) -> np.ndarray:
        """Return the probability of the outcome given all that is said of each encounter.

        Where the network is what the encounters were drawn from, no scores have a higher expected AUROC (the Bayes
        ceiling). Summed over the values of findings of which nothing is said, which with independent findings means
        to leave these out.

        Args:
            encounters: Their codes are findings, or `FINDING_VALUE` for levels with names of their own.
            positive: Classes that count as the outcome, at least one.
            unsaid: `absent` where a finding that is not recorded is absent, as in tables of events.

        Returns:
            `(n,)` float64.

        Raises:
            InputError: No class is named, a class, code or state is not in the network, or two things are said of one
                finding.
        """
        if not positive:
            raise InputError(
                "no class of the network is named as the outcome",
                remedy=f"give --positive_values, of {', '.join(self.classes)}",
            )
        if unknown := set(positive) - set(self.classes):
            raise InputError(
                f"the network's variable {self.variable} has no value {min(unknown)}",
                remedy=f"choose from {', '.join(self.classes)}",
            )
        evidence = [self._place(state) for state in encounters.states]
        names = list(self.findings)
        finding_of = np.array([names.index(name) for name, _ in evidence], dtype=np.int64)
        said = np.zeros((len(encounters.states), len(names)), dtype=np.float32)
        said[np.arange(len(evidence)), finding_of] = 1
        is_said = encounters.occurs @ said
        if is_said.max(initial=0) > 1:
            row, column = np.argwhere(is_said > 1)[0]
            raise InputError(
                f"two values of the finding {names[column]} in encounter number {row + 1:,} of site {encounters.site}",
                remedy="keep one, as the network knows one",
            )
        logs = {name: np.log(np.maximum(table, _TINY)) for name, (_, table) in self.findings.items()}
        scores = np.log(np.maximum(self.prior, _TINY)) + encounters.occurs @ np.array(
            [logs[name][:, value] for name, value in evidence]
        ).reshape(-1, len(self.classes))
        if unsaid == "absent":
            absent = [logs[name][:, self._value(name, "absent")] for name in names]
            scores = scores + (1 - is_said) @ np.array(absent).reshape(-1, len(self.classes))
        scores = np.exp(scores - scores.max(1, keepdims=True))
        chosen = np.isin(self.classes, positive)
        return scores[:, chosen].sum(1) / scores.sum(1)

    def _place(self, state: ConceptState) -> tuple[str, int]:
        """Return the finding and the number of its value that a state stands for."""
        if state.code in self.findings:
            return state.code, self._value(state.code, state.state)
        name, _, value = state.code.rpartition("_")
        if name in self.findings and state.state == PRESENT and value in self.findings[name][0]:
            return name, self.findings[name][0].index(value)
        raise InputError(f"the network has no finding {state.code}", remedy="give the network of these tables")

    def _value(self, name: str, state: str) -> int:
        values = self.findings[name][0]
        options = EncounterOptions()
        for number, value in enumerate(values):
            if state in (value, options.meaning(value)):
                return number
        raise InputError(f"the network's finding {name} has no value for the state {state}", remedy="check the network")


def read_network(file: str | Path) -> BayesNetwork:
    """Read a naive-Bayes network.

    Args:
        file: XMLBIF 0.3: variables with their outcomes, and definitions of which every one but the class variable's is
            given the class variable. Rows of a table are the classes.

    Raises:
        InputError: The file is missing, is no XMLBIF, declares entities, is no naive-Bayes network, or a table does not
            fit.
    """
    root = _parse(Path(file))
    outcomes = {_text(one, "NAME", file): tuple(_texts(one, "OUTCOME")) for one in root.iter("VARIABLE")}
    definitions = {_text(one, "FOR", file): one for one in root.iter("DEFINITION")}
    roots = [name for name, one in definitions.items() if not one.findall("GIVEN")]
    if len(roots) != 1 or set(outcomes) != set(definitions):
        raise InputError(
            f"{len(roots)} of {len(outcomes)} variables depend on no other",
            file=file,
            remedy="give a naive-Bayes network: one class variable, and a definition of each variable",
        )
    (variable,) = roots
    classes = outcomes[variable]
    findings = {}
    for name, definition in definitions.items():
        if name == variable:
            continue
        if _texts(definition, "GIVEN") != [variable]:
            raise InputError(
                f"the finding {name} is not given the class variable alone",
                file=file,
                remedy="give a naive-Bayes network",
            )
        findings[name] = (outcomes[name], _table(definition, name, (len(classes), len(outcomes[name])), file))
    prior = _table(definitions[variable], variable, (1, len(classes)), file)[0]
    return BayesNetwork(variable, classes, prior, findings)


def network_xml(network: BayesNetwork, title: str) -> str:
    """Return a network as XMLBIF 0.3.

    Args:
        network: To write.
        title: Its name.
    """
    root = ElementTree.Element("BIF", VERSION="0.3")
    body = ElementTree.SubElement(root, "NETWORK")
    ElementTree.SubElement(body, "NAME").text = title
    tables = {**network.findings, network.variable: (network.classes, network.prior[None])}
    for name, (values, _) in tables.items():
        variable = ElementTree.SubElement(body, "VARIABLE", TYPE="nature")
        for tag, text in (("NAME", name), *(("OUTCOME", value) for value in values)):
            ElementTree.SubElement(variable, tag).text = text
    for name, (_, table) in tables.items():
        definition = ElementTree.SubElement(body, "DEFINITION")
        ElementTree.SubElement(definition, "FOR").text = name
        if name != network.variable:
            ElementTree.SubElement(definition, "GIVEN").text = network.variable
        rows = "\n".join(" ".join(repr(float(value)) for value in row) for row in table)
        ElementTree.SubElement(definition, "TABLE").text = f"\n{rows}\n"
    ElementTree.indent(root)
    return f'<?xml version="1.0"?>\n{ElementTree.tostring(root, "unicode")}\n'


def _parse(path: Path) -> ElementTree.Element:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"the network cannot be read ({error.strerror})", file=path, remedy="check the path"
        ) from error
    # Entities can stand for other files, or for one another until memory is full; XMLBIF needs none.
    if re.search(rb"<!ENTITY", content) or b"\0" in content:
        raise InputError("the network declares XML entities", file=path, remedy="write plain XMLBIF in UTF-8")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError("the network is no valid XML", file=path, remedy="give XMLBIF 0.3") from error
    if root.tag != "BIF" or not root.findall("NETWORK"):
        raise InputError("the file is no XMLBIF network", file=path, remedy="give XMLBIF 0.3")
    return root


def _texts(element: ElementTree.Element, tag: str) -> list[str]:
    return [(one.text or "").strip() for one in element.findall(tag)]


def _text(element: ElementTree.Element, tag: str, file: str | Path) -> str:
    texts = _texts(element, tag)
    if len(texts) != 1 or not texts[0]:
        raise InputError(f"a {element.tag} without one {tag}", file=file, remedy="give XMLBIF 0.3")
    return texts[0]


def _table(definition: ElementTree.Element, name: str, shape: tuple[int, int], file: str | Path) -> np.ndarray:
    """Return the probabilities `(classes, values)`, each row to the sum of one that rounding in the file has missed."""
    try:
        numbers = np.array(" ".join(_texts(definition, "TABLE")).split(), dtype=np.float64)
    except ValueError:
        numbers = np.empty(0)
    if numbers.size != shape[0] * shape[1] or not numbers.size:
        raise InputError(f"the table of {name} does not hold {shape[0]} x {shape[1]} numbers", file=file)
    table = numbers.reshape(shape)
    sums = table.sum(1, keepdims=True)
    if not ((table >= 0).all() and (np.abs(sums - 1) <= _ROUNDED).all()):
        raise InputError(f"a row of the table of {name} is no distribution", file=file, remedy="rows must add up to 1")
    return table / sums

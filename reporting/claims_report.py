"""The claims of all three studies, judged by whatever result folders there are: one report."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.json_files import json_text, read_fields
from reporting.claims import ClaimResult, Roles, join_claims
from reporting.claims_tables import claims_table, findings_table
from reporting.classification_results import ClassificationResults, join_results, load_results
from reporting.printed_table import LATEX_HEAD, PrintedTable
from reporting.report_folder import write_report_files
from reporting.space_results import SpaceResults, load_space_results
from reporting.study_claims import judge_claims
from reporting.study_gains import make_evaluation
from reporting.study_parts import judge_study, load_study_parts
from reporting.study_results import MANIFEST, ROLES, StudyResults, load_study
from reporting.tagging_claims import judge_tagging_claims
from reporting.tagging_results import TaggingResults, join_tagging_results, load_tagging_results
from reporting.transfer_claims import judge_transfer_claims
from reporting.transfer_results import TransferResults, join_transfer_results, load_transfer_results

MARKDOWN, LATEX, VALUES = "claims.md", "claims.tex", "claims.json"
SCHEMA_VERSION = 1
KNOWN_ROLES = ("base", *ROLES.values())
GIVE = (
    "give output folders of run_study.py, classify.py, analyse_embeddings.py, tag.py train or concept_transfer.py, "
    "or a claims.json"
)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Results by kind, those beside a study each with the name of its data.

    Args:
        studies: Of run_study.py; a name, where one is given, stands before those of their corpora.
        classifications: Of classify.py.
        spaces: Of analyse_embeddings.py.
        taggings: Of tag.py train, several systems of a corpus joined.
        transfers: Of concept_transfer.py.
        judged: What `write_claims` wrote earlier, of results that need not be there any more.
    """

    studies: list[tuple[str | None, StudyResults]] = field(default_factory=list)
    classifications: list[tuple[str, ClassificationResults]] = field(default_factory=list)
    spaces: list[tuple[str, SpaceResults]] = field(default_factory=list)
    taggings: list[TaggingResults] = field(default_factory=list)
    transfers: list[tuple[str, TransferResults]] = field(default_factory=list)
    judged: list[list[ClaimResult]] = field(default_factory=list)

    def models(self) -> set[str]:
        """Return the names of models, taggers and concept vectors beside the studies."""
        found = {cell.system.model for _, results in self.classifications for cell in results.cells}
        found |= {model.name for _, results in self.spaces for model in results.models}
        found |= {cell.system for results in self.taggings for cell in results.cells}
        found |= {cell.system.embedding for _, results in self.transfers for cell in results.cells}
        return found - {None}


def load_evidence(folders: Sequence[tuple[str | None, Path]]) -> Evidence:
    """Read folders of any of the kinds.

    Classifications of one label that bear the same name are compared with each other, and so are transfers to one
    target, and taggers of one corpus.

    Args:
        folders: Each with a name for its data; by default that of the folder, of taggers that of their corpus. A
            `claims.json` of `write_claims` stands for the results that it was made from.

    Raises:
        InputError: A folder is given twice, is of another kind, not finished or damaged, or two that belong together
            differ in their test documents.
    """
    evidence, seen = Evidence(), set()
    classifications, taggings, transfers = [], [], []
    for given, folder in folders:
        if folder.resolve() in seen:
            raise InputError("is given twice", file=folder)
        seen.add(folder.resolve())
        if folder.is_file():
            if given is not None:
                raise InputError("holds the names of its data", file=folder, remedy=f"leave out '{given}='")
            evidence.judged.append(read_claims(folder))
            continue
        name, kind = given or folder.resolve().name, _kind(folder)
        if kind == "study":
            evidence.studies.append((given, load_study(folder)))
        elif kind == "classification":
            classifications.append((name, load_results(folder)))
        elif kind == "embedding_space":
            evidence.spaces.append((name, load_space_results(folder)))
        elif kind == "tagging":
            results = load_tagging_results(folder)
            taggings.append(replace(results, corpus=given or results.corpus))
        else:
            transfers.append((name, load_transfer_results(folder)))
    for (name, _), group in _grouped(classifications, lambda one: (one[0], one[1].label_column)).items():
        evidence.classifications.append((name, join_results([results for _, results in group])))
    for group in _grouped(taggings, lambda one: (one.corpus, one.split)).values():
        evidence.taggings.append(join_tagging_results(group))
    for (name, _), group in _grouped(transfers, lambda one: (one[0], one[1].target)).items():
        evidence.transfers.append((name, join_transfer_results([results for _, results in group])))
    return evidence


def judge_evidence(evidence: Evidence, roles: Mapping[str, str], seed: int = 0) -> list[ClaimResult]:
    """Test every claim of the three studies.

    Args:
        evidence: Of `load_evidence`.
        roles: What models of folders beside a study stand for, one of `KNOWN_ROLES`; a model that is called like a
            role stands for it unless said otherwise. Studies know their own.
        seed: Of all draws.

    Raises:
        InputError: A role or a model is unknown, or a result is damaged.
    """
    unknown = sorted(set(roles.values()) - set(KNOWN_ROLES))
    if unknown:
        raise InputError(f"there is no role '{unknown[0]}'", remedy=f"choose from {', '.join(KNOWN_ROLES)}")
    names = evidence.models()
    strange = sorted(set(roles) - names)
    if strange:
        listed = ", ".join(sorted(names)) or "none; studies know the roles of theirs"
        raise InputError(f"no model is called '{strange[0]}'", remedy=f"the models are: {listed}")
    meant = Roles({**{role: role for role in KNOWN_ROLES}, **roles})
    evaluations = [
        make_evaluation(name, results.label_column, "", results, seed) for name, results in evidence.classifications
    ]
    return join_claims(
        [
            *(_judge_named(name, study, seed) for name, study in evidence.studies),
            judge_claims(lambda corpus: meant, evaluations, evidence.spaces),
            judge_tagging_claims(evidence.taggings, meant, seed=seed),
            judge_transfer_claims(evidence.transfers, meant, seed=seed),
            *evidence.judged,
        ]
    )


def _judge_named(name: str | None, study: StudyResults, seed: int) -> list[ClaimResult]:
    claims = judge_study(study, load_study_parts(study, seed), seed)
    if name is None:
        return claims
    return [
        replace(claim, findings=[replace(one, task=f"{name}: {one.task}") for one in claim.findings])
        for claim in claims
    ]


def claims_markdown(claims: Sequence[ClaimResult]) -> str:
    """Return both tables as Markdown."""
    return "\n".join(table.markdown() for table in _tables(claims))


def write_claims(claims: Sequence[ClaimResult], folder: Path) -> list[Path]:
    """Write tables and values into a folder, all or none; earlier ones are replaced.

    Returns:
        The files.
    """

    def write(partial: Path) -> None:
        (partial / MARKDOWN).write_text(claims_markdown(claims), encoding="utf-8")
        latex = LATEX_HEAD + "\n".join(table.latex() for table in _tables(claims))
        (partial / LATEX).write_text(latex, encoding="utf-8")
        values = {"schema_version": SCHEMA_VERSION, "kind": "claims", "claims": [claim.values() for claim in claims]}
        (partial / VALUES).write_text(json_text(values), encoding="utf-8")

    return write_report_files(folder, write, ())


def read_claims(file: Path) -> list[ClaimResult]:
    """Read the values that `write_claims` wrote.

    Raises:
        InputError: It holds something else, or is damaged.
    """
    content = read_fields(file, GIVE)
    if content.get("kind") != "claims":
        raise InputError("holds no claims", file=file, remedy=GIVE)
    if content.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"has schema version {content.get('schema_version')}, not {SCHEMA_VERSION}", file=file)
    try:
        return [ClaimResult.from_values(values) for values in content["claims"]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("holds a claim that is damaged", file=file, remedy="judge its results again") from error


def _tables(claims: Sequence[ClaimResult]) -> list[PrintedTable]:
    found = [claims_table(claims, "Claims of the three studies"), findings_table(claims)]
    return found if len(found[1].lines) > 1 else found[:1]


def _kind(folder: Path) -> str:
    """Tell what a folder holds."""
    if not folder.is_dir():
        raise InputError("no such folder", file=folder, remedy=GIVE)
    if (folder / MANIFEST).is_file():
        return "study"
    file = folder / "results.json"
    if not file.is_file():
        begun = (folder / "settings.json").is_file()
        remedy = "run its script again: it goes on where it stopped" if begun else GIVE
        raise InputError(
            "is not finished: it holds no results.json" if begun else "holds no results.json",
            file=folder,
            remedy=remedy,
        )
    kind = read_fields(file, GIVE).get("kind")
    if kind not in ("classification", "embedding_space", "tagging", "concept_transfer"):
        raise InputError("holds results that no claim speaks of", file=file, remedy=GIVE)
    return kind


def _grouped(items: Iterable[Any], key: Callable[[Any], Hashable]) -> dict[Any, list[Any]]:
    groups: dict[Any, list[Any]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups

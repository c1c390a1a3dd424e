"""What a study left on disk: its corpora, its models and the results of its evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.errors import InputError
from corpora.json_files import read_json
from reporting.claims import Roles
from reporting.json_fields import JsonFields

MANIFEST = "study.json"
BASE = "base"
SUMMARY = "training_summary.json"
# By the objectives of the stages.
ROLES = {
    ("mlm",): "mlm",
    ("declutr",): "declutr",
    ("mlm", "declutr"): "mlm_declutr",
    ("note_category",): "category",
    ("declutr_category",): "declutr_category",
}
REMEDY = "run scripts/run_study.py again"


@dataclass(frozen=True)
class StudyModel:
    """An adapted model, or the base.

    Args:
        name: Its name.
        corpus: That it was adapted on; None for the base.
        summary: Of its training; empty for a base that was given.
        audit: Its privacy audit, where there is one.
        role: By what it was trained: mlm, declutr, mlm_declutr, category, declutr_category; base; other.
        tokens: Read in all stages of its adaptation; None where they were not counted.
        sweep: The sweep that it is of, else None.
        values: Its values of the options that are swept.
    """

    name: str
    corpus: str | None
    summary: Mapping[str, Any]
    audit: Mapping[str, Any] | None
    role: str
    tokens: int | None
    sweep: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepRecord:
    """A step.

    Args:
        name: Its name.
        script: That it calls.
        folder: Where its results are.
        objective: What it trains for; None where it trains no encoder.
        seconds: It took; None when it is not finished.
    """

    name: str
    script: str
    folder: Path
    objective: str | None
    seconds: float | None


@dataclass(frozen=True)
class StudyResults:
    """A study.

    Args:
        folder: Where it is.
        steps: In their order.
        corpora: Reports of preparation by the name of the corpus.
        models: Those that are finished, the base first.
        recipe: Name of the recipe's file; empty where nothing is known of it.
        base: Name of the checkpoint that all started from; None where the study trained it.
        seed: Of all draws; None where nothing is known of it.
    """

    folder: Path
    steps: Sequence[StepRecord]
    corpora: Mapping[str, Mapping[str, Any]]
    models: Sequence[StudyModel]
    recipe: str = ""
    base: str | None = None
    seed: int | None = None

    def finished(self, kind: str) -> list[StepRecord]:
        """Return the finished steps whose names begin so."""
        return [step for step in self.steps if step.seconds is not None and step.name.split("/")[0] == kind]

    def models_of(self, corpus: str) -> list[StudyModel]:
        """Return the models that were adapted on a corpus; of a corpus without some, those of the first with some."""
        own = [model for model in self.models if model.corpus == corpus]
        first = next((model.corpus for model in self.models if model.corpus is not None), None)
        return own or [model for model in self.models if model.corpus is not None and model.corpus == first]

    def roles_of(self, corpus: str) -> Roles:
        """Return what the base and the models of a corpus stand for, the first of each role."""
        by_role: dict[str, str] = {BASE: self.models[0].name}
        for model in self.models_of(corpus):
            by_role.setdefault(model.role, model.name)
        return Roles({name: role for role, name in by_role.items()})


def load_study(folder: str | Path) -> StudyResults:
    """Read the folder of a study.

    Raises:
        InputError: It is no such folder, or its manifest is damaged.
    """
    folder = Path(folder)
    manifest = read_json(folder / MANIFEST)
    if manifest is None or manifest.get("kind") != "study":
        raise InputError("holds no study", file=folder, remedy="give the --output_dir of run_study.py")
    entries = JsonFields(manifest, folder / MANIFEST, remedy=REMEDY).values.get("steps")
    if not isinstance(entries, list):
        raise InputError("'steps' is no list", file=folder / MANIFEST, remedy=REMEDY)
    steps = []
    for number, entry in enumerate(entries):
        fields = JsonFields(entry, folder / MANIFEST, f"step {number + 1}", remedy=REMEDY)
        name = fields.text("name")
        record = read_json(folder / "steps" / f"{name}.json")
        seconds = record["seconds"] if record is not None else None
        objective = fields.text("objective", optional=True)
        steps.append(StepRecord(name, fields.text("script"), folder / fields.text("folder"), objective, seconds))
    done = [step for step in steps if step.seconds is not None]
    corpora = {
        step.name.split("/")[1]: read_json(step.folder / "preparation.json") or {}
        for step in done
        if step.name.startswith("corpus/")
    }
    for name, place in (manifest.get("prepared") or {}).items():
        corpora[name] = read_json(Path(place) / "preparation.json") or {}
    models = [_base(folder), *_adapted(done, manifest.get("sweeps") or {})]
    recipe, base, seed = (manifest.get(name) for name in ("recipe", "base", "seed"))
    return StudyResults(folder, steps, corpora, models, str(recipe or ""), base, seed)


def _base(folder: Path) -> StudyModel:
    summary = read_json(folder / "models" / BASE / SUMMARY) or {}
    return StudyModel(BASE, None, summary, None, BASE, summary.get("tokens_read"))


def _adapted(steps: Sequence[StepRecord], sweeps: Mapping[str, Any]) -> Iterator[StudyModel]:
    """Yield the adapted models of finished steps; `adapt/CORPUS/MODEL/1` is a stage before `adapt/CORPUS/MODEL`."""
    for step in steps:
        kind, *rest = step.name.split("/")
        if kind != "adapt" or len(rest) != 2:
            continue
        stages = [one for one in steps if one.name.startswith(f"{step.name}/")] + [step]
        summaries = [read_json(one.folder / SUMMARY) or {} for one in stages]
        swept = sweeps.get(rest[1]) or {}
        tokens = [summary.get("tokens_read") for summary in summaries]
        yield StudyModel(
            name=rest[1],
            corpus=rest[0],
            summary=summaries[-1],
            audit=read_json(step.folder / "privacy_audit.json"),
            # The models of a sweep stand for no objective: there are many of the same.
            role="other" if swept else ROLES.get(tuple(one.objective for one in stages), "other"),
            tokens=sum(tokens) if all(tokens) else None,
            sweep=swept.get("sweep"),
            values=swept.get("values") or {},
        )

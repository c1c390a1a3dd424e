"""The steps of a study: which script, with which options, after which others, and what each leaves on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classify_options import reads_embeddings
from corpora.errors import InputError
from reporting.study_results import BASE
from run_folder import made_here
from study_recipe import Adaptation, Study, StudyCorpus, TaggingTask

SCHEMA_VERSION = 1
REPORT = "report"


@dataclass(frozen=True)
class Step:
    """One call of a script.

    Args:
        name: Its name, words joined by slashes: `adapt/CORPUS/MODEL`.
        script: File name under scripts/.
        options: Of the script, as a recipe holds them.
        needs: Steps that must be finished before.
        made: What is there when it is finished.
        folder: What `--redo` deletes.
        subcommand: First word of the command line, for scripts with several commands.
        takes_what_is_there: Whether it runs although a step that it needs has failed.
        section: Where in the recipe its options are; empty where the recipe has none for it.
        after: Steps that are let end first, finished or not, for they make what this one then finds in a cache.
    """

    name: str
    script: str
    options: Mapping[str, Any]
    needs: tuple[str, ...]
    made: Path
    folder: Path
    subcommand: str | None = None
    takes_what_is_there: bool = False
    section: str = ""
    after: tuple[str, ...] = ()

    @property
    def waits_for(self) -> set[str]:
        """The steps that must have ended before this one starts."""
        return {*self.needs, *self.after}


def plan(study: Study, output: Path) -> list[Step]:
    """Return the steps of a study, each after those that it needs.

    Args:
        study: The study.
        output: Folder of everything that it makes.

    Raises:
        InputError: Two steps have the same name.
    """
    steps = list(_Planner(study, output).steps())
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two parts of the study are called '{name}'", remedy="give them different names")
    return steps


def manifest(study: Study, steps: Sequence[Step], output: Path, recipe: str | Path = "") -> dict[str, Any]:
    """Return what the report needs to know of the study and its steps."""
    base = study.base
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "study",
        "recipe": Path(recipe).name,
        # Without the folders above it, which are nobody's business.
        "base": Path(base).name if base is not None and Path(base).exists() else base,
        "seed": study.seed,
        "steps": [
            {
                "name": step.name,
                "script": step.script,
                "needs": list(step.needs),
                "folder": step.folder.relative_to(output).as_posix(),
                "objective": _objective(step.options),
            }
            for step in steps
        ],
        "sweeps": {
            one.name: {"sweep": one.sweep, "values": dict(one.values)}
            for one in study.adaptations
            if one.sweep is not None
        },
        "prepared": {corpus.name: corpus.prepared for corpus in study.corpora if corpus.prepared},
    }


def _objective(options: Mapping[str, Any]) -> str | None:
    objective = options.get("objective")
    return "declutr_category" if objective == "declutr" and options.get("category_columns") else objective


def step_digests(steps: Sequence[Step], output: Path) -> dict[str, str]:
    """Return by name a digest of what decides the result of a step: its options, the steps it needs, its input files.

    The study's folder itself does not count, so that it can be moved.

    Args:
        steps: Each after those that it needs.
        output: Folder of the study.
    """
    digests: dict[str, str] = {}
    made = {str(step.made) for step in steps}  # for which the digests of their steps stand
    for step in steps:
        given = [file for file in step.options.get("input_files") or () if file not in made]
        content = [step.script, step.subcommand, step.options, _states(given)]
        text = json.dumps(content, sort_keys=True).replace(json.dumps(str(output))[1:-1], "")
        needed = [digests[name] for name in step.needs]
        digests[step.name] = hashlib.sha256("\n".join([text, *needed]).encode()).hexdigest()
    return digests


def _states(files: Sequence[str]) -> list[tuple[str, int]]:
    return [(Path(file).name, Path(file).stat().st_size) for file in files if Path(file).is_file()]


class _Planner:
    """Goes through a study from its notes to its report."""

    def __init__(self, study: Study, output: Path) -> None:
        self.study, self.output = study, output
        self.corpora = {
            corpus.name: Path(corpus.prepared) if corpus.prepared else output / "corpora" / corpus.name
            for corpus in study.corpora
        }
        self.adapted = [corpus for corpus in study.corpora if corpus.adapt]
        self.base = study.base if study.base is not None else str(output / "models" / BASE)
        self.base_needs = () if study.base is not None else (BASE,)

    def steps(self) -> Iterator[Step]:
        study = self.study
        for corpus in study.corpora:
            if corpus.prepared is None:
                yield from self.corpus(corpus)
        if study.base_training is not None:
            yield self.training(
                BASE, Path(self.base), study.base_training, study.base_corpora, None, None, section="base.train"
            )
        for corpus in self.adapted:
            for adaptation in study.adaptations:
                yield from self.adaptation(corpus, adaptation)
        evaluations, spaces = [], []
        for corpus in study.corpora:
            for label in corpus.labels:
                for group in study.evaluations_of(label):
                    evaluations.append(self.classification(corpus, label, group))
                if study.space is not None:
                    spaces.append(self.space(corpus, label))
        yield from (*evaluations, *spaces)
        if study.correlate is not None and evaluations and spaces:
            yield self.correlation()
        tagging = [step for task in study.tagging for step in self.tagging(task)]
        audits = [step for corpus in self.adapted for step in self.audits(corpus)]
        yield from (*tagging, *audits)
        if study.card is not None:
            yield from (card for corpus in self.adapted for card in self.cards(corpus))
        yield self.report([step.name for step in (*evaluations, *spaces, *tagging, *audits)])

    def corpus(self, corpus: StudyCorpus) -> Iterator[Step]:
        options, needs = dict(corpus.prepare), ()
        if corpus.demo is not None:
            notes = self.output / "corpora" / f"{corpus.name}.jsonl"
            made = {"output": str(notes), "seed": self.study.seed, **corpus.demo}
            section = f"corpora.{corpus.name}.demo"
            yield Step(f"notes/{corpus.name}", "make_demo_notes.py", made, (), notes, notes, section=section)
            options["input_files"], needs = [str(notes)], (f"notes/{corpus.name}",)
        folder = self.corpora[corpus.name]
        options = {"seed": self.study.seed, **options, "output_dir": str(folder)}
        made, section = folder / "preparation.json", f"corpora.{corpus.name}.prepare"
        yield Step(f"corpus/{corpus.name}", "prepare_notes.py", options, needs, made, folder, section=section)

    def training(
        self,
        name: str,
        folder: Path,
        options: Mapping[str, Any],
        corpora: Sequence[str],
        start: tuple[str, tuple[str, ...]] | None,
        tokens: int | None,
        section: str,
    ) -> Step:
        settings = {
            "seed": self.study.seed,
            # Epochs of equal budgets differ in length: without a validation in between, runs cost the same.
            "save_strategy": "steps",
            "save_total_limit": 1,
            "disable_tqdm": True,
            "include_num_input_tokens_seen": "non_padding",
            **options,
            "train_file": [str(self.corpora[corpus]) for corpus in corpora],
            "output_dir": str(folder),
        }
        needs = tuple(need for corpus in corpora for need in self.corpus_needs(corpus))
        if start is not None:
            settings["model_name_or_path"] = start[0]
            needs += start[1]
        if tokens is not None and not {"max_steps", "num_train_epochs", "train_tokens"} & options.keys():
            settings["train_tokens"] = tokens
        return Step(name, "pretrain.py", settings, needs, folder / "training_summary.json", folder, section=section)

    def adaptation(self, corpus: StudyCorpus, adaptation: Adaptation) -> Iterator[Step]:
        start = (self.base, self.base_needs)
        last = len(adaptation.stages)
        section = f"sweep.{adaptation.sweep}" if adaptation.sweep is not None else f"adapt.{adaptation.name}"
        for number, stage in enumerate(adaptation.stages, start=1):
            name = self.model_step(corpus.name, adaptation.name) + ("" if number == last else f"/{number}")
            folder = self.model_folder(corpus.name, adaptation.name)
            folder = folder if number == last else folder.with_name(f"{folder.name}-{number}")
            tokens = adaptation.tokens // last
            yield self.training(name, folder, stage, [corpus.name], start, tokens, section)
            start = (str(folder), (name,))

    def corpus_needs(self, corpus: str) -> tuple[str, ...]:
        """Return the step that prepares a corpus; nothing where it was prepared before."""
        prepared = next(one.prepared for one in self.study.corpora if one.name == corpus)
        return () if prepared else (f"corpus/{corpus}",)

    def kept(self) -> list[Adaptation]:
        """Return the adaptations whose models are for use; those of sweeps are there to be compared."""
        return [adaptation for adaptation in self.study.adaptations if adaptation.sweep is None]

    def model_step(self, corpus: str, adaptation: str) -> str:
        return f"adapt/{corpus}/{adaptation}"

    def model_folder(self, corpus: str, adaptation: str) -> Path:
        return self.output / "models" / corpus / adaptation

    def models(
        self, corpus: StudyCorpus, *, cross: bool, swept: bool, named: Sequence[str] | None = None
    ) -> tuple[list[str], tuple[str, ...]]:
        """Return NAME=FOLDER of the models that a corpus is evaluated with, and the steps that make them.

        Args:
            corpus: The corpus.
            cross: With those of other corpora.
            swept: With those of sweeps.
            named: Names of the adaptations; all where None. The base is always there.
        """
        models, needs = [f"{BASE}={self.base}"], list(self.base_needs)
        home = corpus if corpus.adapt else self.adapted[0]
        for origin in [home, *(other for other in self.adapted if other != home)] if cross else [home]:
            for adaptation in self.study.adaptations:
                shown = adaptation.name if origin == home else f"{adaptation.name}@{origin.name}"
                if (adaptation.sweep is not None and not swept) or not (named is None or adaptation.name in named):
                    continue
                models.append(f"{shown}={self.model_folder(origin.name, adaptation.name)}")
                needs.append(self.model_step(origin.name, adaptation.name))
        return models, tuple(needs)

    def classification(self, corpus: StudyCorpus, label: str, group: str) -> Step:
        evaluation = self.study.classify[group]
        models, needs = self.models(corpus, cross=self.study.cross, swept=True, named=evaluation.models)
        folder = self.output / "results" / "classify" / corpus.name / label / group
        options = {
            "seed": self.study.seed,
            "embedding_cache": str(self.output / "cache"),
            **evaluation.options,
            **corpus.classify,
            "data": [str(self.corpora[corpus.name])],
            "label_column": label,
            "models": models,
            "output_dir": str(folder),
        }
        name = f"classify/{corpus.name}/{label}/{group}"
        # comparisons.json is the last of the files that classify.py writes.
        needs = (*self.corpus_needs(corpus.name), *needs)
        made = folder / "comparisons.json"
        first = next(one for one in corpus.labels if group in self.study.evaluations_of(one))
        after = (f"classify/{corpus.name}/{first}/{group}",) if label != first and reads_embeddings(options) else ()
        return Step(name, "classify.py", options, needs, made, folder, section=f"classify.{group}", after=after)

    def space(self, corpus: StudyCorpus, label: str) -> Step:
        models, needs = self.models(corpus, cross=False, swept=False)
        folder = self.output / "results" / "space" / corpus.name / label
        options = {
            "split": ["test"],
            "seed": self.study.seed,
            "quiet": True,
            "embeddings_dir": str(self.output / "cache" / f"space-{corpus.name}"),
            **(self.study.space or {}),
            "spaces": models,
            "data": [str(self.corpora[corpus.name])],
            "label_column": label,
            "output_dir": str(folder),
        }
        name = f"space/{corpus.name}/{label}"
        needs = (*self.corpus_needs(corpus.name), *needs)
        first, made = corpus.labels[0], folder / "page.html"
        after = (f"space/{corpus.name}/{first}",) if label != first else ()
        return Step(name, "analyse_embeddings.py", options, needs, made, folder, section="space", after=after)

    def correlation(self) -> Step:
        folder = self.output / "results" / "correlations"
        results, needs = [], []
        for corpus in self.study.corpora:
            for label in corpus.labels:
                group = next(iter(self.study.evaluations_of(label)), None)
                if group is None:
                    continue
                task = f"{corpus.name}-{label}"
                results += [
                    f"{task}={self.output / 'results' / 'space' / corpus.name / label}",
                    f"{task}={self.output / 'results' / 'classify' / corpus.name / label / group}",
                ]
                needs += [f"space/{corpus.name}/{label}", f"classify/{corpus.name}/{label}/{group}"]
        options = {
            "seed": self.study.seed,
            **(self.study.correlate or {}),
            "results": results,
            "output": str(folder),
            "overwrite": True,
        }
        made = folder / "correlations.json"
        return Step("correlate", "correlate_metrics.py", options, tuple(needs), made, folder, section="correlate")

    def tagging(self, task: TaggingTask) -> Iterator[Step]:
        root, options, needs = self.output / "results" / "tag" / task.name, dict(task.options), ()
        if task.demo is not None:
            notes = self.output / "corpora" / f"{task.name}-annotated"
            made = {"annotated": "jsonl", "seed": self.study.seed, **task.demo, "output": str(notes)}
            yield Step(f"annotated/{task.name}", "make_demo_notes.py", made, (), notes, notes)
            needs = (f"annotated/{task.name}",)
            for split in ("train", "validation", "test"):
                options[f"{split}_file"] = [str(notes / f"{split}.jsonl")]
        trained = []
        # Annotated text belongs to no corpus of documents; encoders come from the first.
        corpus = self.adapted[0].name
        for model in task.models:
            start, after = self.base, self.base_needs
            if model != BASE:
                start, after = str(self.model_folder(corpus, model)), (self.model_step(corpus, model),)
            settings = {
                "seed": self.study.seed,
                "system": model,
                "keep_models": "none",
                **options,
                "model_name_or_path": start,
                "output_dir": str(root / model),
            }
            step = Step(
                f"tag/{task.name}/{model}",
                "tag.py",
                settings,
                (*needs, *after),
                root / model / "comparisons.json",
                root / model,
                subcommand="train",
                section=f"tag.{task.name}.options",
            )
            trained.append(step)
            yield step
        if len(trained) > 1:
            folder = root / "compared"
            settings = {"results": [str(step.folder) for step in trained], "output_dir": str(folder)}
            yield Step(
                f"tag/{task.name}/compared",
                "tag.py",
                settings,
                tuple(step.name for step in trained),
                folder / "comparisons.json",
                folder,
                subcommand="compare",
            )

    def audits(self, corpus: StudyCorpus) -> Iterator[Step]:
        if self.study.audit is None:
            return
        # A base that was trained on these notes has seen the members, and would hide what the model knows of them.
        seen = self.study.base_training is not None or made_here(self.base)
        for adaptation in self.kept():
            folder = self.model_folder(corpus.name, adaptation.name)
            options = {
                "reference": None if seen else self.base,
                "seed": self.study.seed,
                "quiet": True,
                **self.study.audit,
                "model": str(folder),
                "members": [str(self.corpora[corpus.name])],
                "nonmembers": [str(self.corpora[corpus.name])],
            }
            made = folder / "privacy_audit.json"
            needs = (self.model_step(corpus.name, adaptation.name), *self.base_needs)
            name = f"audit/{corpus.name}/{adaptation.name}"
            yield Step(name, "audit_privacy.py", options, needs, made, made, section="audit")

    def cards(self, corpus: StudyCorpus) -> Iterator[Step]:
        study = self.study
        groups = [(label, group) for label in corpus.labels for group in study.evaluations_of(label)]
        results = [self.output / "results" / "classify" / corpus.name / label / group for label, group in groups]
        needs = [f"classify/{corpus.name}/{label}/{group}" for label, group in groups]
        if study.space is not None:
            results += [self.output / "results" / "space" / corpus.name / label for label in corpus.labels]
            needs += [f"space/{corpus.name}/{label}" for label in corpus.labels]
        for adaptation in self.kept():
            folder = self.model_folder(corpus.name, adaptation.name)
            options = {
                **(study.card or {}),
                "folder": str(folder),
                "results": list(map(str, results)),
                "result_name": adaptation.name,
            }
            audit = (f"audit/{corpus.name}/{adaptation.name}",) if study.audit is not None else ()
            after = (self.model_step(corpus.name, adaptation.name), *needs, *audit)
            made = folder / "README.md"
            name = f"card/{corpus.name}/{adaptation.name}"
            yield Step(name, "make_card.py", options, after, made, made, section="card")

    def report(self, needs: Sequence[str]) -> Step:
        folder = self.output / "report"
        options = {"study": str(self.output)}
        made = folder / "report.html"
        return Step(REPORT, "report_study.py", options, tuple(needs), made, folder, takes_what_is_there=True)

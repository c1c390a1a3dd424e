"""What a study is made of, read from a recipe of run_study.py and checked."""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from command_line import read_yaml
from corpora.errors import InputError
from reporting.study_results import BASE

DEFAULT_CORPUS_BUDGET = 1_000_000
PREPARED = "preparation.json"  # a folder that holds it is a prepared corpus
# The key of a group whose options every other entry of the group gets.
SHARED = "all"
# Names become those of files and folders.
NAME = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9_.+-]*")
SECTIONS = ("corpora", "base", "adapt", "sweep", "classify", "space", "correlate", "tag", "audit", "card")
KEYS = ("seed", "token_budget", "cross", *SECTIONS)


@dataclass(frozen=True)
class StudyCorpus:
    """A corpus of documents.

    Args:
        name: Its name.
        prepare: Options of prepare_notes.py.
        demo: Options of make_demo_notes.py where the notes are made up; else None.
        prepared: A folder of prepare_notes.py that is used as it is; else None.
        adapt: Whether models are adapted on it; otherwise those of the first corpus with some are evaluated on it.
        labels: Columns that are predicted and whose categories the space is measured by.
        classify: Options of classify.py for this corpus alone.
    """

    name: str
    prepare: Mapping[str, Any]
    demo: Mapping[str, Any] | None
    prepared: str | None
    adapt: bool
    labels: tuple[str, ...]
    classify: Mapping[str, Any]


@dataclass(frozen=True)
class Adaptation:
    """One way to adapt the base model.

    Args:
        name: Its name.
        stages: Options of pretrain.py, one mapping for each stage; a stage starts from the model before it.
        tokens: What the encoder reads in all stages together.
        sweep: The sweep that it is of, else None.
        values: Its values of the options that are swept.
    """

    name: str
    stages: tuple[Mapping[str, Any], ...]
    tokens: int
    sweep: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """An evaluation by classification.

    Args:
        options: Of classify.py.
        models: Names of the adaptations that are evaluated beside the base; all of them where None.
        labels: Labels that are predicted; all of a corpus where None.
    """

    options: Mapping[str, Any]
    models: tuple[str, ...] | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class TaggingTask:
    """A corpus of annotated text.

    Args:
        name: Its name.
        demo: Options of make_demo_notes.py where it is made up; else None.
        models: Which encoders: `base`, or names of adaptations.
        options: Of tag.py train.
    """

    name: str
    demo: Mapping[str, Any] | None
    models: tuple[str, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """A study.

    Args:
        seed: Of everything that is drawn, where options say nothing else.
        corpora: Corpora of documents.
        base: Checkpoint folder or Hub id that adaptation starts from; None when it is trained first.
        base_training: Options of pretrain.py for a base that is trained first.
        base_corpora: Names of the corpora on whose training documents it is.
        adaptations: Ways to adapt.
        cross: Whether models are classified with on the corpora that they were not adapted on, too.
        classify: Evaluations by classification, by name.
        space: Options of analyse_embeddings.py; None to leave it out.
        correlate: Options of correlate_metrics.py; None to leave it out.
        tagging: Corpora of annotated text.
        audit: Options of audit_privacy.py; None to leave it out.
        card: Options of make_card.py; None to leave cards as training wrote them.
    """

    seed: int
    corpora: tuple[StudyCorpus, ...]
    base: str | None
    base_training: Mapping[str, Any] | None
    base_corpora: tuple[str, ...]
    adaptations: tuple[Adaptation, ...]
    cross: bool
    classify: Mapping[str, Evaluation]
    space: Mapping[str, Any] | None
    correlate: Mapping[str, Any] | None
    tagging: tuple[TaggingTask, ...]
    audit: Mapping[str, Any] | None
    card: Mapping[str, Any] | None

    def evaluations_of(self, label: str) -> list[str]:
        """Return the names of the evaluations in which a label is predicted."""
        return [name for name, one in self.classify.items() if one.labels is None or label in one.labels]


def read_study(file: str | Path, inputs: Mapping[str, Sequence[str]], base: str | None = None) -> Study:
    """Read a recipe.

    Args:
        file: The recipe.
        inputs: Files of notes by the name of the corpus, and annotated files by that of the task (`NAME` to train on,
            `NAME.validation`, `NAME.test`), in place of those that the recipe names.
        base: Checkpoint in place of the recipe's base.

    Raises:
        InputError: The recipe is missing or broken, a key is unknown, or something that the study needs is not said.
    """
    recipe = _Mapping(read_yaml(Path(file)), Path(file), "")
    recipe.only(KEYS)
    tag = recipe.inner("tag")
    known = [*recipe.inner("corpora").keys, *(name for task in tag.keys for name in _input_names(task))]
    unknown = sorted(set(inputs) - set(known))
    if unknown:
        raise InputError(
            f"--inputs names '{unknown[0]}', which is no corpus and no annotated text of the recipe",
            file=file,
            remedy=f"it has {', '.join(known) or 'none'}",
        )
    corpora = tuple(_corpus(recipe.inner("corpora").inner(name), name, inputs) for name in recipe.inner("corpora").keys)
    if not corpora:
        raise InputError("the study has no corpus", file=file, remedy="add one under 'corpora'")
    if not any(corpus.adapt for corpus in corpora):
        raise InputError("no corpus of the study is adapted on", file=file, remedy="leave 'adapt: false' out of one")
    checkpoint, training = _base(recipe.inner("base"), base)
    base_corpora = _base_corpora(recipe.inner("base"), corpora)
    budget = recipe.number("token_budget", DEFAULT_CORPUS_BUDGET)
    adapt = recipe.inner("adapt")
    adaptations = tuple(_adaptation(adapt, name, budget) for name in adapt.keys if name != SHARED)
    sweep = recipe.inner("sweep")
    swept = tuple(one for name in sweep.keys for one in _swept(sweep.inner(name), name, budget))
    tasks = tuple(_task(tag.inner(name), name, [one.name for one in adaptations], inputs) for name in tag.keys)
    classify = recipe.inner("classify")
    names = [one.name for one in (*adaptations, *swept)]
    labels = [label for corpus in corpora for label in corpus.labels]
    return Study(
        seed=recipe.number("seed", 0, least=0),
        corpora=corpora,
        base=checkpoint,
        base_training=training,
        base_corpora=base_corpora,
        adaptations=(*adaptations, *swept),
        cross=recipe.switch("cross"),
        classify={name: _evaluation(classify, name, names, labels) for name in classify.keys if name != SHARED},
        space=recipe.optional("space"),
        correlate=recipe.optional("correlate"),
        tagging=tasks,
        audit=recipe.optional("audit"),
        card=recipe.optional("card"),
    )


def _corpus(entry: _Mapping, name: str, inputs: Mapping[str, Sequence[str]]) -> StudyCorpus:
    entry.only(("demo", "prepare", "labels", "classify", "adapt"))
    prepare, demo, prepared = dict(entry.mapping("prepare")), entry.optional("demo"), None
    if name in inputs:
        prepare["input_files"] = list(inputs[name])
    if (demo is None) == ("input_files" not in prepare):
        raise InputError(
            f"{entry.place} needs its notes from one place",
            file=entry.file,
            remedy=f"give --inputs {name}=FILE, or input_files under 'prepare', or 'demo' for made-up notes",
        )
    files = prepare.get("input_files")
    if isinstance(files, list) and len(files) == 1 and (Path(files[0]) / PREPARED).is_file():
        prepared = files[0]
    labels = tuple(entry.words("labels"))
    prepare.setdefault("label_columns", [label for label in labels if label != "note_category"] or None)
    return StudyCorpus(
        name, prepare, demo, prepared, entry.switch("adapt", default=True), labels, entry.mapping("classify")
    )


def _base(entry: _Mapping, given: str | None) -> tuple[str | None, Mapping[str, Any] | None]:
    entry.only(("checkpoint", "train", "corpora"))
    if given is not None:
        return given, None
    checkpoint, training = entry.value.get("checkpoint"), entry.optional("train")
    if (checkpoint is None) == (training is None):
        raise InputError(
            "the study needs one base model",
            file=entry.file,
            remedy="give --base CHECKPOINT, or 'checkpoint' or 'train' under 'base'",
        )
    return checkpoint, training


def _base_corpora(entry: _Mapping, corpora: Sequence[StudyCorpus]) -> tuple[str, ...]:
    """Return the corpora that a base is trained on: those that are named, else those that are adapted on."""
    named = tuple(entry.words("corpora"))
    if named and "train" not in entry.value:
        raise InputError(
            "base.corpora says what a base is trained on, and none is",
            file=entry.file,
            remedy="give 'train' under 'base', or leave out 'corpora'",
        )
    for name in named:
        if name not in (corpus.name for corpus in corpora):
            raise InputError(f"base.corpora names '{name}', which is no corpus of the study", file=entry.file)
    return named or tuple(corpus.name for corpus in corpora if corpus.adapt)


def _adaptation(adapt: _Mapping, name: str, budget: int) -> Adaptation:
    value = adapt.value[name]
    entries = value if isinstance(value, list) else [value]
    stages = []
    for number, entry in enumerate(entries, start=1):
        place = f"{adapt.place}.{name}" + (f", stage {number}" if isinstance(value, list) else "")
        stages.append({**adapt.mapping(SHARED), **_Mapping(entry, adapt.file, place).value})
    if not stages:
        raise InputError(f"{adapt.place}.{name} has no stage", file=adapt.file)
    return Adaptation(name, tuple(stages), budget)


def _swept(entry: _Mapping, name: str, budget: int) -> Iterator[Adaptation]:
    """Yield an adaptation for every combination of the values of a grid, named by them."""
    entry.only(("options", "grid"))
    grid = entry.mapping("grid")
    for option, values in grid.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"{entry.place}.grid.{option} is not a list of values", file=entry.file)
    for values in itertools.product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        words = ["+".join(map(str, value)) if isinstance(value, list) else str(value) for value in values]
        full = ".".join([name, *words])
        if not NAME.fullmatch(full):
            raise InputError(f"{entry.place}: '{full}' cannot be the name of a model", file=entry.file)
        yield Adaptation(full, ({**entry.mapping("options"), **chosen},), budget, name, chosen)


def _evaluation(classify: _Mapping, name: str, models: Sequence[str], labels: Sequence[str]) -> Evaluation:
    options = {**classify.mapping(SHARED), **classify.mapping(name)}
    entry = _Mapping(options, classify.file, f"{classify.place}.{name}")
    chosen = []
    for key, known, kind in (("models", (BASE, *models), "model"), ("labels", labels, "label")):
        named = tuple(entry.words(key)) if key in options else None
        _check_known(entry, kind, named or (), known)
        chosen.append(named)
        options.pop(key, None)
    return Evaluation(options, *chosen)


def _check_known(entry: _Mapping, kind: str, words: Sequence[str], known: Sequence[str]) -> None:
    for word in words:
        if word not in known:
            raise InputError(f"{entry.place} names the {kind} '{word}', which the study has not", file=entry.file)


def _task(entry: _Mapping, name: str, adaptations: Sequence[str], inputs: Mapping[str, Sequence[str]]) -> TaggingTask:
    entry.only(("demo", "models", "options"))
    models = tuple(entry.words("models") or (BASE, *adaptations))
    _check_known(entry, "model", models, (BASE, *adaptations))
    options, demo = dict(entry.mapping("options")), entry.optional("demo")
    options |= {option: list(inputs[given]) for given, option in _input_names(name).items() if given in inputs}
    if (demo is None) == ("train_file" not in options):
        raise InputError(
            f"{entry.place} needs its annotated text from one place",
            file=entry.file,
            remedy=f"give --inputs {name}=FILE, or train_file under 'options', or 'demo' for made-up text",
        )
    return TaggingTask(name, demo, models, options)


def _input_names(task: str) -> dict[str, str]:
    """Return the names by which --inputs gives annotated text, and the options of tag.py train that they become."""
    return {task: "train_file", f"{task}.validation": "validation_file", f"{task}.test": "test_file"}


class _Mapping:
    """A mapping of a recipe, with its place for messages."""

    def __init__(self, value: Any, file: Path, place: str) -> None:
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise InputError(f"{place or 'the recipe'} is not a mapping of names to values", file=file)
        self.value, self.file, self.place = value, file, place
        self.keys = [str(key) for key in value]
        for key in self.keys:
            if not NAME.fullmatch(key):
                raise InputError(
                    f"'{self._at(key)}' cannot be a name",
                    file=file,
                    remedy="use letters, digits, '_', '-', '.' and '+'",
                )

    def only(self, names: Sequence[str]) -> None:
        for key in self.keys:
            if key not in names:
                close = difflib.get_close_matches(key, names, n=1, cutoff=0.0)
                raise InputError(f"unknown key '{self._at(key)}'; the nearest is '{close[0]}'", file=self.file)

    def inner(self, name: str) -> _Mapping:
        return _Mapping(self.value.get(name), self.file, self._at(name))

    def mapping(self, name: str) -> dict[str, Any]:
        return self.inner(name).value

    def optional(self, name: str) -> dict[str, Any] | None:
        return self.mapping(name) if name in self.value else None

    def words(self, name: str) -> list[str]:
        value = self.value.get(name) or []
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise InputError(f"{self._at(name)} is not a list of words", file=self.file)
        return value

    def number(self, name: str, default: int, least: int = 1) -> int:
        value = self.value.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value) or value < least:
            raise InputError(f"{self._at(name)} is not a whole number of at least {least}", file=self.file)
        return int(value)

    def switch(self, name: str, *, default: bool = False) -> bool:
        value = self.value.get(name, default)
        if not isinstance(value, bool):
            raise InputError(f"{self._at(name)} is neither true nor false", file=self.file)
        return value

    def _at(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

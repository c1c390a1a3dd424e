"""Cards: a template filled with facts, and the file in which a user's own words stay."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from corpora.errors import InputError
from model_cards import card_tables
from model_cards.card_data import CardData
from model_cards.card_facts import CardFacts, read_facts, store_facts
from model_cards.card_files import CARD, FIGURES, write_text
from model_cards.citations import citations
from model_cards.kept_regions import put_back, read_regions, region
from model_cards.markdown import number, one_line, short_name, text
from model_cards.privacy_section import privacy_words, read_audit
from model_cards.result_facts import own_name, read_results
from model_cards.statements import DataStatement
from model_cards.tagging_section import tagger_table, tagging_introduction, tagging_tables
from model_cards.training_facts import SMALL_GROUP, objective_words, read_energy, read_model

GENERATED = "<!-- notespace:card "
NOT_STATED = "not stated"
IMAGES = (".png", ".svg", ".jpg", ".jpeg")
FIGURE_TITLES = {
    "few_shot_curves": "Macro-F1 by number of labelled documents a class",
    "frozen_depth": "Macro-F1 by number of frozen layers",
    "confusion_matrix": "Confusion matrix",
    "map_tsne": "Embeddings by t-SNE",
    "map_pca": "Embeddings by their first two principal components",
    "cosines": "Cosines within and between categories",
    "category_cosine": "Mean cosines of categories",
    "cka": "Similarity of the models' spaces (CKA)",
    "privacy_audit": "Privacy audit",
}
DATA_TITLES = {
    "dataset_name": "Corpus",
    "dataset_id": "On the Hub",
    "source": "Source",
    "period": "Period",
    "population": "Patients",
    "governance": "Governance and legal basis",
    "deidentification": "De-identification",
    "access": "Access to the notes",
}


def write_card(
    folder: str | Path,
    facts: CardFacts | None = None,
    results: Sequence[str | Path] = (),
    *,
    accepted_risk: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Write `README.md` in a checkpoint folder, from what lies there and what is given.

    What is given, results too, is kept in `card_facts.json`, so that the card can be made anew without it. What a
    person wrote between the markers of `model_cards.kept_regions` stays.

    Args:
        folder: A checkpoint, with `training_summary.json` and `privacy_audit.json` where there are such.
        facts: What else to say.
        results: Output folders of classify.py, analyse_embeddings.py and tag.py train.
        accepted_risk: Why the weights are shared against the verdict of the audit.
        overwrite: Replace a card that is not ours.

    Returns:
        The card.

    Raises:
        InputError: The folder is missing, or a file that is read is damaged, or there is a card of another hand.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError("no such checkpoint folder", file=folder)
    facts = facts or CardFacts()
    facts = replace(
        facts,
        results=(*facts.results, *(read_results(path) for path in results)),
        accepted_risk=accepted_risk or facts.accepted_risk,
    ).over(read_facts(folder))
    if facts.results:
        facts = replace(facts, result_name=own_name(facts.results, facts.result_name))
    file = folder / CARD
    earlier = {}
    if file.is_file() and not overwrite:
        try:
            card = file.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise InputError("is not UTF-8 text", file=file, remedy="move it away") from error
        if GENERATED not in card:
            raise InputError(
                "is a card that another hand wrote",
                file=file,
                remedy="move it away, or replace it with make_card.py --overwrite",
            )
        earlier = read_regions(card, file)
    card = put_back(render_card(folder, facts), earlier)
    store_facts(folder, facts)
    write_text(file, card)
    return file


def render_card(folder: str | Path, facts: CardFacts) -> str:
    """Return a card with empty or usual regions; nothing is written.

    Args:
        folder: The checkpoint, for its configuration, audit, energy and figures.
        facts: Everything else.

    Raises:
        InputError: A file of the folder is damaged.
    """
    folder = Path(folder)
    model, training, audit = read_model(folder), facts.training or {}, read_audit(folder)
    if facts.model.base_model and training.get("base_model"):
        # A run that started from a copy knows the name of its folder only.
        training = {**training, "base_model": facts.model.base_model}
    energy, settings = read_energy(folder), training.get("settings") or {}
    title, name = names(folder, facts)
    data = CardData(
        title=title,
        statement=facts.model,
        data=facts.data,
        training=facts.training,
        model=model,
        results=facts.results,
        result_name=facts.result_name,
        energy=energy,
    )
    categories = _train_split(training).get("categories") or {}
    masked = (model["architecture"] or "").endswith("ForMaskedLM")
    return (
        _environment()
        .get_template("model_card.md")
        .render(
            metadata=data.to_yaml(line_break="\n"),
            title=title,
            name=name,
            introduction=_introduction(training, model),
            model=model,
            tagger=tagger_table(model["tagger"]) if model["tagger"] else "",
            predicts_words=masked and (training.get("objective") == "mlm" or bool(settings.get("mlm_weight"))),
            data_table=_data_table(facts.data),
            preparation=_preparation(training),
            categories=card_tables.categories_table(categories) if categories else "",
            categories_hidden=any(count < SMALL_GROUP for count in categories.values()),
            smallest=SMALL_GROUP,
            training=card_tables.training_table(training, energy) if training else "",
            settings=card_tables.settings_table(training),
            losses=card_tables.losses_table(training),
            results=_results(facts),
            figures=_figures(sorted((folder / FIGURES).glob("*")), folder),
            privacy_figures=_figures([folder / f"privacy_audit{ending}" for ending in IMAGES], folder) if audit else [],
            privacy=privacy_words(audit, folder, tagger=model["tagger"] is not None),
            accepted_risk=facts.accepted_risk if audit is not None and audit["verdict"] == "risk" else None,
            citations=citations(training, model),
            contact=text(facts.model.contact) if facts.model.contact else f"{NOT_STATED.capitalize()}.",
        )
    )


def names(folder: Path, facts: CardFacts) -> tuple[str, str]:
    """Return the title of a card, and how the model is called in the lines of usage; neither holds a whole path."""
    place = folder.resolve()
    parts = place.name.split("checkpoint-")
    if len(parts) == 2 and not parts[0] and parts[1].isdigit():
        title, name = f"{place.parent.name}, checkpoint {parts[1]}", f"{place.parent.name}/{place.name}"
    elif (facts.training or {}).get("objective") == "tagging" and place.name == "model":
        title, name = place.parent.name, f"{place.parent.name}/{place.name}"  # of tag.py train
    else:
        title = name = place.name
    if facts.model.repo_id:
        title, name = facts.model.repo_id.split("/")[-1], facts.model.repo_id
    return one_line(facts.model.title or title) or "Model", name


@cache  # compiling the template takes longer than filling it
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: files("model_cards").joinpath("templates", name).read_text("utf-8")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(text=text, literal=_literal)
    environment.globals.update(region=region, keep=lambda name, caller: region(name, caller()))
    return environment


def _literal(words: str) -> str:
    """Return a Python string that a code block cannot be ended by."""
    return json.dumps(words, ensure_ascii=True).replace("`", "\\u0060").replace("<", "\\u003c")


def _introduction(training: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    kind = text(short_name(model["model_type"])) if model["model_type"] else "transformer"
    size = f" of {number(training['parameters'])} parameters" if training.get("parameters") else ""
    if model["classes"]:
        return (
            f"This classifier on a {kind} encoder{size} reads a clinical note and returns a probability for each of "
            f"{model['classes']:,} classes. It was made with notespace."
        )
    if model["tagger"]:
        tagger = model["tagger"]
        crf = "with a CRF" if tagger["crf"] else "word by word"
        words = (
            f"This tagger on a {kind} encoder{size} marks entities of {len(tagger['types']):,} types in clinical text, "
            f"{crf}."
        )
        return f"{words} {_origin(training, 'trained')}." if training else words
    vector = f"an embedding of {model['hidden']:,} numbers" if model["hidden"] else "an embedding"
    first = f"This {kind} encoder{size} turns a clinical note into {vector}."
    if not training:
        return first
    return (
        f"{first} {_origin(training, 'adapted')}, which follows "
        "[Developing Healthcare Language Model Embedding Spaces](https://arxiv.org/abs/2403.19802)."
    )


def _origin(training: Mapping[str, Any], done: str) -> str:
    documents = _train_documents(training)
    on_notes = f" on {documents:,} documents" if documents is not None else ""
    base = training.get("base_model")
    started = f"{done} from {text(short_name(base))}" if base else "trained from scratch"
    return f"It was {started}{on_notes} by {text(objective_words(training))}, using notespace"


def _train_documents(training: Mapping[str, Any]) -> int | None:
    counts = (training.get("documents") or {}).get("train") or {}
    return counts.get("kept", counts.get("read", counts.get("documents")))


def _train_split(training: Mapping[str, Any]) -> Mapping[str, Any]:
    return ((training.get("corpus") or {}).get("splits") or {}).get("train") or {}


def _data_table(data: DataStatement) -> str:
    rows = []
    for part in fields(data):
        value = getattr(data, part.name)
        if value is not None or part.name != "dataset_id":
            rows.append((DATA_TITLES[part.name], text(value) if value else NOT_STATED))
    return card_tables.table(["About the notes", "Statement"], rows, numbers_from=None)


def _preparation(training: Mapping[str, Any]) -> str:
    """Return what preparation did, in a sentence; empty where it is not recorded."""
    found = (training.get("corpus") or {}).get("preparation") or {}
    if not found:
        return ""
    dropped = ", ".join(f"{text(reason)}: {count:,}" for reason, count in found["dropped"].items() if count)
    sentence = (
        f"Preparation read {found['documents_read']:,} documents and kept {found['documents_kept']:,} in all splits"
        f"{f' (left out: {dropped})' if dropped else ''}."
    )
    replaced = found.get("deid_placeholders")
    return sentence + (
        f" In {replaced:,} documents it replaced placeholders of an earlier de-identification." if replaced else ""
    )


def _results(facts: CardFacts) -> list[dict[str, str]]:
    found = []
    for title, result in zip(card_tables.result_titles(facts.results), facts.results, strict=True):
        own = facts.result_name if facts.result_name in result["models"] else None
        this = f" This model is **{text(short_name(own))}**." if own else ""
        documents, split = result["documents"], result.get("split", "test")
        if result["kind"] == "classification":
            words = (
                f"Macro-F1 on {documents[split]:,} {split} documents, {result['classes']:,} classes, mean over seeds "
                f"with 95 % bootstrap intervals over documents and seeds; {documents['train']:,} labelled training "
                f"documents.{this}"
            )
            table = card_tables.classification_table(result, own)
        elif result["kind"] == "tagging":
            words, table = tagging_introduction(result) + this, tagging_tables(result, own)
        elif result["kind"] == "masked_lm":
            words = (
                f"Masked tokens of {documents:,} {split} documents, each hidden once with one in seven of the others; "
                f"documents weigh alike; 95 % intervals over documents.{this}"
            )
            table = card_tables.masked_lm_table(result, own)
        else:
            of_split = f"{result['split']} " if "split" in result else ""
            words = f"Measures of {documents:,} {of_split}documents, with 95 % intervals over documents.{this}"
            table = card_tables.space_table(result, own)
        found.append({"title": title, "introduction": words, "table": table})
    return found


def _figures(places: Sequence[Path], folder: Path) -> list[dict[str, str]]:
    """Return the images of the folder by relative path; of two formats of one figure, the first of `IMAGES`."""
    found: dict[str, Path] = {}
    for file in sorted(places, key=lambda file: IMAGES.index(file.suffix) if file.suffix in IMAGES else len(IMAGES)):
        if file.suffix in IMAGES and file.is_file() and not file.is_symlink():
            found.setdefault(file.stem, file)
    return [
        {
            "title": FIGURE_TITLES.get(stem) or text(short_name(stem.replace("_", " "))),
            "path": quote(file.relative_to(folder).as_posix()),
        }
        for stem, file in sorted(found.items())
    ]

"""`tag.py train`: taggers over seeds and shares of the training sentences, scored once each; restartable."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command_line import RecipeParser
from corpora.annotated_files import find_annotated_inputs
from corpora.errors import InputError
from corpora.tagging_options import TaggingReadingOptions
from json_files import write_json
from modeling.checkpoint_folder import check_checkpoint
from pretrain_options import CardOptions, ModelOptions
from run_folder import SUMMARY
from tag_cards import keep_words, tagger_summary, write_cards
from tag_options import AnnotatedFiles, TaggerOptions, TaggerTraining

if TYPE_CHECKING:
    from corpora.tagging_corpus import TaggingCorpus
    from modeling.tagger import TokenTagger
    from tag_training import TaggingSystem

OPTIONS = (AnnotatedFiles, TaggerOptions, TaggerTraining, ModelOptions, CardOptions, TaggingReadingOptions)
RESULTS, SETTINGS, REPORT, CHOSEN = "results.json", "settings.json", "corpus.json", "model_cell.json"
SCHEMA_VERSION = 1
# These change which cells there are, or nothing, but not what a cell gives.
FREE = ("train_file", "validation_file", "test_file", "output_dir", "restart", "quiet", "seed", "seeds", "train_shares")
FREE = (*FREE, "keep_models", "eval_batch_size", "system")


def train(argv: list[str]) -> None:
    """Train and score taggers as the command line says."""
    files, tagger, training, model, card, reading = RecipeParser(
        OPTIONS,
        description="Train taggers of words over seeds and shares of the training sentences, and score them.",
        prog="tag.py train",
    ).parse(argv)
    if model.model_name_or_path is not None:
        check_checkpoint(model.model_name_or_path)
    named = {"train": files.train_file, "validation": files.validation_file, "test": files.test_file}
    given = {split: some for split, some in named.items() if some}
    find_annotated_inputs(given, reading)
    folder = _open_folder(Path(files.output_dir), restart=files.restart)

    from corpora.tagging_corpus import load_tagging_corpus

    corpus = load_tagging_corpus(given, reading)
    if "validation" not in corpus.splits:
        raise InputError(
            "there are no validation documents, by which the best epoch is chosen",
            remedy="give --validation_file or a --validation_share above 0",
        )
    scored = "test" if "test" in corpus.splits else "validation"
    digest = _digest(corpus)
    options = {**asdict(tagger), **asdict(training), **asdict(model), **asdict(reading), "corpus": digest}
    _check_settings(folder, {name: value for name, value in options.items() if name not in FREE}, model)
    write_json(folder / REPORT, corpus.report)
    say = (lambda line: None) if files.quiet else (lambda line: print(line, flush=True))
    for line in _describe(corpus, scored):
        say(line)

    from modeling.loading import quiet_training
    from tag_training import TaggingSystem

    system = TaggingSystem(corpus, model, tagger, training, reading.split_lines, folder)
    name = tagger.system or folder.resolve().name
    labels = sorted({label for split in corpus.report["splits"].values() for label in split["entities"]})
    cells = [
        (seed, share)
        for share in sorted(set(training.train_shares))
        for seed in range(training.seed, training.seed + training.seeds)
    ]
    facts = []
    with quiet_training():
        for number, (seed, share) in enumerate(cells):
            facts.append(_cell(folder, system, name, labels, scored, seed, share))
            metrics, collapse = facts[-1]["metrics"], facts[-1]["collapse"]
            say(
                f"[{number + 1}/{len(cells)}] {facts[-1]['id']}: strict F1 {metrics['f1_micro']:.3f}"
                f"{f', collapsed ({collapse})' if collapse else ''}, {facts[-1]['seconds']:.0f} s"
            )
    shutil.rmtree(folder / "trainer", ignore_errors=True)
    _keep_best(folder, facts, training.keep_models)
    head = {"schema_version": SCHEMA_VERSION, "kind": "tagging", "corpus": _corpus_name(files), "corpus_digest": digest}
    write_json(folder / RESULTS, {**head, "split": scored, "labels": labels, "cells": facts})
    report([folder], folder)
    if card.model_card:
        for written in write_cards(folder, name):
            print(written)


def _cell(
    folder: Path, system: TaggingSystem, name: str, labels: list[str], scored: str, seed: int, share: float
) -> dict[str, Any]:
    """Train and score one tagger, unless that was done before; return its entry of results.json."""
    from metrics.collapse import collapse
    from metrics.entity_scores import spans_by_document
    from metrics.tagging_scores import score_documents, tagging_counts
    from modeling.tagger_prediction import tag_sentences
    from reporting.tagging_results import write_cell_counts

    identity = f"{share:g}-{seed}"
    file, counts_file = folder / "cells" / f"{identity}.json", folder / "cells" / f"{identity}.npz"
    if file.is_file() and counts_file.is_file():
        return {**json.loads(file.read_text(encoding="utf-8")), "system": name}
    done = system.train(seed, share)
    split, tokenizer = system.corpus.splits[scored], done.model.tokenizer()
    sentences = system.sentences(scored, tokenizer)
    tagged = tag_sentences(done.model, sentences, system.training.eval_batch_size, probabilities=False)
    gold_tags, found_tags = split["tags"][:], [one.tags for one in tagged]
    ids = split["document_id"][:]
    gold, found = spans_by_document(gold_tags, ids), spans_by_document(found_tags, ids)
    spans = list(gold.values()), list(found.values())
    types = {label for document in spans[0] for label, _, _ in document}
    write_cell_counts(counts_file, tagging_counts(*spans, document_ids=list(gold), labels=labels))
    facts = {
        "id": identity,
        "system": name,
        "share": share,
        "seed": seed,
        "collapse": collapse(found_tags, types),
        **done.facts,
        "metrics": score_documents(*spans, gold_tags, found_tags),
        "counts": f"cells/{counts_file.name}",
    }
    if system.training.keep_models != "none" and share == max(system.training.train_shares):
        summary = tagger_summary(system, done.model, facts, scored, done.epochs)
        _save(done.model, summary, folder / "models" / f"seed-{seed}")
    write_json(file, facts)
    return facts


def _save(model: TokenTagger, summary: dict[str, Any], folder: Path) -> None:
    """Write a tagger and what is known of its training, whole or not at all."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    model.save_pretrained(partial)
    model.tokenizer().save_pretrained(partial)
    write_json(partial / SUMMARY, summary)
    shutil.rmtree(folder, ignore_errors=True)
    partial.replace(folder)


def _keep_best(folder: Path, facts: list[dict[str, Any]], keep: str) -> None:
    """Put the model of the best validation F1 into model/, and delete the others unless all are wanted."""
    models, chosen = folder / "models", folder / CHOSEN
    if keep != "best" or not models.is_dir():
        return
    before = json.loads(chosen.read_text(encoding="utf-8")) if chosen.is_file() else None
    largest = max(fact["share"] for fact in facts)
    there = [
        fact
        for fact in facts
        if fact["share"] == largest and (fact["id"] == before or (models / f"seed-{fact['seed']}").is_dir())
    ]
    best = max(there, key=lambda fact: (fact["collapse"] is None, fact["validation_f1_micro"]), default=None)
    if best is not None and best["id"] != before:
        keep_words(folder / "model", models / f"seed-{best['seed']}")
        shutil.rmtree(folder / "model", ignore_errors=True)
        (models / f"seed-{best['seed']}").replace(folder / "model")
        write_json(chosen, best["id"])
    shutil.rmtree(models)


def report(folders: list[Path], output: Path) -> None:
    """Print the table of one or several studies; write tables and figures."""
    from reporting.tagging_report import write_tagging_report
    from reporting.tagging_results import join_tagging_results, load_tagging_results

    results = join_tagging_results([load_tagging_results(folder) for folder in folders])
    written = write_tagging_report(results, output)
    table = next(file for file in written if file.suffix == ".md")
    print(table.read_text(encoding="utf-8"))
    for file in written:
        print(file)


def _open_folder(folder: Path, *, restart: bool) -> Path:
    """Make the folder of a study, or see that it holds one.

    Raises:
        InputError: It holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError("the output is a file, not a folder", file=folder, remedy="choose another --output_dir")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / SETTINGS).is_file():
        raise InputError(
            "the output folder holds files that are not of a study", file=folder, remedy="choose another one"
        )
    if restart and folder.is_dir():
        shutil.rmtree(folder)
    return folder


def _check_settings(folder: Path, settings: dict[str, Any], model: ModelOptions) -> None:
    """Store what decides the scores, or compare with what an earlier run stored.

    Raises:
        InputError: The folder holds results of other settings.
    """
    from embedding_files import digest_of_checkpoint

    for option in ("model_name_or_path", "tokenizer_name"):
        path = getattr(model, option)
        if path is not None and Path(path).is_dir():
            settings[option] = digest_of_checkpoint(Path(path))
    settings = json.loads(json.dumps(settings, sort_keys=True, default=str))
    path = folder / SETTINGS
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        changed = sorted(key for key in settings.keys() | earlier.keys() if settings.get(key) != earlier.get(key))
        if changed:
            raise InputError(
                f"holds results of other settings ({', '.join(changed[:5])})",
                file=folder,
                remedy="choose another --output_dir, or pass --restart",
            )
    (folder / "cells").mkdir(parents=True, exist_ok=True)
    write_json(path, settings)


def _digest(corpus: TaggingCorpus) -> str:
    """Return a hash of all sentences and their tags."""
    from datasets import Dataset

    from corpora.digest import corpus_digest

    parts = []
    for split in corpus.splits.values():
        texts = [
            "\n".join(tokens) + "\t" + " ".join(tags)
            for tokens, tags in zip(split["tokens"][:], split["tags"][:], strict=True)
        ]
        parts.append(corpus_digest(Dataset.from_dict({"document_id": split["document_id"][:], "text": texts})))
    return "-".join(parts)


def _corpus_name(files: AnnotatedFiles) -> str:
    """Name the corpus as the folder is called in which its training text lies."""
    path = Path(files.train_file[0]).resolve()
    return path.parent.name or path.name


def _describe(corpus: TaggingCorpus, scored: str) -> list[str]:
    """Say in lines what was read, and what could not be kept."""
    lines = []
    for split, counts in corpus.report["splits"].items():
        lines.append(
            f"{split}: {counts['documents']:,} documents, {counts['sentences']:,} sentences "
            f"({counts['sentences_with_entity']:,} with an entity), {sum(counts['entities'].values()):,} entities"
        )
        for what in ("changed", "dropped"):
            for reason, numbers in counts[f"{what}_entities"].items():
                lines.append(f"    {what}: {sum(numbers.values()):,} ({reason})")
    for split, numbers in corpus.report["unseen_labels"].items():
        lines.append(f"{split}: types that training lacks count as missed: {', '.join(numbers)}")
    if scored == "validation":
        lines.append("no --test_file: the validation documents are scored, which also choose the best weights")
    return lines

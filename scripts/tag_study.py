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
from corpora.json_files import write_json
from corpora.tagging_options import TaggingReadingOptions
from modeling.checkpoint_folder import check_checkpoint
from pretrain_options import CardOptions, ModelOptions
from run_folder import SUMMARY
from tag_cards import keep_words, tagger_summary, write_cards
from tag_cells import TaggingCell, TaggingFolder, all_cells
from tag_options import AnnotatedFiles, TaggerOptions, TaggerTraining

if TYPE_CHECKING:
    from corpora.tagging_corpus import TaggingCorpus
    from modeling.tagger import TokenTagger
    from tag_training import TaggingSystem

OPTIONS = (AnnotatedFiles, TaggerOptions, TaggerTraining, ModelOptions, CardOptions, TaggingReadingOptions)
REPORT, CHOSEN = "corpus.json", "model_cell.json"
# These change which cells there are, or nothing, but not what a cell gives.
FREE = ("train_file", "validation_file", "test_file", "output_dir", "restart", "quiet", "seed", "seeds", "train_shares")
FREE = (*FREE, "keep_models", "eval_batch_size", "system")


def find_given(files: AnnotatedFiles, reading: TaggingReadingOptions) -> dict[str, list[str]]:
    """Return the annotated files of each split that has some.

    Raises:
        InputError: One is missing, empty, named twice or of no known format.
    """
    named = {"train": files.train_file, "validation": files.validation_file, "test": files.test_file}
    given = {split: some for split, some in named.items() if some}
    find_annotated_inputs(given, reading)
    return given


def train(argv: list[str]) -> None:
    """Train and score taggers as the command line says."""
    files, tagger, training, model, card, reading = RecipeParser(
        OPTIONS,
        description="Train taggers of words over seeds and shares of the training sentences, and score them.",
        prog="tag.py train",
    ).parse(argv)
    if model.model_name_or_path is not None:
        check_checkpoint(model.model_name_or_path)
    given = find_given(files, reading)
    results = TaggingFolder(Path(files.output_dir), tagger.system, restart=files.restart)
    folder = results.folder

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
    results.open({name: value for name, value in options.items() if name not in FREE} | _digests(model))
    write_json(folder / REPORT, corpus.report)
    say = (lambda line: None) if files.quiet else (lambda line: print(line, flush=True))
    for line in _describe(corpus, scored):
        say(line)

    from modeling.loading import quiet_training
    from tag_training import TaggingSystem

    system = TaggingSystem(corpus, model, tagger, training, reading.split_lines, folder)
    labels = sorted({label for split in corpus.report["splits"].values() for label in split["entities"]})
    cells = list(all_cells(training.train_shares, range(training.seed, training.seed + training.seeds)))
    facts = []
    with quiet_training():
        for number, cell in enumerate(cells, 1):
            done = results.is_done(cell)
            facts.append(results.record(cell) if done else _train(results, system, cell, labels, scored))
            metrics, collapse = facts[-1]["metrics"], facts[-1]["collapse"]
            say(
                f"[{number}/{len(cells)}] {cell.id}: strict F1 {metrics['f1_micro']:.3f}"
                f"{f', collapsed ({collapse})' if collapse else ''}, {facts[-1]['seconds']:.0f} s"
            )
    shutil.rmtree(folder / "trainer", ignore_errors=True)
    _keep_best(folder, facts, training.keep_models)
    head = {"corpus": _corpus_name(files), "corpus_digest": digest, "split": scored, "labels": labels}
    results.finish(cells, head)
    report([folder], folder)
    if card.model_card:
        for written in write_cards(folder, results.system):
            print(written)


def _train(
    results: TaggingFolder, system: TaggingSystem, cell: TaggingCell, labels: list[str], scored: str
) -> dict[str, Any]:
    """Train and score one tagger; return its entry of results.json."""
    from metrics.collapse import collapse
    from metrics.entity_scores import spans_by_document
    from metrics.tagging_scores import score_documents, tagging_counts
    from modeling.tagger_prediction import tag_sentences
    from reporting.tagging_results import write_cell_counts

    done = system.train(cell.seed, cell.share)
    split, tokenizer = system.corpus.splits[scored], done.model.tokenizer()
    sentences = system.sentences(scored, tokenizer)
    tagged = tag_sentences(done.model, sentences, system.training.eval_batch_size, probabilities=False)
    gold_tags, found_tags = split["tags"][:], [one.tags for one in tagged]
    ids = split["document_id"][:]
    gold, found = spans_by_document(gold_tags, ids), spans_by_document(found_tags, ids)
    spans = list(gold.values()), list(found.values())
    types = {label for document in spans[0] for label, _, _ in document}
    write_cell_counts(results.counts(cell), tagging_counts(*spans, document_ids=list(gold), labels=labels))
    facts = {
        "id": cell.id,
        "system": results.system,
        "share": cell.share,
        "seed": cell.seed,
        "collapse": collapse(found_tags, types),
        **done.facts,
        "metrics": score_documents(*spans, gold_tags, found_tags),
        "counts": f"cells/{results.counts(cell).name}",
    }
    if system.training.keep_models != "none" and cell.share == max(system.training.train_shares):
        summary = tagger_summary(system, done.model, facts, scored, done.epochs)
        _save(done.model, summary, results.folder / "models" / f"seed-{cell.seed}")
    results.write_record(cell, facts)
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


def _digests(model: ModelOptions) -> dict[str, str]:
    """Return digests of the folders that a study starts from, in place of their names."""
    from embedding_files import digest_of_model

    named = {option: getattr(model, option) for option in ("model_name_or_path", "tokenizer_name")}
    return {option: digest_of_model(path) for option, path in named.items() if path is not None}


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

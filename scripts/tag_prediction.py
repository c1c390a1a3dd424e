"""`tag.py evaluate` and `tag.py predict`: a trained tagger on other text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import RecipeParser
from corpora.annotated_files import find_annotated_inputs
from corpora.errors import InputError
from corpora.json_files import write_json
from corpora.tagging_options import TaggingReadingOptions
from modeling.checkpoint_folder import check_checkpoint
from predicted_files import check_labels, check_output, write_annotation
from tag_options import PredictedFiles, ScoredFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corpora.entities import AnnotatedDocument
    from corpora.tagging_corpus import TaggingCorpus
    from modeling.tagger import TokenTagger
    from modeling.tagger_prediction import TaggedWords


def evaluate(argv: list[str]) -> None:
    """Score a trained tagger on annotated text."""
    options, reading = RecipeParser(
        [ScoredFiles, TaggingReadingOptions], description="Score a trained tagger.", prog="tag.py evaluate"
    ).parse(argv)
    check_tagger(options.model)
    find_annotated_inputs({"test": options.test_file}, reading)

    from corpora.tagging_corpus import load_tagging_corpus
    from metrics.collapse import collapse
    from metrics.entity_scores import spans_by_document
    from metrics.tagging_scores import score_documents

    corpus = load_tagging_corpus({"test": options.test_file}, reading)
    model = load_tagger(options.model)
    split = corpus.splits["test"]
    gold_tags, ids = split["tags"][:], split["document_id"][:]
    found_tags = [one.tags for one in tag_split(model, corpus, options.batch_size, probabilities=False)]
    gold, found = spans_by_document(gold_tags, ids), spans_by_document(found_tags, ids)
    scores = score_documents(list(gold.values()), list(found.values()), gold_tags, found_tags)
    own = {tag[2:] for tag in model.config.tags if tag != "O"}
    others = {label: count for label, count in corpus.report["splits"]["test"]["entities"].items() if label not in own}
    fault = collapse(found_tags, corpus.labels)
    if options.output is not None:
        write_json(Path(options.output), {"scores": scores, "collapse": fault, "report": corpus.report})
    for line in _score_lines(scores, corpus.labels):
        print(line)
    if others:
        print(f"types that the tagger does not know count as missed: {', '.join(sorted(others))}")
    if fault:
        print(f"the tagger collapsed: {fault}")


def _score_lines(scores: dict[str, float], labels: list[str]) -> Iterator[str]:
    """Yield the lines of a table: strict scores of each type and of all, then the relaxed ones."""
    relaxed = {"exact": "exact_{}", "partial": "partial_{}", "type": "ent_type_{}"}
    relaxed["token level, macro"] = "token_level_{}_macro"
    width = max(map(len, (*labels, *relaxed)))
    yield f"{'strict':<{width}}  precision  recall     f1   gold  predicted"

    def line(name: str, pattern: str, counts: str | None = None) -> str:
        values = [scores[pattern.format(score)] for score in ("precision", "recall", "f1")]
        numbers = [int(scores[counts.format(which)]) for which in ("gold", "predicted")] if counts else None
        end = f"  {numbers[0]:5,}  {numbers[1]:9,}" if numbers else ""
        return f"{name:<{width}}  {values[0]:9.3f}  {values[1]:6.3f}  {values[2]:5.3f}{end}"

    for label in labels:
        yield line(label, f"{{}}_of_{label}", f"{{}}_of_{label}")
    for average in ("micro", "macro", "weighted"):
        yield line(average, f"{{}}_{average}", "{}_entities" if average == "micro" else None)
    for name, pattern in relaxed.items():
        yield line(name, pattern)


def predict(argv: list[str]) -> None:
    """Mark the entities of texts."""
    options, reading = RecipeParser(
        [PredictedFiles, TaggingReadingOptions], description="Mark the entities of texts.", prog="tag.py predict"
    ).parse(argv)
    check_tagger(options.model)
    output = Path(options.output)
    inputs = find_annotated_inputs({"test": options.data}, reading)["test"]
    check_output(output, [one.path for one in inputs], overwrite=options.overwrite)
    model = load_tagger(options.model)

    from corpora.conll import check_document_id
    from corpora.span_json_lines import write_span_json_lines
    from corpora.tagging_corpus import load_tagging_corpus

    check_labels(output, sorted({tag[2:] for tag in model.config.tags if tag != "O"}))
    reading = replace(reading, split_lines=reading.split_lines or model.config.split_lines)
    corpus = load_tagging_corpus({"test": options.data}, reading, labelled=False)
    if output.suffix == ".conll":  # before the hours of tagging
        for document in corpus.documents["test"]:
            check_document_id(document.document_id)
    tagged = tag_split(model, corpus, options.batch_size)
    if output.suffix == ".conll":
        _write_conll(output, corpus, tagged)
        entities = sum(tag.startswith("B-") for one in tagged for tag in one.tags)
    else:
        found = _with_entities(corpus, tagged)
        entities = sum(len(document.entities) for document in found)
        (write_span_json_lines if output.suffix == ".jsonl" else write_annotation)(output, found)
    documents = len(corpus.documents["test"])
    print(f"{documents:,} documents, {entities:,} entities: {output}")


def check_tagger(folder: str) -> None:
    """Look whether a folder holds a tagger, from its files alone.

    Raises:
        InputError: It does not.
    """
    local = check_checkpoint(folder)
    if local is None:
        return
    kind = json.loads((local / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind != "token_tagger":
        raise InputError(
            f"is no tagger but a model of type {kind}", file=folder, remedy="give the model/ folder of tag.py train"
        )


def load_tagger(folder: str) -> TokenTagger:
    """Load a trained tagger, on a GPU if there is one."""
    import torch

    from modeling.loading import quiet_loading, refuse_unloadable
    from modeling.tagger import TokenTagger

    with refuse_unloadable("tagger", folder), quiet_loading():
        model = TokenTagger.from_pretrained(folder)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def tag_split(
    model: TokenTagger, corpus: TaggingCorpus, batch_size: int, *, probabilities: bool = True
) -> list[TaggedWords]:
    """Tag the sentences of the split called test."""
    from modeling.tagger_prediction import tag_sentences
    from tag_training import tokenized

    sentences = tokenized(corpus.splits["test"], model.tokenizer())
    return tag_sentences(model, sentences, batch_size, probabilities=probabilities)


def _with_entities(corpus: TaggingCorpus, tagged: list[TaggedWords]) -> list[AnnotatedDocument]:
    """Return the documents with the entities that were found in them."""
    from corpora.entities import Entity
    from modeling.tagger_prediction import entities_of

    split = corpus.splits["test"]
    found: dict[str, list[Entity]] = {document.document_id: [] for document in corpus.documents["test"]}
    columns = (split["document_id"][:], split["starts"][:], split["ends"][:])
    for document_id, starts, ends, one in zip(*columns, tagged, strict=True):
        found[document_id] += [
            Entity(entity.label, ((entity.start, entity.end),), probability=entity.probability)
            for entity in entities_of(one, list(zip(starts, ends, strict=True)))
        ]
    return [replace(one, entities=tuple(found[one.document_id])) for one in corpus.documents["test"]]


def _write_conll(output: Path, corpus: TaggingCorpus, tagged: list[TaggedWords]) -> None:
    from corpora.conll import write_conll

    split = corpus.splits["test"]
    # All of them: one without words is a document, too.
    documents = {document.document_id: [] for document in corpus.documents["test"]}
    for document_id, words, one in zip(split["document_id"][:], split["tokens"][:], tagged, strict=True):
        documents[document_id].append((words, one.tags))
    write_conll(output, documents.items())

"""Annotated documents to tagged sentences, in splits, with an account of all that the tags cannot hold.

Each row is a sentence: `document_id`, `sentence` (from 0 in its document), `tokens`, `tags` (IOB2; absent for
unlabelled text), `starts` and `ends` (character offsets of each token in the document's text).

CoNLL files keep their words and sentences. Other text is divided by `corpora.sentences`: no sentence ends inside an
entity. A word of training text is divided where an entity begins or ends inside it, so that nothing is lost. Words of
other splits are not, as their annotation must not show in the input: there such an entity takes in its outer words
whole, and one that finds all its words taken is dropped. All of this is counted, by reason and type.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from corpora.annotated_files import AnnotatedDocuments, find_annotated_inputs, read_annotated
from corpora.conll import TaggedDocument
from corpora.entities import AnnotatedDocument
from corpora.errors import InputError
from corpora.flat_entities import Reasons, flat_entities
from corpora.sentences import Span, find_sentences, find_words
from corpora.tag_schemes import WordSpan, tags_of_spans
from corpora.tagging_options import TaggingReadingOptions

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

Row = dict[str, Any]


@dataclass(frozen=True)
class TaggingCorpus:
    """Tagged sentences and where they come from.

    Args:
        splits: One row a sentence.
        labels: Entity types of the training split, sorted; of all splits where there is no training split.
        report: Counts, ready for JSON: `splits` (by split: documents, sentences, tokens, entities by type, and what was
            changed or dropped), `labels`, `unseen_labels` (types that training lacks: by split, entities by type; they
            stay in the gold), `held_out_documents`.
        documents: By split, the documents as given, before anything was changed or dropped.
    """

    splits: DatasetDict
    labels: list[str]
    report: dict[str, Any]
    documents: dict[str, list[AnnotatedDocument]]


@dataclass
class TaggingCounts:
    """What became of the documents of a split."""

    documents: int = 0
    empty_documents: int = 0
    sentences: int = 0
    sentences_with_entity: int = 0
    tokens: int = 0
    annotated: Counter[str] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)
    changed: Reasons = field(default_factory=Counter)
    dropped: Reasons = field(default_factory=Counter)
    divided_words: int = 0
    joined_sentences: int = 0

    def report(self) -> dict[str, Any]:
        """Return the counts, ready for JSON; types and reasons sorted."""
        return {
            "documents": self.documents,
            "empty_documents": self.empty_documents,
            "sentences": self.sentences,
            "sentences_with_entity": self.sentences_with_entity,
            "tokens": self.tokens,
            "annotated_entities": dict(sorted(self.annotated.items())),
            "entities": dict(sorted(self.entities.items())),
            "changed_entities": _by_reason(self.changed),
            "dropped_entities": _by_reason(self.dropped),
            "divided_words": self.divided_words,
            "joined_sentences": self.joined_sentences,
        }


def load_tagging_corpus(
    files: Mapping[str, Sequence[str]], options: TaggingReadingOptions | None = None, labelled: bool = True
) -> TaggingCorpus:
    """Read annotated text in any of the formats and make it tagged sentences.

    Where training but no validation files are given, `validation_share` of the training documents are kept for
    validation, drawn by their ids and `validation_seed`.

    Args:
        files: By split (train, validation, test), files, globs and folders.
        options: How they are read.
        labelled: Read annotation. Otherwise texts alone are read (`.txt` without `.ann`, JSON lines without entities,
            CoNLL files without tags), rows have no `tags` and nothing is kept for validation.

    Raises:
        InputError: An input is at fault, a document id occurs twice, or no entity is there to train on.
    """
    options = options or TaggingReadingOptions()
    inputs = {split: some for split, some in find_annotated_inputs(files, options).items() if some}
    if not inputs:
        raise InputError("no annotated text is given", remedy="name files or folders for at least one split")
    seen: dict[str, str] = {}
    read = {split: read_annotated(some, options, seen, split, labelled) for split, some in inputs.items()}
    documents = {split: one.documents for split, one in read.items()}
    tagged = {name: document for one in read.values() for name, document in one.tagged.items()}
    held_out = 0
    if labelled and "train" in documents and "validation" not in documents and options.validation_share:
        documents = _hold_out(documents, options)
        held_out = len(documents["validation"])

    from datasets import DatasetDict

    splits, counts = DatasetDict(), {}
    for split, some in documents.items():
        splits[split], counts[split] = tagged_sentences(
            some, options, labelled=labelled, divide_words=split == "train", tagged=tagged
        )
        if not len(splits[split]):
            raise InputError(f"the {split} split holds no sentence", remedy="check its files")
    known = counts["train"].entities if "train" in counts else sum((one.entities for one in counts.values()), Counter())
    if labelled and not known:
        raise InputError(
            f"no entity in the {'train split' if 'train' in counts else 'files'}",
            remedy="check the files, --tag_column and --entity_types",
        )
    report = {
        "labels": sorted(known),
        "splits": {split: one.report() | _reading_report(read.get(split)) for split, one in counts.items()},
        "unseen_labels": _unseen(counts, known),
        "held_out_documents": held_out,
    }
    return TaggingCorpus(splits, sorted(known), report, documents)


def tagged_sentences(
    documents: Iterable[AnnotatedDocument],
    options: TaggingReadingOptions | None = None,
    *,
    labelled: bool = True,
    divide_words: bool = False,
    tagged: Mapping[str, TaggedDocument] | None = None,
) -> tuple[Dataset, TaggingCounts]:
    """Make documents tagged sentences.

    Args:
        documents: Texts and entities.
        options: The policy for entities and sentences.
        labelled: Whether rows have tags.
        divide_words: Divide words at the bounds of entities; for training text only.
        tagged: Words, sentences and tags that are taken as they are, by document id.

    Returns:
        A row for each sentence, and what became of the documents.

    Raises:
        InputError: Two entities share characters and `overlapping` is error.
    """
    from datasets import Dataset, Features, Sequence, Value

    options, counts = options or TaggingReadingOptions(), TaggingCounts()
    features = {
        "document_id": Value("string"),
        "sentence": Value("int64"),
        "tokens": Sequence(Value("string")),
        "tags": Sequence(Value("string")),
        "starts": Sequence(Value("int64")),
        "ends": Sequence(Value("int64")),
    }
    if not labelled:
        del features["tags"]
    columns: dict[str, list[Any]] = {name: [] for name in features}
    for document in documents:
        given = (tagged or {}).get(document.document_id)
        if given is not None:
            rows = _given_rows(document, given, options, counts)
        else:
            rows = _found_rows(document, options, counts, divide_words)
        counts.documents += 1
        counts.empty_documents += not rows
        counts.annotated.update(entity.label for entity in document.entities)
        for number, row in enumerate(rows):
            row |= {"document_id": document.document_id, "sentence": number}
            counts.sentences += 1
            counts.tokens += len(row["tokens"])
            begun = [tag[2:] for tag in row["tags"] if tag.startswith("B-")]
            counts.sentences_with_entity += bool(begun)
            counts.entities.update(begun)
            for name, column in columns.items():
                column.append(row[name])
    return Dataset.from_dict(columns, features=Features(features)), counts


def _given_rows(
    document: AnnotatedDocument, given: TaggedDocument, options: TaggingReadingOptions, counts: TaggingCounts
) -> list[Row]:
    rows = []
    for sentence, offsets in zip(given.sentences, given.offsets(), strict=True):
        tags = sentence.tags
        if options.entity_types:
            for tag in tags:
                if tag.startswith("B-") and tag[2:] not in options.entity_types:
                    counts.dropped["type not wanted", tag[2:]] += 1
            tags = [tag if tag[2:] in options.entity_types else "O" for tag in tags]
        rows.append(_row(sentence.words, tags, offsets))
    return rows


def _found_rows(
    document: AnnotatedDocument, options: TaggingReadingOptions, counts: TaggingCounts, divide_words: bool
) -> list[Row]:
    text = document.text
    if options.entity_types:
        wanted = tuple(entity for entity in document.entities if entity.label in options.entity_types)
        others = Counter(entity.label for entity in document.entities) - Counter(entity.label for entity in wanted)
        counts.dropped.update({("type not wanted", label): count for label, count in others.items()})
        document = replace(document, entities=wanted)
    flat = flat_entities(document, options.discontinuous, options.overlapping)
    counts.changed.update(flat.changed)
    counts.dropped.update(flat.dropped)
    places = [(entity.start, entity.end) for entity in flat.entities]
    sentences, joined = find_sentences(text, places, options.split_lines)
    counts.joined_sentences += joined
    rows, next_entity = [], 0
    for start, end in sentences:
        first = next_entity
        while next_entity < len(places) and places[next_entity][0] < end:
            next_entity += 1
        entities = flat.entities[first:next_entity]
        cuts = [place for entity in entities for place in (entity.start, entity.end)] if divide_words else []
        words, divided = find_words(text, start, end, cuts)
        counts.divided_words += divided
        spans = _word_spans([(one.label, one.start, one.end) for one in entities], words, counts)
        if words:
            rows.append(_row([text[a:b] for a, b in words], tags_of_spans(spans, len(words)), words))
    for entity in flat.entities[next_entity:]:  # white space after the last sentence
        counts.dropped["holds no word", entity.label] += 1
    return rows


def _word_spans(
    entities: Sequence[tuple[str, int, int]], words: Sequence[Span], counts: TaggingCounts
) -> list[WordSpan]:
    """Return the entities of a sentence in words; entities and words are in order."""
    spans: list[WordSpan] = []
    word = 0
    for label, start, end in entities:
        while word < len(words) and words[word][1] <= start:
            word += 1
        last = word
        while last < len(words) and words[last][0] < end:
            last += 1
        first = word
        if first == last:
            counts.dropped["holds no word", label] += 1
            continue
        if spans and first < spans[-1][2]:
            first += 1  # its first word is the last of the entity before
            if first == last:
                counts.dropped["shares its only word with another", label] += 1
                continue
            counts.changed["shares a word with another", label] += 1
        elif words[first][0] < start or words[last - 1][1] > end:
            counts.changed["widened to whole words", label] += 1
        elif words[first][0] > start or words[last - 1][1] < end:
            counts.changed["white space trimmed", label] += 1
        spans.append((label, first, last))
    return spans


def _row(tokens: list[str], tags: list[str], offsets: Sequence[Span]) -> Row:
    return {
        "tokens": tokens,
        "tags": tags,
        "starts": [start for start, _ in offsets],
        "ends": [end for _, end in offsets],
    }


def _hold_out(
    documents: dict[str, list[AnnotatedDocument]], options: TaggingReadingOptions
) -> dict[str, list[AnnotatedDocument]]:
    from datasets import Dataset

    from corpora.hold_out import hold_out

    training = documents["train"]
    ids = Dataset.from_dict({"document_id": [document.document_id for document in training]})
    _, aside = hold_out(ids, options.validation_share, options.validation_seed)
    names = set(aside["document_id"][:])
    return {
        "train": [document for document in training if document.document_id not in names],
        "validation": [document for document in training if document.document_id in names],
    } | {split: some for split, some in documents.items() if split != "train"}


def _unseen(counts: Mapping[str, TaggingCounts], known: Mapping[str, int]) -> dict[str, dict[str, int]]:
    unseen = {
        split: {label: number for label, number in sorted(one.entities.items()) if label not in known}
        for split, one in counts.items()
    }
    return {split: some for split, some in unseen.items() if some}


def _reading_report(read: AnnotatedDocuments | None) -> dict[str, Any]:
    if read is None:
        return {}
    return {
        "documents_of_one_sentence": read.by_sentence,
        "tag_schemes": dict(sorted(read.schemes.items())),
        "repaired_tags": read.repaired,
        "lines_passed_over": dict(sorted(read.passed.items())),
    }


def _by_reason(counts: Reasons) -> dict[str, dict[str, int]]:
    reasons: dict[str, dict[str, int]] = {}
    for (reason, label), number in sorted(counts.items()):
        reasons.setdefault(reason, {})[label] = number
    return reasons

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from corpora.brat import write_brat
from corpora.conll import write_conll
from corpora.entities import AnnotatedDocument, Entity
from corpora.errors import InputError
from corpora.span_json_lines import write_span_json_lines
from corpora.tag_schemes import entity_spans
from corpora.tagging_corpus import load_tagging_corpus, tagged_sentences
from corpora.tagging_options import TaggingReadingOptions

SHARED = Path(os.environ.get("NOTESPACE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
TEXT = "Given aspirin 81mg daily. No pain.\n\nHeparin 5,000 units."


def _document(name="a", text=TEXT, entities=(("Drug", 6, 13), ("Strength", 14, 18), ("Drug", 36, 43))):
    return AnnotatedDocument(name, text, tuple(Entity(label, ((start, end),)) for label, start, end in entities))


def _many(prefix, count, label="Drug"):
    return [_document(f"{prefix}{number}", "take it now", [(label, 5, 7)]) for number in range(count)]


def _characters(sentences):
    """The entities that the tags of a split spell, in characters."""
    return Counter(
        (row["document_id"], label, row["starts"][first], row["ends"][last - 1])
        for row in sentences
        for label, first, last in entity_spans(row["tags"])
    )


def _given(documents):
    return Counter(
        (one.document_id, entity.label, entity.start, entity.end) for one in documents for entity in one.entities
    )


def test_a_row_is_a_sentence():
    sentences, counts = tagged_sentences([_document(), _document("empty", " \n", ())])
    assert sentences[0] == {
        "document_id": "a",
        "sentence": 0,
        "tokens": "Given aspirin 81 mg daily .".split(),
        "tags": "O B-Drug B-Strength I-Strength O O".split(),
        "starts": [0, 6, 14, 16, 19, 24],
        "ends": [5, 13, 16, 18, 24, 25],
    }
    assert sentences["sentence"][:] == [0, 1, 2]
    assert sentences[2]["tokens"] == "Heparin 5,000 units .".split() and sentences[2]["tags"] == [
        "B-Drug",
        "O",
        "O",
        "O",
    ]
    assert sentences.features["starts"].feature.dtype == "int64"
    report = counts.report()
    assert report["documents"] == 2 and report["empty_documents"] == 1
    assert report["sentences"] == 3 and report["sentences_with_entity"] == 2 and report["tokens"] == 13
    assert report["entities"] == report["annotated_entities"] == {"Drug": 2, "Strength": 1}
    json.dumps(report)


def test_words_are_divided_in_training_only():
    document = _document(text="takes q4h", entities=[("Frequency", 6, 8), ("Unit", 8, 9)])
    sentences, counts = tagged_sentences([document], divide_words=True)
    assert sentences[0]["tokens"] == ["takes", "q4", "h"] and sentences[0]["tags"] == ["O", "B-Frequency", "B-Unit"]
    assert counts.divided_words == 1 and not counts.changed and not counts.dropped
    sentences, counts = tagged_sentences([document])
    assert sentences[0]["tokens"] == ["takes", "q4h"] and sentences[0]["tags"] == ["O", "B-Frequency"]
    assert dict(counts.changed) == {("widened to whole words", "Frequency"): 1}
    assert dict(counts.dropped) == {("shares its only word with another", "Unit"): 1}


def test_entities_meet_words_only_in_part():
    document = _document(
        text="one q4h two  three \u200b", entities=[("A", 0, 5), ("B", 5, 11), ("C", 12, 19), ("D", 19, 20)]
    )
    sentences, counts = tagged_sentences([document])
    assert sentences[0]["tags"] == ["B-A", "I-A", "B-B", "B-C"]
    assert dict(counts.changed) == {
        ("widened to whole words", "A"): 1,
        ("shares a word with another", "B"): 1,
        ("white space trimmed", "C"): 1,
    }
    assert dict(counts.dropped) == {("holds no word", "D"): 1}


def test_sentences_that_an_entity_runs_across_are_one():
    sentences, counts = tagged_sentences([_document(entities=[("A", 19, 28)])])
    assert len(sentences) == 2 and counts.joined_sentences == 1
    assert _characters(sentences) == _given([_document(entities=[("A", 19, 28)])])


def test_overlapping_entities_stop_when_asked_to():
    document = _document(entities=[("Drug", 6, 13), ("Order", 6, 18)])
    sentences, counts = tagged_sentences([document])
    assert _characters(sentences) == {("a", "Order", 6, 18): 1}
    assert dict(counts.dropped) == {("inside another", "Drug"): 1}
    with pytest.raises(InputError, match="document 'a'"):
        tagged_sentences([document], TaggingReadingOptions(overlapping="error"))
    # Types that are not wanted are in nobody's way.
    options = TaggingReadingOptions(overlapping="error", entity_types=["Drug"])
    sentences, counts = tagged_sentences([document], options)
    assert _characters(sentences) == {("a", "Drug", 6, 13): 1}
    assert dict(counts.dropped) == {("type not wanted", "Order"): 1}


def test_all_formats_give_the_same_corpus(tmp_path):
    documents = [_document(name) for name in "abcdef"]
    write_brat(tmp_path / "brat", documents)
    write_span_json_lines(tmp_path / "spans.jsonl.gz", documents)
    (tmp_path / "json").mkdir()
    write_span_json_lines(tmp_path / "json" / "first.jsonl", documents[:2])
    write_span_json_lines(tmp_path / "json" / "second.jsonl", documents[2:])
    sources = [[tmp_path / "brat"], [tmp_path / "brat" / "*"], [tmp_path / "spans.jsonl.gz"], [tmp_path / "json"]]
    found = [load_tagging_corpus({"train": [str(one) for one in source]}) for source in sources]
    for corpus in found:
        assert corpus.labels == ["Drug", "Strength"]
        assert {split: part.to_list() for split, part in corpus.splits.items()} == {
            split: part.to_list() for split, part in found[0].splits.items()
        }
        assert _characters(corpus.splits["train"]) == _given(corpus.documents["train"])
        assert {one.text for one in corpus.documents["train"]} == {TEXT}
    rows = found[0].splits["train"].to_list()
    sentences = [
        (name, [(row["tokens"], row["tags"]) for row in rows if row["document_id"] == name])
        for name in dict.fromkeys(row["document_id"] for row in rows)
    ]
    write_conll(tmp_path / "a.conll", sentences)
    corpus = load_tagging_corpus({"train": [str(tmp_path / "a.conll")]}, TaggingReadingOptions(validation_share=0))
    assert [(row["tokens"], row["tags"]) for row in corpus.splits["train"]] == [
        (row["tokens"], row["tags"]) for row in rows
    ]
    assert _characters(corpus.splits["train"]) == _given(corpus.documents["train"])
    for row in corpus.splits["train"]:
        (text,) = (one.text for one in corpus.documents["train"] if one.document_id == row["document_id"])
        assert [text[a:b] for a, b in zip(row["starts"], row["ends"], strict=True)] == row["tokens"]


def test_a_share_of_the_training_documents_is_kept_for_validation(tmp_path):
    write_span_json_lines(tmp_path / "a.jsonl", _many("a", 40))
    files = {"train": [str(tmp_path / "a.jsonl")]}
    corpus = load_tagging_corpus(files, TaggingReadingOptions(validation_share=0.25))
    ids = {split: set(part["document_id"][:]) for split, part in corpus.splits.items()}
    assert len(ids["validation"]) == corpus.report["held_out_documents"] == 10 and len(ids["train"]) == 30
    assert not ids["train"] & ids["validation"]
    assert ids == {split: {one.document_id for one in some} for split, some in corpus.documents.items()}
    again = load_tagging_corpus(files, TaggingReadingOptions(validation_share=0.25))
    assert again.splits["validation"]["document_id"][:] == corpus.splits["validation"]["document_id"][:]
    other = load_tagging_corpus(files, TaggingReadingOptions(validation_share=0.25, validation_seed=1))
    assert set(other.splits["validation"]["document_id"][:]) != ids["validation"]
    assert list(load_tagging_corpus(files, TaggingReadingOptions(validation_share=0)).splits) == ["train"]
    write_span_json_lines(tmp_path / "b.jsonl", _many("b", 3))
    both = load_tagging_corpus(files | {"validation": [str(tmp_path / "b.jsonl")]})
    assert both.report["held_out_documents"] == 0 and len(both.splits["train"]) == 40


def test_a_label_unseen_in_training_stays_in_the_gold_and_is_reported(tmp_path):
    write_span_json_lines(tmp_path / "a.jsonl", _many("a", 3))
    write_span_json_lines(tmp_path / "b.jsonl", _many("b", 2, "Rare") + _many("c", 1))
    files = {"train": [str(tmp_path / "a.jsonl")], "test": [str(tmp_path / "b.jsonl")]}
    corpus = load_tagging_corpus(files, TaggingReadingOptions(validation_share=0))
    assert corpus.labels == ["Drug"] and corpus.report["unseen_labels"] == {"test": {"Rare": 2}}
    assert Counter(tag for tags in corpus.splits["test"]["tags"][:] for tag in tags) == {
        "O": 6,
        "B-Rare": 2,
        "B-Drug": 1,
    }
    assert load_tagging_corpus({"test": files["test"]}).labels == ["Drug", "Rare"]


def test_an_id_in_two_splits_is_refused(tmp_path):
    for name in "ab":
        write_span_json_lines(tmp_path / f"{name}.jsonl", _many("same", 2))
    with pytest.raises(InputError, match="'same0' occurs twice, in train and in test") as caught:
        load_tagging_corpus({"train": [str(tmp_path / "a.jsonl")], "test": [str(tmp_path / "b.jsonl")]})
    assert caught.value.file == tmp_path / "b.jsonl"
    with pytest.raises(InputError, match="in train and in train"):
        load_tagging_corpus({"train": [str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")]})
    with pytest.raises(InputError, match="named twice, for train and for test"):
        load_tagging_corpus({"train": [str(tmp_path / "a.jsonl")], "test": [str(tmp_path / "*.jsonl")]})


def test_files_without_documents_are_documents_by_sentence(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.tsv").write_text("a\tB-x\n\nb\tO\n\n" * 3)
    corpus = load_tagging_corpus({"train": [str(tmp_path / "one"), str(tmp_path / "two")]})
    report = corpus.report["splits"]["train"]
    assert report["documents_of_one_sentence"] == 12 and report["tag_schemes"] == {"IOB2": 2}
    ids = [name for part in corpus.splits.values() for name in part["document_id"][:]]
    assert sorted(ids) == sorted(f"train{stem}-{number}" for stem in ("", ".2") for number in range(1, 7))


def test_unlabelled_text_has_no_tags(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "7.txt").write_text(TEXT)
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
    (tmp_path / "a.conll").write_text("Given\naspirin\n\nnow\n")
    files = {"test": [str(tmp_path / name) for name in ("new", "a.jsonl", "a.conll")]}
    corpus = load_tagging_corpus(files, labelled=False)
    assert corpus.splits["test"].column_names == ["document_id", "sentence", "tokens", "starts", "ends"]
    assert corpus.splits["test"]["document_id"][:] == ["7", "7", "7", "a-1", "a-1", "a-1", "a.2-1", "a.2-2"]
    assert corpus.labels == []
    with pytest.raises(InputError, match=r"without its \.ann"):
        load_tagging_corpus(files)


def test_wanted_types_are_kept_of_conll_files_too(tmp_path):
    (tmp_path / "a.conll").write_text("a\tB-x\nb\tI-x\nc\tB-y\n")
    options = TaggingReadingOptions(entity_types=["y"], validation_share=0)
    corpus = load_tagging_corpus({"train": [str(tmp_path / "a.conll")]}, options)
    assert corpus.splits["train"][0]["tags"] == ["O", "O", "B-y"] and corpus.labels == ["y"]
    assert corpus.report["splits"]["train"]["dropped_entities"] == {"type not wanted": {"x": 1}}


def test_faults_of_what_is_named(tmp_path):
    def load(name, **options):
        return load_tagging_corpus({"train": [str(tmp_path / name)]}, TaggingReadingOptions(**options))

    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "readme.md").write_text("x")
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "empty.tsv").write_text("")
    (tmp_path / "all_o.tsv").write_text("a\tO\n\nb\tO\n")
    (tmp_path / "cut.jsonl").write_text('{"text": "a", "entities": []}\n{"text": "sec')
    for name, problem in [
        ("none.tsv", "the file is missing"),
        ("*.bio", "no file matches"),
        ("folder", "holds no annotated files"),
        ("a.csv", "name it with --format"),
        ("empty.tsv", "the file is empty"),
        ("all_o.tsv", "no entity in the train split"),
        ("cut.jsonl", "row 2: broken JSON"),
    ]:
        with pytest.raises(InputError, match=problem):
            load(name, validation_share=0)
    with pytest.raises(InputError, match="row 1: a word without a tag"):
        load("a.csv", format="conll")
    with pytest.raises(InputError, match="no annotated text is given"):
        load_tagging_corpus({"train": []})
    for options in ({"validation_share": 1.0}, {"token_column": 0}):
        with pytest.raises(InputError, match=f"--{next(iter(options))}"):
            TaggingReadingOptions(**options)


def test_a_sentence_of_ten_thousand_words_stays_one_row(tmp_path):
    write_span_json_lines(tmp_path / "a.jsonl", [_document(text="take it " * 5_000, entities=[("A", 39_997, 39_999)])])
    corpus = load_tagging_corpus({"train": [str(tmp_path / "a.jsonl")]}, TaggingReadingOptions(validation_share=0))
    (row,) = corpus.splits["train"]
    assert len(row["tokens"]) == 10_000 and row["tags"][-1] == "B-A"


@pytest.mark.skipif(not (SHARED / "ner_mtl").is_dir(), reason="the BC5CDR and NCBI-disease files are not here")
@pytest.mark.parametrize(
    ("folder", "train", "devel", "sentences"),
    [
        ("BC5CDR-IOB", "train.tsv.gz", "devel.tsv.gz", (4_560, 4_581)),
        ("NCBI-disease-IOB", "train.tsv.gz", "devel.tsv", (5_424, 923)),
    ],
)
def test_published_corpora_load_with_their_counts(folder, train, devel, sentences):
    files = {"train": [SHARED / "ner_mtl" / folder / train], "validation": [SHARED / "ner_mtl" / folder / devel]}
    corpus = load_tagging_corpus({split: [str(one) for one in some] for split, some in files.items()})
    assert (len(corpus.splits["train"]), len(corpus.splits["validation"])) == sentences
    for split, (file,) in files.items():
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding="utf-8") as lines:
            tags = Counter(line.split("\t")[1].strip() for line in lines if line.strip())
        report = corpus.report["splits"][split]
        assert report["entities"] == {tag[2:]: count for tag, count in sorted(tags.items()) if tag[0] == "B"}
        assert report["tokens"] == sum(tags.values()) and report["repaired_tags"] == 0
        assert report["documents_of_one_sentence"] == len(corpus.splits[split])

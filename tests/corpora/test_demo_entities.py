from dataclasses import replace

import pytest

from corpora.demo import DemoOptions, generate_notes
from corpora.demo_entities import demo_documents, demo_splits, write_demo_entities
from corpora.demo_grammar import MEDICATION_LABELS
from corpora.errors import InputError
from corpora.tag_schemes import entity_spans
from corpora.tagging_corpus import load_tagging_corpus
from corpora.tagging_options import TaggingReadingOptions

OPTIONS = DemoOptions(patients=20, seed=7)


@pytest.fixture(scope="module")
def documents():
    return [document for _, document in demo_documents(OPTIONS)]


def test_mentions_have_the_offsets_of_the_generator(documents):
    without_copies = replace(OPTIONS, exact_copies=0.0, near_copies=0.0)
    notes = {note["document_id"]: note for note in generate_notes(without_copies)}
    assert len(documents) == len({one.document_id for one in documents}) > 50
    for document in documents:
        note = notes[document.document_id]
        assert note["copy_of"] is None and document.text == note["text"]
        assert sorted((one.label, one.start, one.end) for one in document.entities) == sorted(
            (one["label"], one["start"], one["end"]) for one in note["entities"]
        )
        assert [one.entity_id for one in document.entities] == [f"T{n}" for n in range(1, len(document.entities) + 1)]
    labels = {one.label for document in documents for one in document.entities}
    assert labels == set(MEDICATION_LABELS.values())


def test_the_same_seed_gives_the_same_notes(documents):
    assert [document for _, document in demo_documents(OPTIONS)] == documents
    assert [document for _, document in demo_documents(DemoOptions(patients=20, seed=8))] != documents


def test_patients_are_not_divided(documents):
    splits = demo_splits(OPTIONS)
    patients = {split: {one.document_id.partition("-")[0] for one in some} for split, some in splits.items()}
    assert [len(some) for some in patients.values()] == [14, 3, 3] and len(set.union(*patients.values())) == 20
    assert [one for some in splits.values() for one in some] == documents
    assert [len(some) > 0 for some in demo_splits(DemoOptions(patients=3)).values()] == [True] * 3
    with pytest.raises(InputError, match="at least 3"):
        demo_splits(DemoOptions(patients=2))


@pytest.mark.parametrize("form", ["brat", "jsonl", "conll"])
def test_every_form_loads_without_loss(tmp_path, documents, form):
    counts = write_demo_entities(tmp_path / "demo", OPTIONS, form)
    assert sum(counts.values()) == len(documents)
    files = {split: [str(next((tmp_path / "demo").glob(f"{split}*")))] for split in counts}
    corpus = load_tagging_corpus(files, TaggingReadingOptions(overlapping="error"))
    assert len(corpus.labels) == 9
    annotated = {one.document_id: one for some in demo_splits(OPTIONS).values() for one in some}
    for split, sentences in corpus.splits.items():
        report = corpus.report["splits"][split]
        assert (
            report["documents"] == counts[split] and not report["dropped_entities"] and not report["changed_entities"]
        )
        mentions = sorted(
            " ".join(row["tokens"][first:last]) for row in sentences for _, first, last in entity_spans(row["tags"])
        )
        assert len(mentions) == sum(len(annotated[one.document_id].entities) for one in corpus.documents[split])
    if form != "conll":
        assert {one.document_id: one for some in corpus.documents.values() for one in some} == annotated

import gzip
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from corpora.brat import read_brat, write_brat
from corpora.entities import AnnotatedDocument, Entity
from corpora.errors import InputError
from corpora.flat_entities import flat_entities
from corpora.span_json_lines import read_span_json_lines
from corpora.tag_schemes import entity_spans
from corpora.tagging_corpus import tagged_sentences

MACCROBAT = (
    Path(os.environ.get("NOTESPACE_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "ner_maccrobat"
)
TEXT = "Started on aspirin 81 mg\nfor left and right knee pain."


@pytest.fixture
def folder(tmp_path):
    def write(text=TEXT, annotation="", name="100035"):
        (tmp_path / f"{name}.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        content = annotation if isinstance(annotation, bytes) else annotation.encode()
        (tmp_path / f"{name}.ann").write_bytes(content)
        return tmp_path

    return write


def test_the_form_of_n2c2_2018_is_read(folder):
    place = folder(
        annotation="T1\tDrug 11 18\taspirin\n"
        "T2\tReason 29 33;44 48\tleft knee\n"
        "T3\tStrength 19 24;25 28\t81 mg for\n"
        "R1\tReason-Drug Arg1:T2 Arg2:T1\n"
        "E1\tADE:T2\nA1\tNegated T2\nM1\tx T2\nN1\tReference T1 RxNorm:1191\taspirin\n#1\tAnnotatorNotes T1\tsure\n"
        "*\tEquiv T1 T2\n\n"
    )
    (place / "annotation.conf").write_text("[entities]\n")
    (place / "._100035.ann").write_bytes(b"\x00\xff")
    (document,), passed = read_brat(place)
    assert document == AnnotatedDocument(
        "100035",
        TEXT,
        (
            Entity("Drug", ((11, 18),), "T1"),
            Entity("Strength", ((19, 24), (25, 28)), "T3"),
            Entity("Reason", ((29, 33), (44, 48)), "T2"),
        ),
    )
    assert sum(passed.values()) == 7 and passed["relations"] == passed["notes"] == 1
    assert document.entities[2].is_discontinuous and (document.entities[2].start, document.entities[2].end) == (29, 48)


def test_a_pair_is_named_by_either_file(folder):
    place = folder(annotation="T1\tDrug 11 18\taspirin\n")
    folder(name="other.v2")
    for name in ("100035.txt", "100035.ann"):
        (document,), _ = read_brat(place / name)
        assert document.document_id == "100035" and len(document.entities) == 1
    assert [document.document_id for document in read_brat(place)[0]] == ["100035", "other.v2"]


def test_offsets_count_every_character_of_the_file(folder):
    # A byte-order mark, carriage returns and characters beyond the basic plane are one character each.
    text = "\ufeffa\r\n\U0001f48a pill\r\nof iron\r\n"
    start = text.index("\U0001f48a")
    place = folder(
        text, f"T1\tForm {start} {start + 6}\t\U0001f48a pill\r\nT2\tDrug {start + 2} {start + 10}\tpill  of\r\n"
    )
    (document,), _ = read_brat(place)
    assert document.text == text
    assert [text[one.start : one.end] for one in document.entities] == ["\U0001f48a pill", "pill\r\nof"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("T2\tDrug 11 99\taspirin", "reaches beyond the text of 54 characters"),
        ("T2\tDrug 18 11\taspirin", "holds no character"),
        ("T2\tDrug 11 11\t", "holds no character"),
        ("T2\tDrug 11 18;15 20\taspirin", "two parts of one entity share characters"),
        ("T2\tDrug 10 17\taspirin", "differs from the text at its offsets"),
        ("T1\tDrug 11 18\taspirin", "the id T1 occurs twice"),
        ("T2\tDrug 11 18", "the line is no annotation"),
        ("T2 Drug 11 18 aspirin", "the line is no annotation"),
        ("T2\tDrug -1 18\taspirin", "the line is no annotation"),
        ("T2\tDrug 11 18 20\taspirin", "the line is no annotation"),
        ("aspirin", "the line is no annotation"),
    ],
)
def test_faults_name_file_and_row_and_no_word(folder, line, problem):
    place = folder(annotation=f"T1\tDrug 11 18\taspirin\n\n{line}\n")
    with pytest.raises(InputError) as caught:
        read_brat(place)
    message = str(caught.value)
    assert problem in message and "aspirin" not in message
    assert caught.value.row == 3 and caught.value.file == place / "100035.ann"


def test_missing_halves_and_bytes_that_are_no_text(folder, tmp_path):
    with pytest.raises(InputError, match=r"holds no \.txt files"):
        read_brat(tmp_path)
    with pytest.raises(InputError, match="the file is missing"):
        read_brat(tmp_path / "1.txt")
    place = folder()
    (place / "1.ann").write_bytes(b"")
    with pytest.raises(InputError, match=r"an \.ann file without its \.txt") as caught:
        read_brat(place)
    assert caught.value.file == place / "1.ann"
    (place / "1.ann").rename(place / "100035.ann")
    (place / "2.txt").write_bytes(b"a\nb \xe4\n")
    with pytest.raises(InputError, match=r"a \.txt file without its \.ann"):
        read_brat(place)
    with pytest.raises(InputError, match="row 2: invalid UTF-8"):
        read_brat(place, labelled=False)
    (place / "2.txt").write_bytes(b"a\n")
    documents, _ = read_brat(place, labelled=False)
    assert [(one.document_id, one.entities) for one in documents] == [("100035", ()), ("2", ())]
    folder(annotation=b"T1\tDrug 11 18\taspirin\n#1\tx T1\t\xff\n", name="2")
    with pytest.raises(InputError, match=r"2\.ann, row 2: invalid UTF-8"):
        read_brat(place)


def test_what_is_written_is_read_back(tmp_path):
    text = "x\ty\r\nz \u2028 \U0001f48a\n end"
    documents = [
        AnnotatedDocument("a.b", text, (Entity("A", ((0, 6),), "T9"), Entity("B", ((0, 1), (9, 10)), "T4"))),
        AnnotatedDocument("b", "", ()),
        AnnotatedDocument("c", text, (Entity("A", ((2, 12),)), Entity("A", ((2, 12),)))),
    ]
    assert write_brat(tmp_path / "out", documents) == 3
    back, passed = read_brat(tmp_path / "out")
    assert back[:2] == documents[:2] and not passed
    assert [(one.label, one.spans) for one in back[2].entities] == [("A", ((2, 12),))] * 2
    assert [one.entity_id for one in back[2].entities] == ["T1", "T2"]  # numbered, as they had no ids
    lines = (tmp_path / "out" / "a.b.ann").read_bytes().decode().split("\n")
    assert lines[0] == "T9\tA 0 6\tx y  z" and lines[1].startswith("T4\tB 0 1;9 10\tx ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_ids_become_names_that_files_can_have(tmp_path):
    documents = [AnnotatedDocument(name, "x", ()) for name in ("../up", "a/b", "a%2Fb", ".hidden", "ä b")]
    write_brat(tmp_path / "out", documents)
    names = {path.name for path in (tmp_path / "out").glob("*.txt")}
    assert names == {"%2E.%2Fup.txt", "a%2Fb.txt", "a%252Fb.txt", "%2Ehidden.txt", "ä b.txt"}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (AnnotatedDocument("a", "x", ()), "'a' occurs twice"),
        (AnnotatedDocument("", "x", ()), "is empty"),
        (AnnotatedDocument("ä" * 200, "x", ()), "too long"),
        (AnnotatedDocument("b", "x", (Entity("two words", ((0, 1),)),)), "white space"),
    ],
)
def test_a_fault_leaves_nothing_behind(tmp_path, document, problem):
    with pytest.raises(InputError, match=problem):
        write_brat(tmp_path / "out", [AnnotatedDocument("a", "x", ()), document])
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "left.txt").write_text("of a killed run")
    (tmp_path / "out").mkdir()
    write_brat(tmp_path / "out", [AnnotatedDocument("a", "x", ())])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.ann", "a.txt"]
    with pytest.raises(InputError, match="not empty"):
        write_brat(tmp_path / "out", [])
    with pytest.raises(InputError, match="is a file"):
        write_brat(tmp_path / "out" / "a.txt", [])


@pytest.mark.skipif(not MACCROBAT.is_dir(), reason="the MACCROBAT files are not here")
def test_maccrobat_goes_through_brat_and_through_tags_to_the_character(tmp_path):
    rows, documents = [], []
    for name, opener in (("train.jsonl.gz", gzip.open), ("dev.jsonl", open)):
        documents += read_span_json_lines(MACCROBAT / name)
        with opener(MACCROBAT / name, "rt", encoding="utf-8", newline="") as lines:
            rows += map(json.loads, lines)
    given = Counter(
        (row["doc_id"], one["label"], tuple(map(tuple, one["spans"]))) for row in rows for one in row["entities"]
    )
    assert len(rows) == 158 and sum(given.values()) == 19_929

    write_brat(tmp_path / "brat", documents)
    back, _ = read_brat(tmp_path / "brat")
    assert sorted(back, key=lambda one: one.document_id) == sorted(documents, key=lambda one: one.document_id)
    assert given == Counter((one.document_id, entity.label, entity.spans) for one in back for entity in one.entities)

    sentences, counts = tagged_sentences(back, divide_words=True)
    found = Counter(
        (row["document_id"], label, ((row["starts"][first], row["ends"][last - 1]),))
        for row in sentences
        for label, first, last in entity_spans(row["tags"])
    )
    exact, dropped = sum((given & found).values()), sum(counts.dropped.values())
    assert (
        dropped
        == sum(given.values()) - sum(found.values())
        == sum(sum(flat_entities(document).dropped.values()) for document in back)
    )
    assert sum((found - given).values()) == sum(counts.changed.values())
    assert exact / sum(given.values()) > 0.98

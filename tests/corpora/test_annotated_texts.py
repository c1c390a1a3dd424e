"""Every word of annotated files is read for comparisons, and notes are told from annotated text."""

import gzip

import pytest

from corpora.annotated_texts import annotated_texts, divide_corpus
from corpora.errors import InputError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "brat" / "inner").mkdir(parents=True)
    (tmp_path / "brat" / "a.txt").write_text("no fever\n")
    (tmp_path / "brat" / "a.ann").write_text("T1\tSign 3 8\tfever\n")
    (tmp_path / "brat" / "inner" / "b.txt").write_text("mild cough\n")
    (tmp_path / "brat" / "inner" / "more.jsonl").write_text('{"text": "rash"}\n')
    (tmp_path / "brat" / "annotation.conf").write_text("[entities]\nSign\n")
    (tmp_path / "words.tsv").write_text("-DOCSTART- X O\n\nno\tX\tO\nfever\tY\tB-Sign\n\n# doc_id = 7\nmild\tX\tO\n")
    (tmp_path / "notes.tsv").write_text("text\tdocument_id\nno fever\ta\n")
    (tmp_path / "notes.csv").write_text("text,document_id\nno fever,a\n")
    (tmp_path / "plain.conll.gz").write_bytes(gzip.compress(b"no O\nfever B-Sign\n\nmild O\n"))
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "dataset_dict.json").write_text("{}")
    (tmp_path / "saved" / "x.txt").write_text("x")
    return tmp_path


def names(files, folder):
    return [str(file).removeprefix(f"{folder}/") for file in files]


def test_notes_and_annotated_text_are_told_apart(folder):
    given = ["brat", "words.tsv", "notes.tsv", "notes.csv", "plain.conll.gz", "saved"]
    annotated, others = divide_corpus([*(folder / name for name in given), f"{folder}/br*/a.*", "owner/name"])
    assert names(annotated, folder) == [
        *("brat/a.ann", "brat/a.txt", "brat/inner/b.txt", "words.tsv", "plain.conll.gz"),
    ]
    assert names(others, folder) == ["brat/inner/more.jsonl", "notes.tsv", "notes.csv", "saved", "owner/name"]
    # What is missing is named when it is read.
    assert divide_corpus([f"{folder}/*.iob", f"{folder}/none.tsv"]) == (
        [folder / "none.tsv"],
        [f"{folder}/*.iob"],
    )
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no saved dataset and no annotated files"):
        divide_corpus([folder / "empty"])


def test_columns_and_documents(folder):
    found = list(annotated_texts([folder / "words.tsv"]))
    texts = {(text, owner.removeprefix(str(folder))) for text, owner in found}
    assert {("no fever", "/words.tsv, 2"), ("X Y", "/words.tsv, 2")} < texts
    assert ("mild", "/words.tsv, 3") in texts and ("# doc_id = 7", "/words.tsv, 3") in texts
    assert not any("B-Sign" in text for text, _ in found)
    # Without marks of documents, all of a file counts as one.
    assert list(annotated_texts([folder / "plain.conll.gz"])) == [("no fever mild", f"{folder / 'plain.conll.gz'}, 1")]


def test_the_two_files_of_a_brat_document_have_one_owner(folder):
    found = list(annotated_texts([folder / "brat" / "a.ann", folder / "brat" / "a.txt"]))
    assert {owner for _, owner in found} == {str(folder / "brat" / "a")}
    assert found[1][0] == "no fever\n" and "Sign 3 8" in found[0][0]


def test_faults_are_named(folder):
    with pytest.raises(InputError, match="the file is missing"):
        list(annotated_texts([folder / "none.conll"]))
    (folder / "latin.txt").write_bytes(b"one\nf\xfcnf\n")
    with pytest.raises(InputError, match="row 2: invalid UTF-8"):
        list(annotated_texts([folder / "latin.txt"]))

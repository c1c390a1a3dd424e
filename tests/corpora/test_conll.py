import gzip

import pytest

from corpora.conll import read_conll, write_conll
from corpora.entities import Entity
from corpora.errors import InputError

TWO = "Aspirin\tB-Drug\n81\tB-Dose\nmg\tI-Dose\n\nNo\tO\npain\tB-Reason\n"


@pytest.fixture
def file(tmp_path):
    def write(text, name="notes.tsv", encoding="utf-8"):
        path = tmp_path / name
        content = text if isinstance(text, bytes) else text.encode(encoding)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return write


def _words(found):
    return [[sentence.words for sentence in document.sentences] for document in found.documents]


def test_sentences_without_document_marks_are_documents(file):
    found = read_conll(file(TWO))
    assert found.by_sentence and found.scheme == "IOB2"
    assert [document.document_id for document in found.documents] == ["notes-1", "notes-2"]
    first = found.documents[0].annotated()
    assert first.text == "Aspirin 81 mg"
    assert first.entities == (Entity("Drug", ((0, 7),)), Entity("Dose", ((8, 13),)))
    assert read_conll(file(TWO), stem="s").documents[1].document_id == "s-2"


@pytest.mark.parametrize(
    "text",
    [
        TWO.replace("\n", "\r\n"),
        "\ufeff" + TWO,
        TWO.replace("\n", "  \n"),
        TWO.replace("\n", "\t\n"),
        TWO.replace("\n\n", "\n \n\n\n\t\n"),  # empty sentences
        "\n\n" + TWO + "\n\n",
        TWO.rstrip("\n"),
        TWO.replace("\t", " "),
        TWO.replace("\t", "   "),
    ],
)
def test_line_ends_blanks_and_marks_change_nothing(file, text):
    found = read_conll(file(text))
    assert _words(found) == [[["Aspirin", "81", "mg"]], [["No", "pain"]]]
    assert found.documents[0].sentences[0].tags == ["B-Drug", "B-Dose", "I-Dose"]


def test_a_compressed_file_is_read(file):
    assert _words(read_conll(file(TWO, "notes.conll.gz"))) == [[["Aspirin", "81", "mg"]], [["No", "pain"]]]


@pytest.mark.parametrize(
    ("first", "second", "ids"),
    [
        ("-DOCSTART- n-7\n\n", "-DOCSTART- (8)\n\n", ["n-7", "8"]),
        ("-DOCSTART-\tO\n\n", "-DOCSTART- -X- O O\n", ["notes-1", "notes-2"]),
        ("# doc_id = n 7\n", "# newdoc id = 8\n# sent_id = 3\n# text = a\n", ["n 7", "8"]),
        ("", "# newdoc\n", ["notes-1", "notes-2"]),
    ],
)
def test_documents_begin_where_the_file_says(file, first, second, ids):
    found = read_conll(file(f"{first}a\tO\n\nb\tB-x\n\n{second}c\tO\n"))
    assert not found.by_sentence
    assert [document.document_id for document in found.documents] == ids
    assert _words(found) == [[["a"], ["b"]], [["c"]]]
    document = found.documents[0].annotated()
    assert document.text == "a\nb" and document.entities == (Entity("x", ((2, 3),)),)
    assert found.documents[0].offsets() == [[(0, 1)], [(2, 3)]]


def test_a_hash_is_a_word_too(file):
    found = read_conll(file("#\tO\n5\tB-x\n\n# \tO\n"))
    assert _words(found) == [[["#", "5"]], [["#"]]]


def test_columns_are_chosen(file):
    path = file("NN word O B-x\nNN other O O\n")
    assert _words(read_conll(path, token_column=2)) == [[["word", "other"]]]
    assert read_conll(path, token_column=2, tag_column=3).documents[0].sentences[0].tags == ["O", "O"]
    assert read_conll(path, token_column=-3).documents[0].sentences[0].words == ["word", "other"]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [("I-x B-x I-y", "IOB1"), ("B-x B-x B-y", "IOB2"), ("S-x S-x S-y", "BIOES"), ("U-x U-x U-y", "BIOES")],
)
def test_every_scheme_becomes_iob2(file, tags, scheme):
    found = read_conll(file("".join(f"w\t{tag}\n" for tag in tags.split())))
    assert found.scheme == scheme
    assert found.documents[0].sentences[0].tags == ["B-x", "B-x", "B-y"]


def test_io_tags_join_neighbours(file):
    found = read_conll(file("a\tI-x\nb\tI-x\n\nc\tI-y\n"))
    assert found.scheme == "IO"
    assert [document.sentences[0].tags for document in found.documents] == [["B-x", "I-x"], ["B-y"]]


def test_a_tag_that_continues_nothing_stops_or_is_repaired(file):
    path = file("a\tB-x\n\nb\tO\nsecret\tI-x\nc\tI-x\nd\tI-y\n")
    with pytest.raises(InputError, match=r"row 4: an I- tag that continues no entity.*--repair_tags") as caught:
        read_conll(path)
    assert caught.value.row == 4 and "secret" not in str(caught.value)
    found = read_conll(path, repair=True)
    assert found.counts == {"repaired tags": 2}
    assert found.documents[1].sentences[0].tags == ["O", "B-x", "I-x", "B-y"]
    assert read_conll(path, scheme="IOB1").documents[1].sentences[0].tags == ["O", "B-x", "I-x", "B-y"]


def test_a_forced_scheme_is_kept_to(file):
    with pytest.raises(InputError, match="row 1: the tag breaks IOB2"):
        read_conll(file("a\tS-x\n"), scheme="IOB2")
    with pytest.raises(InputError, match="row 2: the tag breaks BIOES"):
        read_conll(file("a\tB-x\nb\tI-x\n"), scheme="BIOES")


@pytest.mark.parametrize(
    ("text", "row", "problem"),
    [
        ("secret\n", 1, "a word without a tag"),
        ("a\tO\nsecret\n", 2, "1 column where the first word has 2"),
        ("a\tO\nsecret\t\n", 2, "1 column where"),
        ("a\tO\nb\tsecret\tO\n", 2, "3 columns where"),
        ("a\tO\n\n\tO\n", 3, "a tag without a word"),
        ("a\tO\nb\tsecret\n", 2, "the tag is not O"),
        ("a\tO\nb\tB-\n", 2, "the tag is not O"),
        ("\n \n", None, "holds no words"),
        ("-DOCSTART- a\n\n-DOCSTART- b\n", None, "holds no words"),
        ("# doc_id = a\nx\tO\n\n# doc_id = a\nsecret\tO\n", 4, "'a' occurs twice"),
        (b"a\tO\nsecret\xe4\tO\n", 2, "invalid UTF-8 at byte 7"),
        (b"", None, "holds no words"),
    ],
)
def test_faults_name_file_and_row_and_no_word(file, text, row, problem):
    path = file(text)
    with pytest.raises(InputError) as caught:
        read_conll(path)
    assert problem in str(caught.value) and str(path) in str(caught.value) and "secret" not in str(caught.value)
    assert caught.value.row == row


def test_a_missing_or_damaged_file_is_an_input_error(tmp_path, file):
    with pytest.raises(InputError, match="the file is missing"):
        read_conll(tmp_path / "none.tsv")
    path = tmp_path / "cut.tsv.gz"
    path.write_bytes(gzip.compress(TWO.encode() * 100)[:40])
    with pytest.raises(InputError, match="damaged or cut short"):
        read_conll(path)
    with pytest.raises(InputError, match="fewer than the options name"):
        read_conll(file(TWO), tag_column=3)


def test_unlabelled_words_are_read_whatever_else_there_is(file):
    for text in ("a\nb\n\nc\n", "a\tI-x\nb\tnonsense\n\nc\tO\n"):
        found = read_conll(file(text), labelled=False)
        assert _words(found) == [[["a", "b"]], [["c"]]] and found.scheme is None
        assert found.documents[0].annotated().entities == ()


def test_what_is_written_is_read_back(tmp_path):
    documents = [
        ("first note", [(["a", "#", "ä\u00a0b"], ["O", "B-x", "I-x"]), ([], []), (["c"], ["O"])]),
        ("2", [(["# doc_id = 3"], ["B-y"])]),
    ]
    for name in ("a.conll", "b.conll.gz"):
        write_conll(tmp_path / name, documents)
        found = read_conll(tmp_path / name)
        assert [
            (one.document_id, [(sentence.words, sentence.tags) for sentence in one.sentences])
            for one in found.documents
        ] == [(name, [pair for pair in sentences if pair[0]]) for name, sentences in documents]


@pytest.mark.parametrize(
    ("words", "tags", "problem"),
    [(["a", "b"], ["O"], "2 words and 1 tags"), (["a\tb"], ["O"], "a tab"), ([" "], ["O"], "blank")],
)
def test_what_no_line_can_hold_is_not_written(tmp_path, words, tags, problem):
    with pytest.raises(ValueError, match=problem):
        write_conll(tmp_path / "a.conll", [("1", [(["fine"], ["O"]), (words, tags)])])
    assert not list(tmp_path.iterdir())

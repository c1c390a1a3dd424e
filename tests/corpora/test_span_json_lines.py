import gzip
import json

import pytest

from corpora.entities import AnnotatedDocument, Entity
from corpora.errors import InputError
from corpora.span_json_lines import SpanKeys, read_span_json_lines, write_span_json_lines

TEXT = "Started aspirin 81 mg."
DRUG = {"label": "Drug", "start": 8, "end": 15}


@pytest.fixture
def file(tmp_path):
    def write(*rows, name="notes.jsonl"):
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        content = b"\n".join(lines) + b"\n"
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    "entity",
    [
        DRUG,
        {"label": "Drug", "spans": [[8, 15]]},
        {"label": "Drug", "start": 8, "end": 15, "text": "aspirin", "score": 0.5},
        [8, 15, "Drug"],
    ],
)
def test_every_form_of_an_entity_is_read(file, entity):
    row = {"document_id": "a", "text": TEXT, "entities": [entity]}
    for name in ("notes.jsonl", "notes.jsonl.gz"):
        assert read_span_json_lines(file(row, name=name)) == [
            AnnotatedDocument("a", TEXT, (Entity("Drug", ((8, 15),)),))
        ]


def test_discontinuous_entities_keep_their_parts_and_ids(file):
    entity = {"id": "T3", "label": "Drug", "spans": [[16, 18], [0, 7]], "text": "Started 81"}
    row = {"doc_id": 7, "text": TEXT, "entities": [entity, DRUG]}
    with pytest.raises(InputError, match="the words of entity 1 differ"):
        read_span_json_lines(file(row))
    entity["text"] = "81 Started"
    (document,) = read_span_json_lines(file(row))
    assert document.document_id == "7"
    assert document.entities == (Entity("Drug", ((0, 7), (16, 18)), "T3"), Entity("Drug", ((8, 15),)))


def test_keys_have_other_names(file):
    row = {"note": TEXT, "name": "x", "spans": [{"type": "Drug", "from": 8, "to": 15}], "id": "no"}
    keys = SpanKeys(text="note", document_id="name", entities="spans", label="type", start="from", end="to")
    assert read_span_json_lines(file(row), keys) == [AnnotatedDocument("x", TEXT, (Entity("Drug", ((8, 15),)),))]


def test_documents_without_ids_are_numbered_by_row(file):
    path = file({"text": "a", "entities": []}, b"  ", {"text": "", "entities": []}, name="notes.v2.jsonl")
    assert [one.document_id for one in read_span_json_lines(path)] == ["notes-1", "notes-3"]
    assert read_span_json_lines(path, stem="s")[0].document_id == "s-1"


def test_unlabelled_text_needs_no_entities(file):
    path = file({"text": TEXT}, {"text": TEXT, "entities": "nonsense"})
    assert [one.entities for one in read_span_json_lines(path, labelled=False)] == [(), ()]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b'{"document_id": "b", "text": "secr', "broken JSON"),
        (b'{"document_id": "b", "text": "secret \xff"}', "invalid UTF-8"),
        (b"[1]", "no JSON object"),
        ({"document_id": "b", "entities": []}, "column 'text': no text"),
        ({"document_id": "b", "text": None, "entities": []}, "no text"),
        ({"document_id": "a", "text": "secret", "entities": []}, "'a' occurs twice"),
        ({"text": "secret", "entities": []}, "the document id is missing"),
        ({"document_id": "b", "text": "secret"}, "column 'entities': no list of entities"),
        ({"document_id": "b", "text": "secret", "entities": ["x"]}, "entity 1 is no object"),
        ({"document_id": "b", "text": "secret", "entities": [{"start": 0, "end": 1}]}, "has no label"),
        ({"document_id": "b", "text": "secret", "entities": [{"label": "x"}]}, "has no offsets"),
        ({"document_id": "b", "text": "secret", "entities": [{"label": "x", "start": 0.5, "end": 1}]}, "no offsets"),
        ({"document_id": "b", "text": "secret", "entities": [{"label": "x", "start": False, "end": 1}]}, "no offsets"),
        ({"document_id": "b", "text": "secret", "entities": [[3, 3, "x"]]}, "from 3 to 3 holds no character"),
        ({"document_id": "b", "text": "secret", "entities": [[-1, 3, "x"]]}, "holds no character"),
        ({"document_id": "b", "text": "secret", "entities": [[0, 1, "x"], [2, 7, "x"]]}, "entity 2: .*beyond the text"),
        (
            {"document_id": "b", "text": "secret", "entities": [{"label": "x", "spans": [[0, 3], [2, 4]]}]},
            "share characters",
        ),
        (
            {"document_id": "b", "text": "secret", "entities": [DRUG | {"start": 0, "end": 6, "text": "secre"}]},
            "differ from the text",
        ),
    ],
)
def test_faults_name_file_and_row_and_no_word(file, row, problem):
    path = file({"document_id": "a", "text": TEXT, "entities": [DRUG]}, row)
    with pytest.raises(InputError, match=problem) as caught:
        read_span_json_lines(path)
    assert caught.value.row == 2 and caught.value.file == str(path) and "secre" not in str(caught.value)


def test_files_without_rows(file, tmp_path):
    with pytest.raises(InputError, match="holds no rows"):
        read_span_json_lines(file(b" "))
    with pytest.raises(InputError, match="is missing"):
        read_span_json_lines(tmp_path / "none.jsonl")


def test_what_is_written_is_read_back(tmp_path):
    documents = [
        AnnotatedDocument(
            "a", "x\r\n\u2028\x85 \U0001f48a", (Entity("A", ((0, 1),)), Entity("B", ((0, 1), (3, 7)), "T1"))
        ),
        AnnotatedDocument("b", "", ()),
    ]
    for name in ("a.jsonl", "a.jsonl.gz"):
        assert write_span_json_lines(tmp_path / name, documents) == 2
        assert read_span_json_lines(tmp_path / name) == documents
    assert len((tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()) == 2
    with pytest.raises(InputError, match="is a folder"):
        write_span_json_lines(tmp_path, documents)


def test_probabilities_of_a_model_and_half_pairs_are_written(tmp_path):
    found = (Entity("A", ((0, 1),), probability=0.123456), Entity("B", ((0, 1), (2, 3)), "T1", 0.5))
    assert write_span_json_lines(tmp_path / "a.jsonl", [AnnotatedDocument("a", "x\ud83d x", found)]) == 1
    assert json.loads((tmp_path / "a.jsonl").read_text(encoding="utf-8")) == {
        "document_id": "a",
        "text": "x\ud83d x",
        "entities": [
            {"label": "A", "start": 0, "end": 1, "probability": 0.1235},
            {"label": "B", "spans": [[0, 1], [2, 3]], "probability": 0.5, "id": "T1"},
        ],
    }

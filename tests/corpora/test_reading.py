"""Reading: every kind of file gives the same records, and every fault is one line that names its place."""

import csv
import gzip
import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.columns import NoteColumns, preset_columns, read_admissions, resolve_columns
from corpora.errors import InputError
from corpora.reading import available_columns, read_rows
from corpora.records import ReadingOptions, read_records, resolve_all
from corpora.sources import find_sources

SECRET = "zebrafish"  # stands for document text, which no message may show
ROWS = [
    {"text": f'{SECRET}, "quoted"\r\nsecond line', "patient": "7", "kind": "Nursing", "label": "a"},
    {"text": f"{SECRET} café 心电图", "patient": "8", "kind": "", "label": ""},
    {"text": f"{SECRET}\tthird", "patient": "7", "kind": "ECG", "label": "b"},
]
COLUMNS = NoteColumns(patient_column="patient", category_column="kind", label_columns=("label",))


def write(path, rows=ROWS):
    name = path.name.removesuffix(".gz")
    if name.endswith((".csv", ".tsv")):
        with path.open("w", newline="", encoding="utf-8-sig") as stream:
            writer = csv.DictWriter(stream, rows[0], delimiter="\t" if name.endswith(".tsv") else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist([{k: v or None for k, v in row.items()} for row in rows]), path)
    else:
        lines = [json.dumps({k: v or None for k, v in row.items()}) for row in rows]
        path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    return path


def records(path, columns=COLUMNS, **options):
    reading = ReadingOptions(**options)
    sources = find_sources(path)
    resolved = resolve_all(sources, columns, reading)
    return [
        record for source, one in zip(sources, resolved, strict=True) for record in read_records(source, one, reading)
    ]


def fault(path, columns=None, **options):
    with pytest.raises(InputError) as caught:
        records(path, columns or NoteColumns(), **options)
    message = str(caught.value)
    assert SECRET not in message and "\n" not in message and caught.value.remedy
    return caught.value


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "json", "parquet"])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_every_kind_of_file_gives_the_same_records(tmp_path, suffix, packed):
    path = write(tmp_path / f"notes.{suffix}{packed}")
    found = records(path)
    assert [record.text for record in found] == [row["text"] for row in ROWS]
    assert [record.patient_id for record in found] == ["7", "8", "7"]
    assert [record.note_category for record in found] == ["Nursing", None, "ECG"]
    assert [record.labels for record in found] == [('"a"',), (None,), ('"b"',)]
    assert [record.document_id for record in found] == ["notes-1", "notes-2", "notes-3"]
    assert [record.row for record in found] == [1, 2, 3]


def test_saved_datasets_are_read_with_their_splits(tmp_path):
    import datasets

    rows = [{"text": f"{SECRET} {number}", "document_id": number} for number in range(600)]
    parts = datasets.DatasetDict(
        train=datasets.Dataset.from_list(rows[:500]), test=datasets.Dataset.from_list(rows[500:])
    )
    parts.save_to_disk(tmp_path / "saved")
    parts["test"].save_to_disk(tmp_path / "one")
    found = records(tmp_path / "saved", NoteColumns(split_column="split"))
    assert [(record.document_id, record.split) for record in found] == [
        (str(number), "train" if number < 500 else "test") for number in range(600)
    ]
    assert len(records(tmp_path / "one", NoteColumns())) == 100


def test_globs_are_sorted_and_made_ids_stay_distinct(tmp_path):
    for folder in ("b", "a"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "notes.jsonl")
    found = records(str(tmp_path / "*" / "notes.jsonl"))
    assert [record.document_id for record in found] == [f"notes{n}-{row}" for n in ("", ".2") for row in (1, 2, 3)]
    assert find_sources(str(tmp_path / "*" / "*"))[0].name.endswith("a/notes.jsonl")


def test_mimic3_preset_reads_noteevents(tmp_path):
    path = tmp_path / "NOTEEVENTS.csv"
    path.write_text(
        '"ROW_ID","SUBJECT_ID","HADM_ID","CHARTDATE","CATEGORY","ISERROR","TEXT"\n'
        '1,7,100.0,2101-01-01,"Nursing",,"stable overnight"\n'
        '2,7,100,2101-01-01,"Nursing",1,"wrong patient"\n'
        '3,8,200,2101-01-01,"ECG",,"sinus rhythm"\n',
        encoding="utf-8",
    )
    (source,) = find_sources(path)
    columns = resolve_columns(preset_columns("mimic3"), available_columns(source), "x")
    found = list(read_records(source, columns, excluded_admissions=frozenset({"100"})))
    assert [record.dropped for record in found] == ["excluded admission", "entered in error", None]
    assert found[2][2:5] == ("3", "8", "ECG")
    lower = resolve_columns(preset_columns("mimic3"), [name.lower() for name in available_columns(source)], "x")
    assert lower.text_column == "text" and lower.error_column == "iserror"


def test_lists_of_admissions(tmp_path):
    plain, table, packed = tmp_path / "plain.txt", tmp_path / "table.csv", tmp_path / "packed.csv.gz"
    plain.write_text("100\n200\n\n", encoding="utf-8")
    table.write_text("subject_id,hadm_id\n7,100\n8,200.0\n", encoding="utf-8")
    packed.write_bytes(gzip.compress(b"HADM_ID\n100\n200\n"))
    for file in (plain, table, packed):
        assert read_admissions(file, "HADM_ID") == {"100", "200"}
    for name, content in {"empty": "", "other": "a,b\n1,2\n"}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=name):
            read_admissions(tmp_path / name, "HADM_ID")
    with pytest.raises(InputError, match="missing"):
        read_admissions(tmp_path / "nowhere", "HADM_ID")


def test_labels_keep_their_kind(tmp_path):
    path = tmp_path / "notes.jsonl"
    rows = [{"text": SECRET, "a": 1.0, "b": ["x", "y"], "c": True}, {"text": SECRET, "a": None, "b": []}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = records(path, NoteColumns(label_columns=("a", "b", "c")))
    assert [record.labels for record in found] == [("1", '["x", "y"]', "1"), (None, "[]", None)]


FAULTS = {
    "missing column": ("notes.csv", f"note\n{SECRET}\n", None, "text"),
    "semicolons": ("notes.csv", f"id;text\n1;{SECRET}\n", None, "text"),
    "empty file": ("notes.csv", "", None, None),
    "header only": ("notes.csv", "text\n", None, None),
    "empty json lines": ("notes.jsonl", "\n\n", None, None),
    "numbers in CSV": ("notes.csv", "text\n1\n2.5\n", 1, "text"),
    "numbers in JSON": ("notes.jsonl", f'{{"text": "{SECRET}"}}\n{{"text": 5}}\n', 2, "text"),
    "list as text": ("notes.jsonl", f'{{"text": ["{SECRET}"]}}\n', 1, "text"),
    "empty text": ("notes.csv", f"id,text\n1,{SECRET}\n2,\n", 2, "text"),
    "blank text": ("notes.csv", f"id,text\n1,{SECRET}\n2,  \n", 2, "text"),
    "NaN in CSV": ("notes.csv", f"id,text\n1,{SECRET}\n2,nan\n", 2, "text"),
    "NaN in JSON": ("notes.jsonl", f'{{"text": "{SECRET}"}}\n{{"text": NaN}}\n', 2, "text"),
    "null in JSON": ("notes.jsonl", f'{{"text": "{SECRET}"}}\n{{"text": null}}\n', 2, "text"),
    "key left out": ("notes.jsonl", f'{{"text": "{SECRET}"}}\n{{"id": 1}}\n', 2, "text"),
    "half a JSON line": ("notes.jsonl", f'{{"text": "{SECRET}"}}\n{{"text": "{SECRET}', 2, None),
    "JSON array": ("notes.json", f'[{{"text": "{SECRET}"}}]', None, None),
    "JSON scalar": ("notes.jsonl", f'"{SECRET}"', 1, None),
    "lone surrogate": ("notes.jsonl", f'{{"text": "{SECRET} \\ud83d"}}', 1, "text"),
    "too few fields": ("notes.csv", f"id,text\n1,{SECRET}\n2\n", 2, None),
    "open quote": ("notes.csv", f'id,text\n1,{SECRET}\n2,"{SECRET}\n3,{SECRET}\n', 2, None),
    "column twice": ("notes.csv", f"{SECRET},text,{SECRET}\na,b,c\n", None, None),
    "invalid UTF-8": ("notes.csv", b"id,text\n1,fine\n2,caf\xe9\n", 2, None),
    "invalid UTF-8 in JSON": ("notes.jsonl", b'{"text": "fine"}\n{"text": "caf\xe9"}\n', 2, None),
    "UTF-16": ("notes.csv", "id,text\n1,a\n".encode("utf-16"), None, None),
    "not compressed": ("notes.csv.gz", f"text\n{SECRET}\n", None, None),
    "not Parquet": ("notes.parquet", f"text\n{SECRET}\n", None, None),
    "unknown kind": ("notes.docx", SECRET, None, None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_names_file_row_and_column(tmp_path, name):
    file, content, row, column = FAULTS[name]
    path = tmp_path / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    error = fault(path)
    assert str(error.file) == str(path)
    assert (error.row, error.column) == (row, column)


def test_an_export_in_utf_16_is_named_in_the_remedy(tmp_path):
    path = tmp_path / "notes.csv"
    for encoding, named in (("utf-16", "UTF-16"), ("cp1252", "WINDOWS-1252")):
        path.write_bytes("id;Befünde\n".encode(encoding))
        assert f"iconv -f {named} -t UTF-8" in str(fault(path))


def test_a_compressed_file_cut_short_is_refused(tmp_path):
    path = tmp_path / "notes.jsonl.gz"
    lines = "".join(
        json.dumps({"text": f"{number} {np.random.default_rng(number).bytes(20).hex()}"}) + "\n"
        for number in range(500)
    )
    path.write_bytes(gzip.compress(lines.encode())[:-2_000])
    error = fault(path)
    assert "cut short" in str(error) and error.row > 1


def test_invalid_utf8_in_parquet_names_row_and_column(tmp_path):
    raw = pa.array([b"fine"] * 300 + [b"caf\xe9"])
    text = pa.StringArray.from_buffers(301, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"text": text}), tmp_path / "notes.parquet")
    error = fault(tmp_path / "notes.parquet")
    assert (error.row, error.column) == (301, "text")


def test_missing_inputs(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("nowhere.csv", "*.csv", "folder"):
        assert name in str(fault(tmp_path / name))
    with pytest.raises(InputError, match="twice"):
        path = write(tmp_path / "notes.csv")
        find_sources([path, path])


def test_an_unknown_hub_dataset_is_a_clear_fault(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "neither a file here nor a Hub dataset" in str(fault("nobody/nothing-of-this-name"))


def test_a_hub_dataset_is_read_by_split(monkeypatch):
    import datasets

    parts = datasets.DatasetDict(dev=datasets.Dataset.from_dict({"text": [SECRET, "b"]}))
    monkeypatch.setattr("datasets.load_dataset", lambda name: parts)
    found = records("owner/notes-of-ours", NoteColumns(split_column="split"))
    assert [(record.document_id, record.split) for record in found] == [
        ("notes-of-ours-dev-1", "validation"),
        ("notes-of-ours-dev-2", "validation"),
    ]


def test_only_some_inputs_with_patients_is_a_fault(tmp_path):
    write(tmp_path / "a.csv", [{"text": SECRET, "patient_id": 1}])
    write(tmp_path / "b.csv", [{"text": SECRET}])
    assert "no patient column" in str(fault(str(tmp_path / "*.csv")))


def test_documents_too_long_or_empty_are_skipped_and_named_on_request(tmp_path):
    path = write(tmp_path / "notes.csv", [{"text": "a " * 2_500_000}, {"text": ""}, {"text": "short"}])
    error = fault(path)
    assert error.row == 1 and "5,000,000 characters" in str(error) and "--on_too_long skip" in str(error)
    assert fault(path, on_too_long="skip").row == 2
    found = records(path, NoteColumns(), on_too_long="skip", on_empty_text="skip")
    assert [(record.text, record.dropped) for record in found] == [
        ("", "too long"),
        ("", "empty text"),
        ("short", None),
    ]
    assert len(records(path, NoteColumns(), max_characters=5_000_000, on_empty_text="skip")[0].text) == 5_000_000


def test_a_missing_patient_is_a_fault_or_skipped(tmp_path):
    path = write(tmp_path / "notes.csv", [{"text": "one", "patient_id": "1"}, {"text": "two", "patient_id": ""}])
    error = fault(path)
    assert (error.row, error.column) == (2, "patient_id")
    assert [r.dropped for r in records(path, NoteColumns(), on_missing_patient="skip")] == [None, "no patient id"]
    kept = records(path, NoteColumns(), on_missing_patient="keep")
    assert [(r.patient_id, r.dropped) for r in kept] == [("1", None), (None, None)]


def test_near_column_names_are_suggested(tmp_path):
    path = write(tmp_path / "notes.csv", [{"texts": SECRET}])
    assert "did you mean --text_column texts?" in str(fault(path))
    path = write(tmp_path / "spaced.csv", [{"text ": SECRET}])
    assert "did you mean --text_column 'text '?" in str(fault(path))


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_reading_holds_a_row_not_the_file(tmp_path, suffix):
    path = write(tmp_path / f"notes.{suffix}", [{"text": "x" * 1_000} for _ in range(5_000)])
    (source,) = find_sources(path)
    tracemalloc.start()
    assert sum(len(row["text"]) for _, row in read_rows(source, ["text"])) == 5_000_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000

"""Inputs that files of other systems hold: late columns, words for nothing, numbers and dates beyond, text as an id."""

import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collators.tokenized import LengthReport
from corpora.annotated_files import find_annotated_inputs
from corpora.brat import read_brat
from corpora.canaries import CanaryOptions
from corpora.columns import NoteColumns, shown_id
from corpora.complete_files import complete_folder
from corpora.concept_names import read_concept_names
from corpora.conll import read_conll, write_conll
from corpora.encounter_loading import load_encounters
from corpora.encounter_options import EncounterOptions
from corpora.errors import InputError
from corpora.event_times import read_moment
from corpora.hold_out import _numbers
from corpora.loading import load_corpus
from corpora.preparation import prepare_notes
from corpora.preparation_report import preparation_table
from corpora.sources import find_sources
from corpora.tagging_options import TaggingReadingOptions


def rows_file(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def notes(count, **columns):
    return [
        {"text": f"well number {number} today", **{name: value(number) for name, value in columns.items()}}
        for number in range(count)
    ]


def refused(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_patients_that_begin_after_the_first_thousand_rows_are_not_passed_over(tmp_path):
    late = [*notes(1000), *notes(3, patient_id=str)]
    message = refused(prepare_notes, rows_file(tmp_path / "late.jsonl", late), tmp_path / "out")
    assert "late.jsonl, row 1,001, column 'patient_id'" in message and "first 1,000 rows" in message
    assert not (tmp_path / "out").exists()
    early = [{**notes(1)[0], "patient_id": None}, *late]
    columns = NoteColumns(patient_column="patient_id")
    assert "patient id is missing" in refused(
        prepare_notes, rows_file(tmp_path / "early.jsonl", early), tmp_path / "out", columns
    )


@pytest.mark.parametrize("word", ["nan", "NaN", "NULL", "null", "None", "<NA>", " "])
def test_words_for_nothing_are_no_patient(tmp_path, word):
    file = rows_file(tmp_path / "notes.jsonl", notes(9, patient_id=lambda number: word if number == 4 else str(number)))
    message = refused(prepare_notes, file, tmp_path / "out")
    assert "row 5, column 'patient_id': the patient id is missing" in message


def test_text_in_the_category_column_is_in_no_report(tmp_path):
    secret = "Mr Jones presented with a cough"
    file = rows_file(tmp_path / "notes.jsonl", notes(60, note_category=lambda number: f"{secret} {number // 2 * 2}"))
    report = prepare_notes(file, tmp_path / "many")
    assert secret in preparation_table(report)  # thirty categories of two documents each
    file = rows_file(tmp_path / "notes.jsonl", notes(60, note_category=lambda number: f"{secret} {number}"))
    report = prepare_notes(file, tmp_path / "out")
    assert secret not in json.dumps(report) and secret not in preparation_table(report)
    together = "60 values that look like free text"
    assert report["categories"] == {together: {"read": 60, "kept": 60, "share_kept": 1.0}}
    assert all(part["categories"] == {together: part["documents"]} for part in report["splits"].values())
    counts = {f"{secret} {number}": 1 for number in range(30)}
    kept = LengthReport({None: 1, **dict(list(counts.items())[:20])}, {None: 2, **counts}, 5).as_dict()
    assert kept["kept_by_category"] == {"": [1, 2], "30 values that look like free text": [20, 30]}


@pytest.mark.parametrize("option", ["document_id_column", "patient_column", "category_column", "split_column"])
def test_the_text_is_no_id(option):
    assert f"name another column with --{option}" in refused(NoteColumns, text_column="note", **{option: "note"})


def test_ids_that_may_be_text_are_not_shown(tmp_path):
    assert shown_id("note-12") == "'note-12'" and shown_id("x" * 41) == "of 41 characters"
    assert shown_id("John Smith has HIV") == "of 18 characters"
    rows = notes(2, document_id=lambda number: "John Smith has HIV")
    message = refused(prepare_notes, rows_file(tmp_path / "notes.jsonl", rows), tmp_path / "out")
    assert "document id of 18 characters occurs twice, first in row 1 of " in message
    assert "document id of 18 characters occurs twice" in refused(load_corpus, [str(tmp_path / "notes.jsonl")])


@pytest.mark.parametrize("label", [10**25, -(2**63) - 1, 1e25])
def test_labels_beyond_64_bits(tmp_path, label):
    rows = notes(3, label=lambda number: label if number == 1 else number)
    file = rows_file(tmp_path / "notes.jsonl", rows)
    message = refused(prepare_notes, file, tmp_path / "out", NoteColumns(label_columns=("label",)))
    assert "row 2, column 'label': the label is a number beyond 64 bits" in message
    assert not list(tmp_path.glob("out*"))


def test_a_number_of_thousands_of_digits(tmp_path):
    (tmp_path / "notes.jsonl").write_text('{"text": "well", "n": ' + "9" * 5000 + "}\n")
    assert "row 1: broken JSON" in refused(prepare_notes, tmp_path / "notes.jsonl", tmp_path / "out")


def test_parquet_with_one_name_twice_or_dates_beyond_the_calendar(tmp_path):
    columns = [pa.array(["a", "b"]), pa.array(["c", "d"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "text"]), tmp_path / "twice.parquet")
    assert "two columns have the same name" in refused(prepare_notes, tmp_path / "twice.parquet", tmp_path / "out")
    when = pa.array([0, 2**60], pa.int64()).cast(pa.timestamp("us"))
    pq.write_table(pa.table({"text": ["well", "ill"], "patient_id": when}), tmp_path / "beyond.parquet")
    message = refused(prepare_notes, tmp_path / "beyond.parquet", tmp_path / "out")
    assert "row 2, column 'patient_id': a date that the calendar does not have" in message


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
def test_moments_at_the_ends_of_the_calendar(text):
    date = datetime.datetime.fromisoformat(text).replace(tzinfo=None)
    assert read_moment(text).earliest == (date - datetime.datetime(1970, 1, 1)).total_seconds() / 60


@pytest.mark.parametrize("mark", ["", "[]", '{"fingerprint": 3}', "{"])
def test_a_preparation_whose_mark_is_damaged_begins_anew(tmp_path, mark):
    file = rows_file(tmp_path / "notes.jsonl", notes(5))
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "job.json").write_text(mark)
    assert prepare_notes(file, tmp_path / "out")["documents_kept"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.jsonl", "out"]


@pytest.mark.parametrize("output", [".", "..", "inner/.."])
def test_the_folder_one_is_in_is_no_output(tmp_path, monkeypatch, output):
    (tmp_path / "here" / "inner").mkdir(parents=True)
    file = rows_file(tmp_path / "notes.jsonl", notes(5))
    monkeypatch.chdir(tmp_path / "here")
    assert "the folder you are in, or around it" in refused(prepare_notes, file, output)
    assert "the folder you are in, or around it" in refused(complete_folder(output).__enter__)
    assert prepare_notes(file, "inner")["documents_kept"] == 5


def test_a_cell_that_holds_several_values(tmp_path):
    wide = [{"encounter_id": number, "dead": number % 2, "cough": "yes"} for number in range(4)]
    wide[2]["cough"] = ["yes", "no"]
    options = EncounterOptions(encounter_format="wide", outcome_column="dead", positive_values=["1"])
    message = refused(load_encounters, [str(rows_file(tmp_path / "wide.jsonl", wide))], options)
    assert "wide.jsonl, row 3, column 'cough': the cell is no single value" in message


def test_one_file_of_concept_names(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"code,name\n{name},cough\n")
    assert "one file or one split of names" in refused(read_concept_names, str(tmp_path / "*.csv"))


def test_a_seed_below_zero():
    assert "--canary_seed -1 is below 0" in refused(CanaryOptions, canaries=2, canary_seed=-1)


@pytest.mark.parametrize("content", ["{}", '{"splits": []}', '{"splits": "train"}'])
def test_a_saved_dataset_without_splits(tmp_path, content):
    (tmp_path / "dataset_dict.json").write_text(content)
    assert "dataset_dict.json: the saved dataset names no splits" in refused(find_sources, tmp_path)


def test_missing_values_are_numbered_apart_from_numbers():
    assert len(set(_numbers(["0", None, "1", None, "3"]).tolist())) == 5


def test_lines_that_end_with_a_carriage_return_alone(tmp_path):
    (tmp_path / "old.conll").write_bytes(b"Aspirin\tB-Drug\r75\tB-Dose\rmg\tI-Dose\r")
    assert "old.conll, row 1: lines end with a carriage return alone" in refused(read_conll, tmp_path / "old.conll")


def test_an_id_of_several_lines_is_no_line(tmp_path):
    assert "of several lines" in refused(write_conll, tmp_path / "out.conll", [("a\nb", [(["well"], ["O"])])])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ann", ["2.ann", "2.ANN"])
def test_names_in_capitals_are_pairs_too(tmp_path, ann):
    (tmp_path / "1.txt").write_text("Started aspirin")
    (tmp_path / "1.ann").write_text("")
    (tmp_path / "2.TXT").write_text("Started heparin")
    (tmp_path / ann).write_text("T1\tDrug 8 15\theparin\n")
    found, _ = read_brat(tmp_path)
    assert [(one.document_id, len(one.entities)) for one in found] == [("1", 0), ("2", 1)]
    assert [one.document_id for one in read_brat(tmp_path / "2.TXT")[0]] == ["2"]
    options = TaggingReadingOptions()
    assert len(find_annotated_inputs({"test": [str(tmp_path / "2.*")]}, options)["test"]) == 1

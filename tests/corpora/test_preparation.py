"""The preparation job: what it keeps, counts and refuses, and that a killed one ends like any other."""

import json
import random
import signal
import subprocess
import sys
import time

import datasets
import pytest

import corpora.chunks
from corpora.cleaning import CleaningOptions
from corpora.columns import NoteColumns, preset_columns
from corpora.deduplication import DuplicateOptions
from corpora.errors import InputError
from corpora.preparation import prepare_notes
from corpora.preparation_report import preparation_table
from corpora.records import ReadingOptions
from corpora.splitting import SplitOptions


def note(seed, words=40):
    generator = random.Random(seed)
    return " ".join(f"w{generator.randrange(400)}" for _ in range(words))


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def made_up_rows(count, start=0):
    """Rows of patients with several notes, near-duplicates between patients, and a label."""
    rows = []
    for number in range(start, start + count):
        text = note(number, words=80)
        if number % 20 == 19:
            text = note(number - 12, words=80).rsplit(" ", 1)[0] + f" near{number}"
        rows.append(
            {
                "text": text,
                "document_id": f"d{number}",
                "patient_id": f"p{number // 4}",
                "note_category": ["Nursing", "Radiology", "ECG"][number % 3],
                "label": number % 2,
            }
        )
    return rows


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_prepared_corpus_has_the_standard_columns_and_keeps_units_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora.chunks, "CHUNK_ROWS", 170)
    rows = made_up_rows(1_000)
    columns = NoteColumns(label_columns=("label",))
    report = prepare_notes(write(tmp_path / "notes.jsonl", rows), tmp_path / "out", columns)
    corpus = datasets.load_from_disk(tmp_path / "out")
    assert list(corpus) == ["train", "validation", "test"]
    assert corpus["train"].column_names == ["text", "document_id", "patient_id", "note_category", "label", "dup_group"]
    assert str(corpus["test"].features["label"]) == "Value('int64')"
    by_id = {row["document_id"]: row for row in rows}
    seen = {}
    for split, part in corpus.items():
        assert str(part.split) == split
        for row in part:
            group = row.pop("dup_group")
            assert row == by_id.pop(row["document_id"])
            for key in (("patient", row["patient_id"]), ("group", group)):
                assert seen.setdefault(key, split) == split
            seen.setdefault(("members", group), split)
    assert not by_id  # every document is there, unchanged, once
    groups = [key for key in seen if key[0] == "group"]
    assert len(groups) == 950  # fifty near-duplicates, each with its original
    assert report["near_duplicates"] == {"groups": 50, "documents": 100, "largest_group": 2}
    assert [report["splits"][name]["documents"] for name in corpus] == [800, 100, 100]
    assert sum(part["patients"] for part in report["splits"].values()) == 250
    assert sum(part["words"] for part in report["splits"].values()) == sum(len(row["text"].split()) for row in rows)
    assert report["categories"]["ECG"] == {"read": 333, "kept": 333, "share_kept": 1.0}
    assert json.loads((tmp_path / "out" / "preparation.json").read_text()) == report
    assert not (tmp_path / "out.partial").exists()
    # The library can go on from here: map and save, which rely on the fingerprints.
    corpus.map(lambda row: {"length": len(row["text"])}).save_to_disk(tmp_path / "copy")
    assert corpus["train"]._fingerprint != corpus["test"]._fingerprint


def test_a_sample_is_split_as_a_corpus_of_its_own(tmp_path):
    rows = made_up_rows(1_000)
    notes = write(tmp_path / "notes.jsonl", [*rows, {**rows[0], "document_id": "again"}])
    report = prepare_notes(notes, tmp_path / "out", splits=SplitOptions(sample_share=0.3, seed=2))
    kept = report["documents_kept"]
    assert 200 < kept < 400
    assert report["dropped"] == {"exact duplicate": 1, "outside the sample": 1_000 - kept}
    assert report["options"]["splits"]["sample_share"] == 0.3
    splits = {name: part["documents"] for name, part in report["splits"].items()}
    assert sum(splits.values()) == kept and splits["test"] == pytest.approx(0.1 * kept, abs=3)
    ids = {split: set(part["document_id"]) for split, part in datasets.load_from_disk(tmp_path / "out").items()}
    patients = {row["document_id"]: row["patient_id"] for row in rows}
    drawn = {patients[one] for part in ids.values() for one in part}
    # Whole patients: every other note of theirs is there, too.
    assert sum(row["patient_id"] in drawn for row in rows) == kept
    whole = prepare_notes(notes, tmp_path / "whole")
    assert "sample_share" not in whole["options"]["splits"]  # the job that it was before there were samples
    with pytest.raises(InputError, match="no document is in the sample"):
        prepare_notes(write(tmp_path / "few.jsonl", rows[:3]), tmp_path / "few", splits=SplitOptions(sample_share=1e-9))
    assert not (tmp_path / "few").exists()


def test_documents_without_a_label_are_counted(tmp_path):
    rows = [{**row, "team": "a" if number % 4 else None} for number, row in enumerate(made_up_rows(200))]
    columns = NoteColumns(label_columns=("label", "team"))
    report = prepare_notes(write(tmp_path / "notes.jsonl", rows), tmp_path / "out", columns)
    assert report["labels"] == {"label": {"with": 200, "without": 0}, "team": {"with": 150, "without": 50}}
    assert "\nteam    150       50" in preparation_table(report)
    assert "label" not in preparation_table(prepare_notes(tmp_path / "notes.jsonl", tmp_path / "plain"))


def test_what_is_dropped_and_changed_is_counted(tmp_path):
    rows = [
        {"ROW_ID": 1, "SUBJECT_ID": 1, "HADM_ID": 10, "CATEGORY": "A", "ISERROR": None, "TEXT": note(1) + "  [**x**]"},
        {"ROW_ID": 2, "SUBJECT_ID": 2, "HADM_ID": 20, "CATEGORY": "A", "ISERROR": None, "TEXT": note(1) + " [**y**]"},
        {"ROW_ID": 3, "SUBJECT_ID": 3, "HADM_ID": 30, "CATEGORY": "B", "ISERROR": 1, "TEXT": note(3)},
        {"ROW_ID": 4, "SUBJECT_ID": 4, "HADM_ID": 40, "CATEGORY": "B", "ISERROR": None, "TEXT": note(4)},
        {"ROW_ID": 5, "SUBJECT_ID": 5, "HADM_ID": 50, "CATEGORY": "B", "ISERROR": None, "TEXT": "too short"},
        {"ROW_ID": 6, "SUBJECT_ID": 6, "HADM_ID": 60, "CATEGORY": "B", "ISERROR": None, "TEXT": None},
        {"ROW_ID": 7, "SUBJECT_ID": 7, "HADM_ID": 70, "CATEGORY": None, "ISERROR": None, "TEXT": note(7)},
        {"ROW_ID": 8, "SUBJECT_ID": 8, "HADM_ID": 80, "CATEGORY": "C", "ISERROR": None, "TEXT": note(7)},
    ]
    (tmp_path / "admissions").write_text("40\n", encoding="utf-8")
    report = prepare_notes(
        write(tmp_path / "notes.jsonl", rows),
        tmp_path / "out",
        preset_columns("mimic3"),
        reading=ReadingOptions(on_empty_text="skip"),
        cleaning=CleaningOptions(min_words=3),
        splits=SplitOptions(validation_share=0, test_share=0),
        exclude_admissions=tmp_path / "admissions",
    )
    assert report["documents_read"] == 8 and report["documents_kept"] == 2
    assert report["dropped"] == {
        "empty text": 1,
        "entered in error": 1,
        "exact duplicate": 2,
        "excluded admission": 1,
        "too short": 1,
    }
    assert report["cleaned"] == {
        "control_characters": 0,
        "unicode_nfc": 0,
        "deid_placeholders": 2,
        "white_space": 1,
    }
    assert report["categories"]["B"] == {"read": 4, "kept": 0, "share_kept": 0.0}
    assert report["warnings"] == ["1 exact duplicates have another category or label than the document they repeat"]
    train = datasets.load_from_disk(tmp_path / "out")["train"]
    assert train["document_id"] == ["1", "7"] and train["note_category"] == ["A", None]
    assert train["text"][0] == note(1) + " [DEID]"
    table = preparation_table(report)
    assert "dropped: entered in error" in table and "12.5%" in table and note(1)[:20] not in table


def test_documents_of_unknown_patients_are_patients_of_their_own(tmp_path):
    rows = [{"text": note(number), "patient_id": "p" if number < 5 else None} for number in range(105)]
    reading = ReadingOptions(on_missing_patient="keep")
    report = prepare_notes(write(tmp_path / "notes.jsonl", rows), tmp_path / "out", reading=reading)
    assert sum(part["patients"] for part in report["splits"].values()) == 101
    assert report["splits"]["test"]["documents"] == pytest.approx(10, abs=2)


def test_kept_exact_duplicates_share_a_group_and_a_split(tmp_path):
    rows = [{"text": note(number % 50)} for number in range(200)]
    report = prepare_notes(
        write(tmp_path / "notes.jsonl", rows),
        tmp_path / "out",
        duplicates=DuplicateOptions(exact_duplicates="keep", near_duplicate_threshold=0),
    )
    assert report["documents_kept"] == 200 and report["near_duplicates"]["groups"] == 50
    texts = [set(part["text"]) for part in datasets.load_from_disk(tmp_path / "out").values()]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 50


def test_given_splits_are_kept_and_the_test_copy_of_a_duplicate_stays(tmp_path):
    rows = [{"text": note(number), "part": part} for number, part in enumerate(["train", "Train", "dev", "test"])]
    rows.append({"text": note(0), "part": "test"})
    rows.append({"text": note(2) + " more", "part": "test"})
    report = prepare_notes(write(tmp_path / "notes.jsonl", rows), tmp_path / "out", NoteColumns(split_column="part"))
    found = {split: part["document_id"] for split, part in datasets.load_from_disk(tmp_path / "out").items()}
    assert found == {
        "train": ["notes-2"],
        "validation": ["notes-3"],
        "test": ["notes-4", "notes-5", "notes-6"],
    }
    assert report["warnings"] == ["2 documents have a near-duplicate in another of the given splits"]


def refused(tmp_path, rows, columns=None, **options):
    path = tmp_path / "notes.jsonl"
    with pytest.raises(InputError) as caught:
        prepare_notes(write(path, rows), tmp_path / "out", columns, **options)
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()
    told = str(caught.value).replace(str(tmp_path), "")  # a worker's folder may hold "w1"
    assert not any(word in told for word in note(1).split())
    return caught.value


def test_a_patient_in_two_given_splits_is_refused(tmp_path):
    rows = [
        {"text": note(1), "patient_id": "p9", "part": "train"},
        {"text": note(2), "patient_id": "p9", "part": "test"},
    ]
    error = refused(tmp_path, rows, NoteColumns(split_column="part"))
    assert error.row == 2 and "patient 'p9' lies in test, but in train in row 1" in str(error)


def test_two_documents_with_one_id_are_refused_and_a_repeated_row_is_not(tmp_path):
    rows = [{"text": note(1), "document_id": "a"}, {"text": note(2), "document_id": "b"}]
    error = refused(tmp_path, [*rows, {"text": note(3), "document_id": "a"}])
    assert error.row == 3 and "'a' occurs twice, first in row 1" in str(error)
    report = prepare_notes(write(tmp_path / "again.jsonl", [*rows, rows[0]]), tmp_path / "out")
    assert report["dropped"] == {"exact duplicate": 1}


def test_other_faults_leave_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(corpora.chunks, "CHUNK_ROWS", 1)
    assert refused(tmp_path, [{"text": note(1)}, {"text": 5}]).row == 2
    assert "no document is left" in str(refused(tmp_path, [{"text": note(1)}], cleaning=CleaningOptions(min_words=99)))
    assert "split is not known" in str(refused(tmp_path, [{"text": note(1), "s": "x"}], NoteColumns(split_column="s")))
    mixed = [{"text": note(1), "label": ["a"]}, {"text": note(2), "label": "b"}]
    assert refused(tmp_path, mixed, NoteColumns(label_columns=("label",))).column == "label"
    assert "--admission_column" in str(refused(tmp_path, [{"text": note(1)}], exclude_admissions="x"))


def test_the_output_is_never_taken_from_anyone(tmp_path):
    path = write(tmp_path / "notes.jsonl", [{"text": note(1)}])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious")
    (tmp_path / "file").write_text("")
    for output in ("out", "file", "file/below"):
        with pytest.raises(InputError, match=output):
            prepare_notes(path, tmp_path / output, overwrite=True)
    assert (tmp_path / "out" / "thesis.tex").read_text() == "precious"
    (tmp_path / "new.partial").mkdir()
    (tmp_path / "new.partial" / "mine").write_text("")
    with pytest.raises(InputError, match=r"new\.partial"):
        prepare_notes(path, tmp_path / "new")


def test_an_output_is_known_again_and_replaced_only_on_request(tmp_path):
    path = write(tmp_path / "notes.jsonl", made_up_rows(50))
    report = prepare_notes(path, tmp_path / "out")
    before = content(tmp_path / "out")
    messages = []
    assert prepare_notes(path, tmp_path / "out", say=messages.append) == report
    assert "already prepared" in messages[0] and content(tmp_path / "out") == before
    with pytest.raises(InputError, match="--overwrite"):
        prepare_notes(path, tmp_path / "out", splits=SplitOptions(seed=1))
    assert content(tmp_path / "out") == before
    prepare_notes(path, tmp_path / "out", splits=SplitOptions(seed=1), overwrite=True)
    assert content(tmp_path / "out") != before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["notes.jsonl", "out"]


PROGRAM = """
import sys, time
import corpora.chunks, corpora.saving
from corpora.columns import NoteColumns
from corpora.preparation import prepare_notes
corpora.chunks.CHUNK_ROWS = 60
corpora.saving.SHARD_BYTES = 20_000
pause = float(sys.argv[4])
for place, name in ((corpora.chunks, "write_chunk"), (corpora.saving.DatasetDictWriter, "write")):
    def slow(*arguments, original=getattr(place, name)):
        time.sleep(pause)
        return original(*arguments)
    if pause:
        setattr(place, name, slow)
columns = NoteColumns(label_columns=("label",))
prepare_notes(sys.argv[1], sys.argv[2], columns, num_proc=int(sys.argv[3]), say=print)
"""


def start(source, output, num_proc=1, pause=0.0):
    command = [sys.executable, "-c", PROGRAM, str(source / "*.jsonl"), str(output), str(num_proc), str(pause)]
    return subprocess.Popen(command, text=True, stdout=subprocess.PIPE)


def kill_when(process, reached):
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def test_a_job_killed_twice_ends_with_the_same_bytes(tmp_path):
    source, partial = tmp_path / "in", tmp_path / "killed" / "out.partial"
    source.mkdir()
    write(source / "a.jsonl", made_up_rows(200))
    write(source / "b.jsonl", made_up_rows(200, start=200))
    assert start(source, tmp_path / "whole" / "out").wait() == 0
    kill_when(start(source, tmp_path / "killed" / "out", pause=0.1), lambda: len(list(partial.glob("chunks/*02.*"))))
    assert not (tmp_path / "killed" / "out").exists()
    kill_when(start(source, tmp_path / "killed" / "out", pause=0.1), lambda: list(partial.glob("dataset/*/shard-*")))
    assert not (tmp_path / "killed" / "out").exists()
    process = start(source, tmp_path / "killed" / "out")
    assert "going on with a preparation that was stopped: 7 chunks" in process.communicate()[0]
    assert process.returncode == 0
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert len(list((tmp_path / "whole" / "out" / "train").glob("*.arrow"))) > 1


def test_several_processes_and_a_gap_in_the_chunks_give_the_same_bytes(tmp_path, monkeypatch):
    source = write(tmp_path / "notes.jsonl", made_up_rows(300))
    monkeypatch.setattr(corpora.chunks, "CHUNK_ROWS", 40)
    prepare_notes(source, tmp_path / "one")
    original, calls = corpora.chunks.write_chunk, []

    def stop_at_the_third(task):
        calls.append(task)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(task)

    monkeypatch.setattr(corpora.chunks, "write_chunk", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        prepare_notes(source, tmp_path / "two")
    monkeypatch.setattr(corpora.chunks, "write_chunk", original)
    (tmp_path / "two.partial" / "chunks" / "chunk-00001.parquet").unlink()
    messages = []
    prepare_notes(source, tmp_path / "two", num_proc=2, say=messages.append)
    assert messages == ["going on with a preparation that was stopped: 1 chunks of rows are done"]
    assert content(tmp_path / "two") == content(tmp_path / "one")

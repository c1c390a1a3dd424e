"""Loading: prepared folders as they are, files validated, patients apart."""

import json
import subprocess
import sys

import datasets
import pytest

from corpora.columns import NoteColumns
from corpora.errors import InputError
from corpora.loading import check_patients_apart, load_corpus
from corpora.preparation import prepare_notes
from corpora.records import ReadingOptions


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_files_become_one_training_split_with_standard_columns(tmp_path):
    rows = [{"note": f"text {n}", "who": n // 2, "kind": "ECG", "tags": ["a", str(n)], "code": n} for n in range(9)]
    write(tmp_path / "a.jsonl", rows[:5])
    write(tmp_path / "b.jsonl", rows[5:])
    columns = NoteColumns("note", None, "who", "kind", ("tags", "code"))
    corpus = load_corpus(str(tmp_path / "*.jsonl"), columns)
    assert list(corpus) == ["train"]
    assert corpus["train"].to_list() == [
        {
            "text": f"text {n}",
            "document_id": f"a-{n + 1}" if n < 5 else f"b-{n - 4}",
            "patient_id": str(n // 2),
            "note_category": "ECG",
            "tags": ["a", str(n)],
            "code": n,
        }
        for n in range(9)
    ]
    assert corpus["train"].cache_files  # on disk, not in memory


def test_unchanged_files_are_found_in_the_cache_and_changed_ones_read_again(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"text": "one"}])
    first, second = load_corpus(path)["train"], load_corpus([path])["train"]
    assert first.cache_files == second.cache_files and first._fingerprint == second._fingerprint
    write(path, [{"text": "one"}, {"text": "two"}])
    assert load_corpus(path)["train"]["text"] == ["one", "two"]


def test_a_prepared_corpus_is_loaded_as_it_is(tmp_path):
    rows = [{"text": " ".join(f"w{n * k % 97}" for k in range(1, 20)), "label": n % 2} for n in range(60)]
    prepare_notes(write(tmp_path / "a.jsonl", rows), tmp_path / "out", NoteColumns(label_columns=("label",)))
    corpus = load_corpus(tmp_path / "out")
    assert corpus["train"].column_names == ["text", "document_id", "label", "dup_group"]
    assert {split: part.to_list() for split, part in corpus.items()} == {
        split: part.to_list() for split, part in datasets.load_from_disk(tmp_path / "out").items()
    }
    with pytest.raises(InputError, match=r"'outcome'.*--label_columns"):
        load_corpus([tmp_path / "out"], NoteColumns(label_columns=("outcome",)))
    for part in (tmp_path / "out").glob("*/*.arrow"):
        part.unlink()
    with pytest.raises(InputError, match="damaged"):
        load_corpus(tmp_path / "out")


def test_saved_datasets_keep_their_splits_under_standard_names(tmp_path):
    parts = {name: datasets.Dataset.from_dict({"text": [f"{name} text"]}) for name in ("train", "dev", "unlabelled")}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    corpus = load_corpus(tmp_path / "saved")
    assert {split: part["text"] for split, part in corpus.items()} == {
        "train": ["train text"],
        "validation": ["dev text"],
        "unlabelled": ["unlabelled text"],
    }


def test_a_split_column_divides_files(tmp_path):
    rows = [{"text": f"text {n}", "part": ["train", "test"][n % 2]} for n in range(4)]
    corpus = load_corpus(write(tmp_path / "a.jsonl", rows), NoteColumns(split_column="part"))
    assert {split: part["document_id"] for split, part in corpus.items()} == {
        "train": ["a-1", "a-3"],
        "test": ["a-2", "a-4"],
    }


def test_faults_name_file_row_and_column(tmp_path):
    for rows, row, column in (
        ([{"text": "zebrafish"}, {"text": None}], 2, "text"),
        ([{"text": "zebrafish", "document_id": 1}, {"text": "b", "document_id": 1}], 2, "document_id"),
        ([{"text": 1}], 1, "text"),
    ):
        path = write(tmp_path / "a.jsonl", rows)
        with pytest.raises(InputError) as caught:
            load_corpus(path)
        assert (str(caught.value.file), caught.value.row, caught.value.column) == (str(path), row, column)
        assert "zebrafish" not in str(caught.value)


def test_rows_left_out_are_counted_by_reason(tmp_path, caplog):
    rows = [{"text": text} for text in ("one", "", None, "two", "a text of many words")]
    path = write(tmp_path / "a.jsonl", rows)
    corpus = load_corpus(path, reading=ReadingOptions(on_empty_text="skip", on_too_long="skip", max_characters=10))
    assert corpus["train"]["text"][:] == ["one", "two"]
    assert [record.getMessage() for record in caplog.records] == ["warning: rows left out: 2 empty text, 1 too long"]


def test_a_fault_inside_the_generator_comes_out_as_it_is(tmp_path, monkeypatch):
    path = write(tmp_path / "a.jsonl", [{"text": "fine"}])
    monkeypatch.setattr(
        "corpora.loading._validate", lambda *_: path.write_text('{"text": 5}\n') and ([], {"train"}, {})
    )
    with pytest.raises(InputError) as caught:
        load_corpus(path)
    assert caught.value.row == 1 and caught.value.column == "text"


def test_patients_in_two_splits_are_found(tmp_path):
    def corpus(**patients):
        return datasets.DatasetDict(
            {split: datasets.Dataset.from_dict({"patient_id": ids}) for split, ids in patients.items()}
        )

    check_patients_apart(corpus(train=["a", "a", None], test=["b", None]))
    check_patients_apart(datasets.DatasetDict(train=datasets.Dataset.from_dict({"text": ["a"]})))
    with pytest.raises(InputError, match=r"patient 'b' lies in train and in test \(2 such patients\)"):
        check_patients_apart(corpus(train=["a", "b", "c"], validation=["d"], test=["b", "c", "b"]))
    rows = [{"text": "x", "patient_id": 1, "part": "train"}, {"text": "y", "patient_id": 1, "part": "test"}]
    with pytest.raises(InputError, match="1 such patients"):
        load_corpus(write(tmp_path / "a.jsonl", rows), NoteColumns(split_column="part"))


def test_importing_the_package_imports_nothing_heavy():
    program = "import sys, corpora, corpora.loading, corpora.preparation; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"datasets", "torch", "transformers", "pandas", "scipy", "sklearn"} & set(modules)

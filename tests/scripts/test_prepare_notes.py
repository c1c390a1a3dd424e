"""The command: options reach the job, the table is printed, faults are one line and status 2."""

import json

import datasets
import pytest

SECRET = "zebrafish"


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_prepares_a_corpus_and_prints_the_table(tmp_path, run_script):
    rows = [
        {
            "id": n,
            "who": n // 3,
            "body": f"{SECRET} " + " ".join(f"w{n * k % 997}" for k in range(1, 30)),
            "kind": "ECG",
        }
        for n in range(1, 301)
    ]
    (tmp_path / "recipe.yaml").write_text("text_column: wrong\nvalidation_share: 0.2\ntest_share: 0.2\n")
    result = run_script(
        "prepare_notes", tmp_path / "recipe.yaml", "--input_files", write(tmp_path / "notes.jsonl", rows),
        "--output_dir", "out", "--text_column", "body", "--document_id_column", "id", "--patient_column", "who",
        "--category_column", "kind", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    corpus = datasets.load_from_disk(tmp_path / "out")
    assert sum(map(len, corpus.values())) == 300
    assert len(corpus["test"]) == pytest.approx(60, abs=3)
    assert "train" in result.stdout and "ECG" in result.stdout and "100.0%" in result.stdout
    assert SECRET not in result.stdout + result.stderr
    again = run_script("prepare_notes", "--input_files", "notes.jsonl", "--output_dir", "out", "--quiet", cwd=tmp_path)
    assert again.returncode == 2 and "text" in again.stderr and "did you mean" not in again.stderr


def test_faults_are_one_line_and_status_2(tmp_path, run_script):
    write(tmp_path / "good.jsonl", [{"text": SECRET}])
    write(tmp_path / "nulls.jsonl", [{"text": SECRET}, {"text": None}])
    (tmp_path / "taken").write_text("")
    for arguments, words in (
        (["--input_files", "nulls.jsonl", "--output_dir", "out"], "nulls.jsonl, row 2, column 'text'"),
        (["--input_files", "nowhere.csv", "--output_dir", "out"], "nowhere.csv"),
        (["--input_files", "good.jsonl", "--output_dir", "taken/out"], "taken"),
        (["--input_files", "good.jsonl", "--output_dir", "out", "--test_shar", "0.1"], "--test_share"),
        (["--input_files", "good.jsonl", "--output_dir", "out", "--test_share", "2"], "--test_share"),
    ):
        result = run_script("prepare_notes", *arguments, "--quiet", cwd=tmp_path)
        lines = result.stderr.splitlines()
        assert result.returncode == 2 and len(lines) == 1, result.stderr
        assert lines[0].startswith("prepare_notes.py: error: ") and words in lines[0] and SECRET not in lines[0]
        assert not list(tmp_path.glob("out*"))

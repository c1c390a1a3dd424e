"""The triage command, its use beside prepare_notes.py, and the recipe for incident reports."""

import csv
import random
from pathlib import Path

import datasets
import pytest

import make_mimic_triage
import prepare_notes
from command_line import RecipeParser
from corpora.errors import InputError
from corpora.label_tasks import LabelOptions, classification_task
from corpora.mimic_triage import TRIAGE_CODES

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SECRET = "zebrafish"


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def words(generator, count=30):
    return f"{SECRET} " + " ".join(f"w{generator.randrange(300)}" for _ in range(count))


def label_options(*arguments):
    return RecipeParser([LabelOptions]).parse(arguments)[0]


@pytest.fixture
def mimic(tmp_path):
    generator = random.Random(0)
    codes = [code for codes in TRIAGE_CODES.values() for code in codes]
    notes, diagnoses = [], []
    for number in range(300):
        keys = {"ROW_ID": number, "SUBJECT_ID": number // 2, "HADM_ID": 1_000 + number}
        kind = {"CATEGORY": "Discharge summary", "DESCRIPTION": "Report", "ISERROR": ""}
        notes.append({**keys, **kind, "TEXT": words(generator)})
        notes.append({**keys, **kind, "ROW_ID": 9_000 + number, "CATEGORY": "Nursing", "TEXT": words(generator)})
        diagnoses.append({**keys, "SEQ_NUM": 1, "ICD9_CODE": generator.choice(codes)})
    return write(tmp_path / "NOTEEVENTS.csv", notes), write(tmp_path / "DIAGNOSES_ICD.csv", diagnoses)


def test_makes_the_task_whose_test_admissions_pretraining_leaves_out(mimic, tmp_path, run_script):
    arguments = ("--notes", mimic[0], "--diagnoses", mimic[1], "--output_dir", "triage", "--test_share", "0.2")
    result = run_script("make_mimic_triage", *arguments, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    corpus = datasets.load_from_disk(tmp_path / "triage")
    assert sum(map(len, corpus.values())) == 300 and len(corpus["test"]) == pytest.approx(60, abs=3)
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["team", "train", "validation", "test"]
    for team in TRIAGE_CODES:
        assert [team, *(str(part["triage_team"].count(team)) for part in corpus.values())] in lines
    assert ["dropped:", "other", "category", "300", "50.0%"] in lines
    assert SECRET not in result.stdout + result.stderr
    task = classification_task(corpus, "triage_team", LabelOptions(min_class_documents=1))
    assert set(task.labels) == set(TRIAGE_CODES) and task.kind == "single_label"

    excluding = ("--preset", "mimic3", "--exclude_admissions", str(tmp_path / "triage" / "test_admissions.txt"))
    notes = tmp_path / "notes"
    prepare_notes.main(["--input_files", str(mimic[0]), "--output_dir", str(notes), *excluding, "--quiet"])
    prepared = datasets.load_from_disk(notes)
    kept = {name for part in prepared.values() for name in part["document_id"]}
    assert not kept & set(corpus["test"]["document_id"]) and kept >= set(corpus["train"]["document_id"])
    assert len(kept) == 600 - 2 * len(corpus["test"])


def test_faults_are_one_line_and_status_2(mimic, tmp_path, run_script):
    result = run_script(
        "make_mimic_triage", "--notes", mimic[1], "--diagnoses", mimic[1], "--output_dir", "out", cwd=tmp_path
    )
    (line,) = result.stderr.splitlines()
    assert result.returncode == 2 and line.startswith("make_mimic_triage.py: error: ")
    assert "column 'CATEGORY': the column is missing" in line and not list(tmp_path.glob("out*"))
    broken = tmp_path / "broken.csv"
    broken.write_text(mimic[0].read_text() + f'1,2,3,Nursing,Report,,"{SECRET}')
    for arguments, words_ in (
        (["--notes", "nowhere.csv", "--diagnoses", str(mimic[1])], "nowhere.csv: the file is missing"),
        (["--notes", str(broken), "--diagnoses", str(mimic[1])], "broken.csv, row 601: .*a quote is never closed"),
        (["--notes", str(mimic[0])], "missing --diagnoses"),
        (["--notes", str(mimic[0]), "--diagnoses", str(mimic[1]), "--test_share", "2"], "--test_share"),
        (["--notes", str(mimic[0]), "--diagnosis", str(mimic[1])], "--diagnoses"),
    ):
        with pytest.raises(InputError, match=words_) as caught:
            make_mimic_triage.main([*arguments, "--output_dir", str(tmp_path / "out"), "--quiet"])
        assert SECRET not in str(caught.value) and "\n" not in str(caught.value)
    assert not list(tmp_path.glob("out*"))


def test_incident_reports_are_prepared_by_their_recipe(tmp_path):
    generator = random.Random(1)
    rows = [
        {
            "IN07": words(generator),
            "Key.PD09": generator.choice("1112345"),
            "Key.IN05": generator.choice("10 2 3".split()),
        }
        for _ in range(200)
    ]
    rows += [{"IN07": "", "Key.PD09": "1", "Key.IN05": "2"}, {"IN07": "too short", "Key.PD09": "1", "Key.IN05": "2"}]
    reports = write(tmp_path / "reports.csv", rows)
    recipe = str(RECIPES / "incident_reports.yaml")
    prepare_notes.main([recipe, "--input_files", str(reports), "--output_dir", str(tmp_path / "incidents"), "--quiet"])
    corpus = datasets.load_from_disk(tmp_path / "incidents")
    assert sum(map(len, corpus.values())) == 200 and len(corpus["test"]) == pytest.approx(40, abs=2)
    severity = classification_task(
        corpus, "Key.PD09", label_options("--label_groups", '{"low": ["1", "2", "3"], "high": ["4", "5"]}')
    )
    high = sum(row["Key.PD09"] in "45" for row in rows[:200])
    assert severity.labels == ("low", "high")
    assert sum(part.classes["high"] for part in severity.splits.values()) == high
    scale = classification_task(corpus, "Key.PD09", label_options("--task", "ordinal"))
    assert (scale.kind, scale.labels) == ("ordinal", ("1", "2", "3", "4", "5"))
    assert classification_task(corpus, "Key.IN05").labels == ("2", "3", "10")
    reverse = classification_task(corpus, "Key.PD09", label_options("--label_order", *"54321"))
    assert (reverse.kind, reverse.labels) == ("ordinal", ("5", "4", "3", "2", "1"))

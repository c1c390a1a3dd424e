"""The triage task of MIMIC-III: the exact cohort of made-up tables, its splits, and what is refused."""

import csv
import gzip
import json
import random

import datasets
import pytest

import corpora.mimic_triage_corpus
from corpora.deduplication import DuplicateOptions
from corpora.errors import InputError
from corpora.loading import load_corpus
from corpora.mimic_triage import TRIAGE_CODES, read_teams, select_cohort, triage_team
from corpora.mimic_triage_corpus import make_mimic_triage, team_table
from corpora.splitting import SplitOptions

SECRET = "zebrafish"
NOTE_HEADER = "ROW_ID SUBJECT_ID HADM_ID CHARTDATE CATEGORY DESCRIPTION ISERROR TEXT".split()
DIAGNOSIS_HEADER = "ROW_ID SUBJECT_ID HADM_ID SEQ_NUM ICD9_CODE".split()


def words(seed, count=40):
    generator = random.Random(seed)
    return f"{SECRET}, " + " ".join(f"w{generator.randrange(500)}" for _ in range(count))


def note(row_id, patient, admission, category="Discharge summary", description="Report", error="", text=None):
    text = words(row_id) if text is None else text
    return [row_id, patient, admission, "2150-01-01", category, description, error, text]


# Admission, sequence number, code.
DIAGNOSES = [
    (101, 1, "41401"), (101, 2, "0389"),
    (102, 1, "0389"),
    (103, 1, "038.9"),
    (104, 1, "389"),
    (105, 1, "V30.01"),
    (106, 1, "428.0"),
    (107, 1, "486"),
    (108, 1, " 431 "),
    (109, 1, "1983"),
    (110, 1, "5770"),
    (111, 1, "4019"), (111, 2, "41401"),  # only a secondary code is on the list
    (112, 2, "486"),  # no primary code
    (113, 1, "389.0"),  # hearing loss
    (114, 1, "428"),  # a heading
    (115, 1, ""),
    (116, 1, "51881"),
    (117, 1, "430"),
    (118, 1, "5849"),
    ("", 1, "486"),
]  # fmt: skip
NOTES = [
    note(31, 3, 103, text=f'{words(31)}\nSecond line, with "quotes" [**Name**]'),
    note(11, 1, 101),
    note(12, 1, 102),  # the same patient's second admission
    note(14, 2, 104, category="discharge summary ", description=" report"),
    note(15, 4, 105),
    note(41, 5, 106, description="Addendum"),
    note(42, 5, 106),
    note(43, 5, 106, description="Addendum"),
    note(19, 6, 107),  # the later of two reports, which stands first
    note(18, 6, 107),
    note(20, 7, 108, error="1"),
    note(21, 7, 108),
    note(22, 8, 109, category="Nursing"),
    note(23, 8, 109, category="Radiology", description="CHEST (PORTABLE AP)"),
    note(24, 9, 110, error="1"),
    note(25, 10, 111),
    note(26, 10, 112),
    note(27, 10, 113),
    note(28, 10, 114),
    note(29, 10, 115),
    note(30, 10, ""),
    note(32, 11, 116, text=" \n"),
    note(33, 12, "117.0"),  # as pandas writes it
    note(34, 13, 999),  # no diagnosis
    note(9, 13, 118, error="0"),
]
# ROW_ID, SUBJECT_ID, HADM_ID, team: in the order of row ids.
COHORT = [
    ("9", "13", "118", "AcuteMedicine"),
    ("11", "1", "101", "Cardiology"),
    ("12", "1", "102", "AcuteMedicine"),
    ("14", "2", "104", "AcuteMedicine"),
    ("15", "4", "105", "Obstetrics"),
    ("18", "6", "107", "Respiratory"),
    ("21", "7", "108", "Neurology"),
    ("31", "3", "103", "AcuteMedicine"),
    ("33", "12", "117", "Neurology"),
    ("42", "5", "106", "Cardiology"),
]
DROPPED = {
    "other category": 2,
    "entered in error": 2,
    "addendum": 2,
    "no admission": 1,
    "diagnosis of no team": 6,
    "empty text": 1,
    "further report of the admission": 1,
}


def write(path, header, rows):
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "wt", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC)
        writer.writerows([header, *rows])
    return path


def tables(folder, notes=NOTES, diagnoses=DIAGNOSES):
    rows = [[number, 1, admission, place, code] for number, (admission, place, code) in enumerate(diagnoses)]
    return (
        write(folder / "NOTEEVENTS.csv.gz", NOTE_HEADER, notes),
        write(folder / "DIAGNOSES_ICD.csv.gz", DIAGNOSIS_HEADER, rows),
    )


def test_the_codes_are_those_of_the_study():
    assert sum(map(len, TRIAGE_CODES.values())) == 20 and len(TRIAGE_CODES) == 7
    listed = {
        "Cardiology": "41401 41071 4241 4240 4280 41011 41041",
        "Obstetrics": "V3001 V3000 V3101",
        "Respiratory": "51881 486 5070",
        "Neurology": "431 430",
        "Gastroenterology": "5789 5770",
        "AcuteMedicine": "389 5849",  # as the study writes it
        "Oncology": "1983",
    }
    for team, codes in listed.items():
        assert [triage_team(code) for code in codes.split()] == [team] * len(codes.split())


@pytest.mark.parametrize(
    ("code", "team"),
    [
        ("0389", "AcuteMedicine"), ("389", "AcuteMedicine"), ("038.9", "AcuteMedicine"), ("38.9", "AcuteMedicine"),
        ("389.", None), ("389.0", None), ("3890", None), ("38900", None), ("0038", None), ("00389", None),
        ("486", "Respiratory"), (" 486 ", "Respiratory"), ("486.", "Respiratory"), ("4860", None), ("0486", None),
        ("431", "Neurology"), ("430", "Neurology"), ("43", None), ("431.0", None), ("0431", None),
        ("428.0", "Cardiology"), ("4280", "Cardiology"), ("428", None), ("42.80", None),
        ("414.01", "Cardiology"), ("V30.01", "Obstetrics"), ("v3001", "Obstetrics"), ("V30.0", None), ("3001", None),
        ("507.0", "Respiratory"), ("507", None), ("198.3", "Oncology"), ("", None), (".", None),
    ],
)  # fmt: skip
def test_codes_with_and_without_dots_and_leading_zeros(code, team):
    assert triage_team(code) == team


def test_the_cohort_is_exactly_this(tmp_path):
    notes, diagnoses = tables(tmp_path)
    cohort = select_cohort(notes, diagnoses, tmp_path / "cohort.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "cohort.jsonl").read_text().splitlines()]
    found = [
        (row["document_id"], row["patient_id"], cohort.admissions[row["document_id"]], row["triage_team"])
        for row in rows
    ]
    assert found == COHORT and list(cohort.admissions) == [row[0] for row in COHORT]
    texts = {str(row[0]): row[-1] for row in NOTES}
    assert all(row["text"] == texts[row["document_id"]] for row in rows)
    assert cohort.dropped == DROPPED and cohort.rows == len(NOTES) == len(COHORT) + sum(DROPPED.values())
    assert cohort.diagnoses == {"admissions": 16, "in_a_team": 13}
    assert sorted(path.name for path in tmp_path.iterdir()) == [diagnoses.name, notes.name, "cohort.jsonl"]


def test_numbers_lower_case_names_and_other_formats_make_the_same_cohort(tmp_path):
    rows = [dict(zip(map(str.lower, NOTE_HEADER), row, strict=True)) for row in random.Random(3).sample(NOTES, 25)]
    for row in rows:
        row["hadm_id"] = float(row["hadm_id"]) if row["hadm_id"] else None
        row["iserror"] = float(row["iserror"]) if row["iserror"] else None
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "notes.parquet")
    lines = [{"hadm_id": a, "seq_num": n, "icd9_code": int(c) if c == "389" else c or None} for a, n, c in DIAGNOSES]
    (tmp_path / "diagnoses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    cohort = select_cohort(tmp_path / "notes.parquet", tmp_path / "diagnoses.jsonl", tmp_path / "cohort.jsonl")
    assert list(cohort.admissions.items()) == [(row[0], row[2]) for row in COHORT]
    assert cohort.dropped == DROPPED


def many(patients=240, seed=0):
    """Patients with one to three admissions, of teams of uneven frequency."""
    generator = random.Random(seed)
    codes = [code for team, codes in TRIAGE_CODES.items() for code in codes]
    notes, diagnoses = [], []
    for patient in range(patients):
        for _ in range(generator.choice((1, 1, 2, 3))):
            admission = 1_000 + len(diagnoses)
            diagnoses.append((admission, 1, generator.choice(codes)))
            notes.append(note(5_000 + len(notes), patient, admission))
    return notes, diagnoses


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_corpus_is_split_by_patient_and_stratified_by_team(tmp_path):
    notes, diagnoses = many()
    report = make_mimic_triage(*tables(tmp_path, notes, diagnoses), tmp_path / "out")
    corpus = load_corpus(tmp_path / "out")  # checks the patients, too
    columns = ["text", "document_id", "patient_id", "admission_id", "triage_team", "dup_group"]
    assert list(corpus) == ["train", "validation", "test"] and corpus["test"].column_names == columns
    source = {str(row[0]): (str(row[1]), str(row[2]), row[-1]) for row in notes}
    team = {str(admission): triage_team(code) for admission, _, code in diagnoses}
    split_of = {}
    for split, part in corpus.items():
        for row in part:
            assert (row["patient_id"], row["admission_id"], row["text"]) == source.pop(row["document_id"])
            assert row["triage_team"] == team[row["admission_id"]]
            assert split_of.setdefault(row["patient_id"], split) == split
    assert not source
    sizes = [len(part) for part in corpus.values()]
    assert sizes == pytest.approx([0.8 * len(notes), 0.1 * len(notes), 0.1 * len(notes)], abs=3)
    assert report["teams"] == {
        name: {split: part["triage_team"].count(name) for split, part in corpus.items()} for name in TRIAGE_CODES
    }
    for counts in report["teams"].values():
        total = sum(counts.values())
        assert counts["test"] >= 1 and counts["test"] == pytest.approx(0.1 * total, abs=0.05 * total + 1.5)
    admissions = (tmp_path / "out" / "admissions.txt").read_text().split()
    assert admissions == [str(row[2]) for row in notes]
    assert (tmp_path / "out" / "test_admissions.txt").read_text().split() == corpus["test"]["admission_id"]
    assert json.loads((tmp_path / "out" / "preparation.json").read_text()) == report
    assert report["documents_read"] == report["documents_kept"] == len(notes)
    assert team_table(report).splitlines()[0].split() == ["team", "train", "validation", "test"]
    assert SECRET not in json.dumps(report) and not (tmp_path / "out.partial").exists()


def test_seed_and_inputs_alone_decide_and_a_stopped_job_ends_the_same(tmp_path, monkeypatch):
    notes, diagnoses = many(80)
    inputs = tables(tmp_path, notes, diagnoses)
    said = []
    make_mimic_triage(*inputs, tmp_path / "one", splits=SplitOptions(seed=1))
    make_mimic_triage(*inputs, tmp_path / "two", splits=SplitOptions(seed=2))
    test = [(tmp_path / name / "test_admissions.txt").read_text().split() for name in ("one", "two")]
    assert set(test[0]) != set(test[1])
    with monkeypatch.context() as patch:
        patch.setattr(corpora.mimic_triage_corpus, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make_mimic_triage(*inputs, tmp_path / "again", splits=SplitOptions(seed=1))
    assert not (tmp_path / "again").exists() and (tmp_path / "again.partial").exists()
    make_mimic_triage(*inputs, tmp_path / "again", splits=SplitOptions(seed=1), say=said.append)
    assert content(tmp_path / "again") == content(tmp_path / "one") and not (tmp_path / "again.partial").exists()
    make_mimic_triage(*inputs, tmp_path / "again", splits=SplitOptions(seed=1), say=said.append)
    assert [line.split(" ", 1)[0] for line in said] == ["going", str(tmp_path / "again")]
    with pytest.raises(InputError, match=r"prepared from other inputs or options.*--overwrite"):
        make_mimic_triage(*inputs, tmp_path / "again", splits=SplitOptions(seed=2))
    make_mimic_triage(*inputs, tmp_path / "again", splits=SplitOptions(seed=2), overwrite=True)
    assert content(tmp_path / "again") == content(tmp_path / "two")


def test_duplicates_are_removed_or_kept_together_and_their_admissions_excluded(tmp_path):
    notes, diagnoses = many(60)
    notes[5][-1] = notes[0][-1]  # the same text
    notes[9][-1] = notes[0][-1] + " and a word"  # almost
    inputs = tables(tmp_path, notes, diagnoses)
    report = make_mimic_triage(*inputs, tmp_path / "out")
    assert report["dropped"] == {"exact duplicate": 1} and report["documents_kept"] == len(notes) - 1
    groups = {
        row["document_id"]: (split, row["dup_group"])
        for split, part in load_corpus(tmp_path / "out").items()
        for row in part
    }
    assert groups[str(notes[9][0])] == groups[str(notes[0][0])]
    for name in ("admissions.txt", "test_admissions.txt"):
        assert str(notes[5][2]) in (tmp_path / "out" / name).read_text().split()
    kept = make_mimic_triage(*inputs, tmp_path / "kept", duplicates=DuplicateOptions(exact_duplicates="keep"))
    assert kept["documents_kept"] == len(notes) and not kept["dropped"]


def test_a_small_cohort_says_which_teams_are_missing(tmp_path):
    report = make_mimic_triage(*tables(tmp_path), tmp_path / "out")
    assert report["dropped"] == DROPPED and report["documents_read"] == len(NOTES)
    assert report["documents_kept"] == len(COHORT) == sum(sum(found.values()) for found in report["teams"].values())
    assert report["cohort"] == {"diagnoses": {"admissions": 16, "in_a_team": 13}, "documents": 10}
    (line,) = [line for line in report["warnings"] if line.startswith("not every split")]
    assert "Gastroenterology" in line and "Oncology" in line
    assert report["cleaned"]["deid_placeholders"] == 1


def change(rows, position, column, value):
    return [[*row[:column], value, *row[column + 1 :]] if n == position else row for n, row in enumerate(rows)]


@pytest.mark.parametrize(
    ("notes", "diagnoses", "words"),
    [
        (change(NOTES, 1, 0, ""), DIAGNOSES, "NOTEEVENTS.csv.gz, row 2, column 'ROW_ID': the row id is missing"),
        (change(NOTES, 2, 0, 11), DIAGNOSES, "NOTEEVENTS.csv.gz, row 3, column 'ROW_ID': .* earlier row"),
        (
            change(NOTES, 1, 1, ""),
            DIAGNOSES,
            "NOTEEVENTS.csv.gz, row 2, column 'SUBJECT_ID': the patient id is missing",
        ),
        (
            NOTES,
            [*DIAGNOSES, (101, 1, "486")],
            "row 22, column 'SEQ_NUM': admission 101 has a second primary diagnosis",
        ),
        (NOTES, [(1, 1, "I10"), (2, 1, "4019")], "column 'ICD9_CODE': none of 2 primary diagnoses"),
        (NOTES, [(1, 1, "486")], "NOTEEVENTS.csv.gz: none of 25 notes .* of the same MIMIC-III"),
        (
            [note(1, 1, 101, text="12"), note(2, 2, 102, text="7.5")],
            DIAGNOSES,
            "column 'TEXT': the column holds numbers",
        ),
    ],
)
def test_faults_name_file_row_and_column_and_leave_nothing(tmp_path, notes, diagnoses, words):
    inputs = tables(tmp_path, notes, diagnoses)
    with pytest.raises(InputError, match=words) as caught:
        make_mimic_triage(*inputs, tmp_path / "out")
    assert SECRET not in str(caught.value) and "partial" not in str(caught.value)
    assert set(tmp_path.iterdir()) == set(inputs)


def test_the_wrong_tables_are_refused(tmp_path):
    notes, diagnoses = tables(tmp_path)
    with pytest.raises(InputError, match=r"column 'SEQ_NUM': the column is missing; give DIAGNOSES_ICD .*--diagnoses"):
        make_mimic_triage(notes, notes, tmp_path / "out")
    with pytest.raises(InputError, match=r"column 'CATEGORY': the column is missing; give NOTEEVENTS .*--notes"):
        make_mimic_triage(diagnoses, notes, tmp_path / "out")
    with pytest.raises(InputError, match="the file is missing"):
        make_mimic_triage(tmp_path / "none.csv", diagnoses, tmp_path / "out")
    datasets.Dataset.from_dict({"HADM_ID": [1], "SEQ_NUM": [1], "ICD9_CODE": [486.0]}).to_parquet(
        tmp_path / "d.parquet"
    )
    with pytest.raises(InputError, match="row 1, column 'ICD9_CODE': the code is a number"):
        read_teams(tmp_path / "d.parquet")
    saved = tmp_path / "saved"
    datasets.Dataset.from_dict({name: ["1"] for name in DIAGNOSIS_HEADER}).save_to_disk(saved)
    with pytest.raises(InputError, match="the output is one of the inputs"):
        make_mimic_triage(notes, saved, saved, overwrite=True)

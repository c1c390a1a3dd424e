"""Wide tables: present, absent, missing, levels with and without names of their own."""

import pytest

from corpora.concept_names import read_concept_names
from corpora.encounter_loading import load_encounters
from corpora.encounter_options import EncounterOptions
from corpora.errors import InputError

TABLE = "C1,temp,age,diagnosis\nP,I,young,I\nA,M,old,R\nM,P,young,P\n,I,old,I\n"
NAMES = "C1: cough\ntemp_P: high temperature\ntemp_I: no fever\ntemp_M: not measured\nage: age group\n"


def load(tmp_path, table=TABLE, names=NAMES, **options):
    (tmp_path / "clinic.csv").write_text(table)
    if names is not None:
        (tmp_path / "names.txt").write_text(names)
        options["concept_names"] = str(tmp_path / "names.txt")
    options = {"outcome_column": "diagnosis", "positive_values": ["I"], **options}
    return load_encounters(tmp_path / "clinic.csv", EncounterOptions(encounter_format="wide", **options))


def said(encounters):
    keys = encounters.keys
    return [{keys[column] for column in row.indices} for row in encounters.occurs]


def test_values_and_levels(tmp_path):
    found = load(tmp_path)
    assert said(found) == [
        {"C1=present", "temp_I=present", "age=young"},
        {"C1=absent", "temp_M=present", "age=old"},
        {"temp_P=present", "age=young"},
        {"temp_I=present", "age=old"},
    ]
    assert {(state.code, state.name, state.state) for state in found.states} == {
        ("C1", "cough", "present"),
        ("C1", "cough", "absent"),
        ("temp_P", "high temperature", "present"),
        ("temp_I", "no fever", "present"),
        ("temp_M", "not measured", "present"),
        ("age", "age group", "young"),
        ("age", "age group", "old"),
    }
    assert found.outcomes.tolist() == [1, 0, 0, 1] and found.site == "clinic"
    assert found.encounter_ids.tolist() == found.patient_ids.tolist() == [f"clinic-{row}" for row in (1, 2, 3, 4)]
    assert found.report["events"] == {"read": 12, "used": 10, "dropped": {"no state": 2}}


def test_missing_as_absent(tmp_path):
    found = load(tmp_path, missing_as="absent")
    assert [("C1=absent" in row) for row in said(found)] == [False, True, True, True]
    assert "temp_M=present" in said(found)[1]


def test_headers_are_names_where_no_file_is_given(tmp_path):
    found = load(tmp_path, names=None, ignored_columns=["temp"])
    assert {state.name for state in found.states} == {"C1", "age"}
    assert all("temp" not in key for key in found.keys)


def test_ids_and_patients(tmp_path):
    table = "encounter_id,person,flag,C1\n7.0,1,1,P\n8,1,0,A\n9,2,0,A\n10,3,1,P\n"
    found = load(tmp_path, table, outcome_column="flag", positive_values=["1"], patient_column="person")
    assert found.encounter_ids.tolist() == ["7", "8", "9", "10"]
    assert found.patient_ids.tolist() == ["1", "1", "2", "3"] and found.outcomes.tolist() == [1, 0, 0, 1]
    assert found.keys == ["C1=absent", "C1=present"]


def test_columns_that_differ_in_case_alone_are_two(tmp_path):
    table = "c1,C1,Diagnosis\nP,A,I\nA,A,R\nP,P,I\nA,P,R\n"
    found = load(tmp_path, table, names=None)
    assert said(found)[0] == {"c1=present", "C1=absent"} and len(found.keys) == 4
    less = load(tmp_path, table, names=None, ignored_columns=["C1"])
    assert less.keys == ["c1=absent", "c1=present"]


def test_other_words_for_present_and_absent(tmp_path):
    table = "C1,diagnosis\n+,I\n-,R\n+,R\n?,I\n"
    options = {"present_values": ["+"], "absent_values": ["-"], "missing_values": ["?"]}
    assert said(load(tmp_path, table, **options)) == [{"C1=present"}, {"C1=absent"}, {"C1=present"}, set()]
    # Otherwise they are levels.
    assert load(tmp_path, table).keys == ["C1=+", "C1=-", "C1=?"]


def test_missing_outcome(tmp_path):
    table = TABLE + "P,I,old,\n"
    with pytest.raises(InputError, match=r"clinic\.csv, row 5, column 'diagnosis': the outcome is missing"):
        load(tmp_path, table)
    found = load(tmp_path, table, on_missing_outcome="skip")
    assert len(found) == 4 and found.report["events"]["dropped"]["of an encounter left out"] == 3


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (TABLE, {"positive_values": []}, "needs its outcome named"),
        (TABLE, {"outcome_column": "death"}, "column 'death': the column is missing; .*--outcome_column"),
        (TABLE, {"positive_values": ["flu"]}, "site clinic: 0 of 4 encounters with the outcome"),
        (TABLE, {"positive_values": ["R"]}, "site clinic: 1 of 4 encounters with the outcome"),
        (TABLE, {"ignored_columns": ["x"]}, "column 'x': the column is missing"),
        (TABLE, {"ignored_columns": ["C1", "temp", "age"]}, "no column is left as a finding"),
        (TABLE.replace("C1", "C2"), {}, "row 1: the concept C2 has no name"),
        ("C1,diagnosis\nP,I\n37.2,R\n", {}, "row 2, column 'C1': the finding is a number"),
        (
            "C1,diagnosis\n" + "".join(f"word {i},I\n" for i in range(101)),
            {},
            "row 101: the concept C1 has more than 100 states",
        ),
        ("encounter_id,C1,diagnosis\n1,P,I\n1,A,R\n", {}, "row 2: the encounter stands in an earlier row"),
        ("C1,diagnosis\n,I\nM,R\n", {}, "no event is left .2 no state"),
    ],
)
def test_faults(tmp_path, table, options, words):
    with pytest.raises(InputError, match=words):
        load(tmp_path, table, **options)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("n.txt", "C1: cough\nC2\n", "row 2: the line has no colon"),
        ("n.txt", "C1: cough\nC2: \n", "row 2: the concept has no name"),
        ("n.txt", ": cough\n", "row 1: the code is missing"),
        ("n.txt", "C1: cough\nC1: cold\n", "row 2: the code C1 has a second name"),
        ("n.txt", "\n", "holds no names"),
        ("n.csv", "code,label\nC1,cough\n", "column 'name': the column is missing"),
        ("n.csv", "code,name\nC1,\n", "row 1: the concept has no name"),
    ],
)
def test_faults_in_a_file_of_names(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_concept_names(tmp_path / name)


def test_names_from_lines_and_from_a_table(tmp_path):
    (tmp_path / "n.txt").write_text("C1: ratio: high\n\nC2:  two   words\n")
    (tmp_path / "n.csv").write_text("name,code,more\nratio: high,C1,x\ntwo words,C2,y\n")
    names = {"C1": "ratio: high", "C2": "two words"}
    assert read_concept_names(tmp_path / "n.txt") == read_concept_names(tmp_path / "n.csv") == names

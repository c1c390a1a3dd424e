"""OMOP tables: visits, deaths, events of each domain, results of measurements."""

import pytest

from corpora.encounter_loading import load_encounters
from corpora.encounter_options import EncounterOptions
from corpora.errors import InputError

TABLES = {
    "VISIT_OCCURRENCE": "visit_occurrence_id,person_id,visit_start_date,visit_start_datetime,visit_end_date,"
    "visit_end_datetime,discharged\n"
    "1,10,2020-03-01,2020-03-01 10:00:00,2020-03-05,2020-03-05 12:00:00,expired\n"
    "2,20,2020-03-01,2020-03-01 10:00:00,2020-03-05,,home\n"
    "3,30,2020-03-01,,2020-03-08,,expired\n"
    "4,10,2020-01-01,,2020-01-03,,home\n"
    "5,40,2020-03-01,,2020-03-04,,home\n",
    "DEATH": "person_id,death_date\n10,2020-03-05\n30,2020-03-03\n40,2020-03-20\n",
    "CONCEPT": "concept_id,concept_name,domain_id\n100,Pneumonia,Condition\n200,Heparin,Drug\n300,Dialysis,Procedure\n"
    "400,Lactate,Measurement\n401,Influenza antigen,Measurement\n9191,Positive,Meas Value\n9189,Negative,Meas Value\n"
    "9192,Trace,Meas Value\n999,Not needed,Other\n",
    "CONDITION_OCCURRENCE": "visit_occurrence_id,person_id,condition_concept_id,condition_start_date\n"
    "1,10,100,2020-03-01\n2,20,100,2020-03-03\n,20,100,2020-03-03\n2,20,0,2020-03-01\n3,30,100,2020-03-04\n",
    "DRUG_EXPOSURE": "visit_occurrence_id,drug_concept_id,drug_exposure_start_date,drug_exposure_start_datetime\n"
    "1,200,2020-03-02,2020-03-02 09:00:00\n2,200,2020-03-02,2020-03-02 11:00:00\n",
    "PROCEDURE_OCCURRENCE": "visit_occurrence_id,procedure_concept_id,procedure_date\n5,300,2020-03-01\n",
    "MEASUREMENT": "visit_occurrence_id,measurement_concept_id,measurement_date,value_as_number,range_low,range_high,"
    "value_as_concept_id\n"
    "1,400,2020-03-01,4.1,0.5,2.0,\n2,400,2020-03-01,0.4,0.5,2.0,0\n3,400,2020-03-01,1.0,0.5,2.0,\n"
    "5,400,2020-03-01,1.0,,,\n1,401,2020-03-01,,,,9191\n2,401,2020-03-01,,,,9189\n5,401,2020-03-01,,,,9192\n",
}


@pytest.fixture
def folder(tmp_path):
    site = tmp_path / "omop"
    site.mkdir()
    for name, text in TABLES.items():
        (site / f"{name}.csv").write_text(text)
    (site / "CDM_SOURCE.csv").write_text("cdm_source_name\nmade up\n")
    return site


def load(folder, **options):
    return load_encounters(folder, EncounterOptions(encounter_format="omop", **options))


def said(encounters):
    keys = encounters.keys
    return {
        encounter: {keys[column] for column in row.indices}
        for encounter, row in zip(encounters.encounter_ids.tolist(), encounters.occurs, strict=True)
    }


def test_a_folder_with_death_during_the_visit_as_outcome(folder):
    found = load(folder)
    assert found.site == "omop" and found.encounter_ids.tolist() == ["1", "2", "3", "4", "5"]
    assert found.patient_ids.tolist() == ["10", "20", "30", "10", "40"]
    assert found.outcomes.tolist() == [1, 0, 1, 0, 0]
    assert said(found) == {
        "1": {"omop:100=present", "omop:200=present", "omop:400=high", "omop:401=present"},
        "2": {"omop:100=present", "omop:200=present", "omop:400=low", "omop:401=absent"},
        "3": {"omop:400=normal"},
        "4": set(),
        "5": {"omop:300=present", "omop:400=measured", "omop:401=trace"},
    }
    assert {state.code: state.name for state in found.states} == {
        "omop:100": "Pneumonia",
        "omop:200": "Heparin",
        "omop:300": "Dialysis",
        "omop:400": "Lactate",
        "omop:401": "Influenza antigen",
    }
    # The condition of visit 3 is dated after the death.
    assert found.report["events"]["dropped"] == {
        "after the end of the encounter": 1,
        "no code": 1,
        "no encounter": 1,
    }


def test_death_after_the_visit_within_days(folder):
    assert load(folder, death_days=15).outcomes.tolist() == [1, 0, 1, 0, 0]
    assert load(folder, death_days=16).outcomes.tolist() == [1, 0, 1, 0, 1]


def test_prediction_time_by_time_of_day_or_end_of_day(folder):
    found = load(folder, prediction_hours=24)
    # 09:00 of the next day is within 24 hours of 10:00, 11:00 is not, and a date alone is the end of that day.
    assert {encounter for encounter, keys in said(found).items() if "omop:200=present" in keys} == {"1"}
    assert said(found)["5"] == {"omop:300=present", "omop:400=measured", "omop:401=trace"}


def test_a_death_before_the_prediction_time_leaves_the_visit_out(folder):
    (folder / "DEATH.csv").write_text(
        "person_id,death_date\n10,2020-03-05\n30,2020-03-02\n20,2020-03-05\n40,2019-01-01\n"
    )
    with (folder / "VISIT_OCCURRENCE.csv").open("a") as stream:
        stream.write("6,60,2020-03-01,,2020-03-04,,home\n")
    found = load(folder, prediction_hours=48)
    assert found.encounter_ids.tolist() == ["1", "2", "4", "6"]
    assert found.report["encounters"]["dropped"] == {
        "death before the encounter": 1,
        "ends before the prediction time": 1,
    }


def test_an_outcome_of_ones_own(folder):
    (folder / "DEATH.csv").unlink()
    found = load(folder, outcome_column="discharged", positive_values=["Expired"])
    assert found.outcomes.tolist() == [1, 0, 1, 0, 0]
    # Without deaths, visit 3 goes on to its end.
    assert "omop:100=present" in said(found)["3"]


def test_the_first_of_several_deaths_counts(folder):
    with (folder / "DEATH.csv").open("a") as stream:
        stream.write("10,2020-06-01\n30,2020-06-01\n")
    assert load(folder).outcomes.tolist() == [1, 0, 1, 0, 0]


def test_a_visit_that_has_not_ended_has_no_outcome(folder):
    file = folder / "VISIT_OCCURRENCE.csv"
    file.write_text(file.read_text().replace("2020-03-05,,home", ",,home"))
    with pytest.raises(InputError, match=r"VISIT_OCCURRENCE\.csv, row 2, column 'visit_end_date': the outcome is miss"):
        load(folder)
    assert load(folder, on_missing_outcome="skip").encounter_ids.tolist() == ["1", "3", "4", "5"]


def test_domains_and_single_files(folder):
    names = ("VISIT_OCCURRENCE", "DEATH", "CONCEPT", "DRUG_EXPOSURE", "MEASUREMENT")
    files = [folder / f"{name}.csv" for name in names]
    found = load_encounters(files, EncounterOptions(encounter_format="omop", domains=["drug"]), "clinic")
    assert found.keys == ["omop:200=present"] and found.report["events"]["dropped"] == {"other domain": 7}


def test_concepts_without_a_name(folder):
    (folder / "CONCEPT.csv").write_text("concept_id,concept_name\n100,Pneumonia\n")
    with pytest.raises(InputError, match=r"DRUG_EXPOSURE\.csv, row 1: the concept omop:200 has no name"):
        load(folder)
    assert load(folder, on_missing_name="skip").keys == ["omop:100=present"]


@pytest.mark.parametrize(
    ("table", "text", "words"),
    [
        ("DEATH", None, "the table DEATH of the OMOP model is missing"),
        ("VISIT_OCCURRENCE", None, "the table VISIT_OCCURRENCE"),
        ("DEATH", "person,death_date\n", r"DEATH\.csv, column 'person_id': the column is missing"),
        ("DEATH", "person_id,death_date\n10,\n", r"DEATH\.csv, row 1, column 'death_date': the date of death is miss"),
        ("DEATH", "person_id,death_date\n10,17\n", r"DEATH\.csv, row 1, column 'death_date': the time is a number"),
        ("DRUG_EXPOSURE", "drug_concept_id\n200\n", r"column 'visit_occurrence_id': the column is missing"),
        ("CONCEPT", "concept_id\n200\n", r"CONCEPT\.csv, column 'concept_name'"),
    ],
)
def test_faults(folder, table, text, words):
    if text is None:
        (folder / f"{table}.csv").unlink()
    else:
        (folder / f"{table}.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        load(folder)


def test_files_that_are_no_omop_tables(tmp_path, folder):
    with pytest.raises(InputError, match="the folder holds no table of the OMOP model"):
        load(tmp_path)
    with pytest.raises(InputError, match="not named after a table"):
        load_encounters([folder, folder / "CDM_SOURCE.csv"], EncounterOptions(encounter_format="omop"))
    for name in ("CONDITION_OCCURRENCE", "DRUG_EXPOSURE", "PROCEDURE_OCCURRENCE", "MEASUREMENT"):
        (folder / f"{name}.csv").unlink()
    with pytest.raises(InputError, match="no table of events"):
        load(folder)

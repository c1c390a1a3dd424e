"""Tables in the columns of eICU and of MIMIC-III."""

import pytest

from corpora.encounter_loading import load_encounters
from corpora.encounter_options import EncounterOptions
from corpora.errors import InputError


def said(encounters):
    keys = encounters.keys
    return {
        encounter: sorted(keys[column] for column in row.indices)
        for encounter, row in zip(encounters.encounter_ids.tolist(), encounters.occurs, strict=True)
    }


def test_eicu_preset(tmp_path):
    (tmp_path / "stays.csv").write_text(
        "patient_id,stay_id,hospital_status,unit_los_min\n1,11,Expired,2000\n1,12,Alive,3000\n2,13,,100\n"
        "3,14,Alive,1500\n4,15,expired,4000\n5,16,Alive,90\n"
    )
    (tmp_path / "events.csv").write_text(
        "stay_id,offset_min,domain,code,description,concept\n11,5,dx,486,lung|pneumonia,dx:486\n"
        "12,2000,drug,,Drug X,drug:x\n12,10,drug,,Drug X,drug:x\n14,9,dx,486,lung|pneumonia,dx:486\n"
    )
    options = EncounterOptions(encounter_preset="eicu", prediction_hours=24, on_missing_outcome="skip")
    found = load_encounters([tmp_path / "events.csv", tmp_path / "stays.csv"], options)
    assert found.site == "events"
    assert said(found) == {"11": ["dx:486=present"], "12": ["drug:x=present"], "14": ["dx:486=present"], "15": []}
    assert found.outcomes.tolist() == [1, 0, 0, 1]
    assert found.report["encounters"]["dropped"] == {"ends before the prediction time": 1, "outcome missing": 1}


def mimic(tmp_path):
    tables = {
        "ADMISSIONS": "SUBJECT_ID,HADM_ID,ADMITTIME,DISCHTIME,HOSPITAL_EXPIRE_FLAG\n"
        "1,100,2150-01-01 08:00:00,2150-01-09 08:00:00,1\n2,200,2150-01-01 08:00:00,2150-01-09 08:00:00,0\n"
        "3,300,2150-01-01 08:00:00,2150-01-09 08:00:00,1\n4,400,2150-01-01 08:00:00,2150-01-09 08:00:00,0\n",
        "DIAGNOSES_ICD": "SUBJECT_ID,HADM_ID,SEQ_NUM,ICD9_CODE\n1,100,1,0389\n2,200,1,4280\n",
        "D_ICD_DIAGNOSES": "ICD9_CODE,LONG_TITLE\n0389,Unspecified septicemia\n4280,Heart failure\n",
        "PRESCRIPTIONS": "SUBJECT_ID,HADM_ID,STARTDATE,DRUG\n1,100,2150-01-01 00:00:00,Heparin\n"
        "1,100,2150-01-02 00:00:00,Morphine\n3,300,2150-01-01 00:00:00,Heparin\n",
    }
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return sorted(tmp_path.glob("*.csv"))


def test_mimic_preset(tmp_path):
    files = mimic(tmp_path)
    found = load_encounters(files, EncounterOptions(encounter_preset="mimic3"), "bidmc")
    assert {state.code: state.name for state in found.states} == {
        "drug:Heparin": "Heparin",
        "drug:Morphine": "Morphine",
        "dx:0389": "Unspecified septicemia",
        "dx:4280": "Heart failure",
    }
    assert said(found)["100"] == ["drug:Heparin=present", "drug:Morphine=present", "dx:0389=present"]
    assert found.outcomes.tolist() == [1, 0, 1, 0]
    # Billing codes have no time, and a drug of the second day may be given after the 24 hours.
    early = load_encounters(files, EncounterOptions(encounter_preset="mimic3", prediction_hours=24), "bidmc")
    assert early.keys == ["drug:Heparin=present"]
    assert early.report["events"]["dropped"] == {"after the prediction time": 1, "no time": 2}
    drugs = load_encounters(files, EncounterOptions(encounter_preset="mimic3", domains=["drug"]), "bidmc")
    assert set(drugs.keys) == {"drug:Heparin=present", "drug:Morphine=present"}


def test_mimic_preset_refuses_other_files_and_ambiguous_columns(tmp_path):
    files = mimic(tmp_path)
    with pytest.raises(InputError, match="--code_column is given, but the preset mimic3 has several tables"):
        load_encounters(files, EncounterOptions(encounter_preset="mimic3", code_column="X"))
    (tmp_path / "NOTES.csv").write_text("HADM_ID,TEXT\n1,a\n")
    with pytest.raises(InputError, match=r"NOTES\.csv: the table is not one that the preset reads"):
        load_encounters([*files, tmp_path / "NOTES.csv"], EncounterOptions(encounter_preset="mimic3"))

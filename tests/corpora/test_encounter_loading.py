"""Options of the tables of encounters, and two sites kept apart."""

from dataclasses import fields

import numpy as np
import pytest

from corpora.encounter_loading import _ALWAYS, _USED, load_encounters, separate_sites
from corpora.encounter_options import EncounterOptions
from corpora.encounters import encounters_from_sets
from corpora.errors import InputError


def made(site, patients):
    count = len(patients)
    said = [{("a", "present")} for _ in patients]
    return encounters_from_sets(
        [f"{site}{i}" for i in range(count)], patients, [i % 2 for i in range(count)], said, {"a": "alpha"}, site
    )


def test_a_patient_at_both_sites():
    north, south = made("north", ["1", "2", "3", "4", "5"]), made("south", ["5", "6", "7", "8", "5"])
    with pytest.raises(InputError, match="1 patient id is at both sites north and south; pass --shared_patients"):
        separate_sites(north, south)
    source, target = separate_sites(north, south, "distinct")
    assert not set(source.patient_ids) & set(target.patient_ids)
    assert target.patient_ids.tolist() == ["south:5", "south:6", "south:7", "south:8", "south:5"]
    assert len(source) == len(target) == 5
    source, target = separate_sites(north, south, "drop")
    assert source.patient_ids.tolist() == ["1", "2", "3", "4"] and len(target) == 5
    assert source.report["shared_patients"] == target.report["shared_patients"] == 1
    assert source.report["dropped_as_shared"] == 1


def test_several_shared_patients_and_what_is_left():
    with pytest.raises(InputError, match="3 patient ids are at both sites"):
        separate_sites(made("n", list("abcd")), made("s", list("bcdd")))
    with pytest.raises(InputError, match="site n: 0 of 1 encounters with the outcome"):
        separate_sites(made("n", list("abcd")), made("s", list("bcdd")), "drop")


@pytest.mark.parametrize("policy", ["error", "distinct", "drop"])
def test_sites_without_common_patients_stay_as_they_are(policy):
    north, south = made("north", list("abcd")), made("south", list("efgh"))
    for before, after in zip((north, south), separate_sites(north, south, policy), strict=True):
        assert after.digest == before.digest


def test_sites_have_names_of_their_own():
    with pytest.raises(InputError, match="both sites are called north"):
        separate_sites(made("north", list("abcd")), made("north", list("efgh")))


def test_every_option_is_used_by_some_format():
    names = {field.name for field in fields(EncounterOptions)}
    assert set().union(_ALWAYS, *_USED.values()) == names
    assert all(field.metadata["help"].strip() for field in fields(EncounterOptions))


def test_options_on_a_command_line():
    from command_line import RecipeParser

    words = "--encounter_preset eicu --prediction_hours 24 --domains dx drug --positive_values Expired Dead"
    (options,) = RecipeParser([EncounterOptions]).parse(words.split())
    assert options == EncounterOptions(
        encounter_preset="eicu", prediction_hours=24, domains=["dx", "drug"], positive_values=["Expired", "Dead"]
    )
    assert options.cut_off == 1440
    with pytest.raises(InputError, match="--encounter_format expects one of events, wide, omop"):
        RecipeParser([EncounterOptions]).parse(["--encounter_format", "long"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"encounter_format": "wide", "code_column": "x"}, "--code_column means nothing with --encounter_format wide"),
        ({"encounter_format": "omop", "encounter_preset": "eicu"}, "--encounter_preset means nothing"),
        ({"encounter_format": "omop", "outcome_above": 3.0}, "--outcome_above means nothing.* and this outcome"),
        ({"encounter_format": "omop", "positive_values": ["1"]}, "--positive_values means nothing.* and this outcome"),
        (
            {"encounter_format": "omop", "outcome_column": "x", "death_days": 3},
            "--death_days means nothing.* and this outcome",
        ),
        ({"missing_as": "absent"}, "--missing_as means nothing with --encounter_format events"),
    ],
)
def test_options_that_a_format_does_not_look_at_are_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        load_encounters(tmp_path / "file.csv", EncounterOptions(**options))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prediction_hours": 0.0}, "--prediction_hours is not above 0"),
        ({"prediction_hours": -3.0}, "--prediction_hours is not above 0"),
        ({"encounter_format": "wide", "prediction_hours": 24.0}, "needs times, which wide tables have not"),
        ({"name_levels": -1}, "--name_levels is below 0"),
        ({"death_days": -1}, "--death_days is below 0"),
        ({"present_values": ["+", "A"]}, "a value stands twice"),
        ({"positive_values": ["1"], "outcome_above": 3.0}, "--positive_values and --outcome_above are both given"),
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(InputError, match=words):
        EncounterOptions(**options)


def test_no_file_and_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no file of encounters"):
        load_encounters([], EncounterOptions())
    with pytest.raises(InputError, match="the file is missing"):
        load_encounters(tmp_path / "none.csv", EncounterOptions())


def test_a_parquet_table_with_dates_and_gaps(tmp_path):
    pandas = pytest.importorskip("pandas")
    stays = {"encounter_id": [1, 2, 3, 4], "patient_id": [1, 2, 3, np.nan], "outcome": [True, False, True, False]}
    stays["start"] = pandas.to_datetime(["2020-01-01 10:00"] * 4)
    events = {"encounter_id": [1.0, 2.0, np.nan], "code": [4280.0, 4280.0, 486.0], "description": ["CHF", "CHF", "x"]}
    events["time"] = pandas.to_datetime(["2020-01-01 12:00", None, "2020-01-01 12:00"])
    for name, table in (("stays", stays), ("events", events)):
        pandas.DataFrame(table).to_parquet(tmp_path / f"{name}.parquet")
    files = [tmp_path / "stays.parquet", tmp_path / "events.parquet"]
    with pytest.raises(InputError, match="row 4: the patient id is missing"):
        load_encounters(files, EncounterOptions())
    stays["patient_id"] = [1, 2, 3, 4]
    pandas.DataFrame(stays).to_parquet(tmp_path / "stays.parquet")
    found = load_encounters(files, EncounterOptions(prediction_hours=24.0))
    assert found.outcomes.tolist() == [1, 0, 1, 0] and found.keys == ["4280=present"]
    assert found.occurs.toarray().ravel().tolist() == [1, 0, 0, 0]
    assert found.report["events"]["dropped"] == {"no encounter": 1, "no time": 1}

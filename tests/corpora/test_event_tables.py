"""Tables of events: presets, times, names, levels, and every fault of the input."""

import pytest

from corpora.encounter_loading import load_encounters
from corpora.encounter_options import EncounterOptions
from corpora.errors import InputError

ENCOUNTERS = "encounter_id,patient_id,outcome,end\ne1,p1,1,3000\ne2,p2,0,3000\ne3,p3,1,2000\ne4,p4,0,1440\n"
EVENTS = (
    "encounter_id,code,description,time\ne1,a,Alpha,-60\ne1,a,Alpha,90\ne2,b,Beta,1440\ne3,a,Alpha,10\ne4,b,Beta,0\n"
)


def load(tmp_path, encounters=ENCOUNTERS, events=EVENTS, names=None, **options):
    files = []
    for stem, text in (("encounters", encounters), ("events", events)):
        if text is not None:
            files.append(tmp_path / f"{stem}.csv")
            files[-1].write_text(text)
    if names is not None:
        (tmp_path / "names.txt").write_text(names)
        options["concept_names"] = str(tmp_path / "names.txt")
    return load_encounters(files, EncounterOptions(**options), "north")


def said(encounters):
    keys = encounters.keys
    return {
        encounter: sorted(keys[column] for column in row.indices)
        for encounter, row in zip(encounters.encounter_ids.tolist(), encounters.occurs, strict=True)
    }


def test_generic_tables_in_any_order_with_repeats_collapsed(tmp_path):
    found = load(tmp_path)
    assert said(found) == {"e1": ["a=present"], "e2": ["b=present"], "e3": ["a=present"], "e4": ["b=present"]}
    assert found.outcomes.tolist() == [1, 0, 1, 0] and found.patient_ids.tolist() == ["p1", "p2", "p3", "p4"]
    assert [state.name for state in found.states] == ["Alpha", "Beta"] and found.site == "north"
    assert found.report["events"] == {"read": 5, "used": 4, "dropped": {"repeat": 1}}
    assert found.report["files"] == ["encounters.csv", "events.csv"]


def test_nothing_after_the_prediction_time_is_used(tmp_path):
    events = EVENTS + "e1,late,Comfort care,1441\ne3,late,Comfort care,1999\ne4,b,Beta,1440\n"
    found = load(tmp_path, events=events, prediction_hours=24)
    assert found.keys == ["a=present", "b=present"]
    assert said(found)["e2"] == ["b=present"]  # at the prediction time sharp
    assert found.report["events"]["dropped"] == {"after the prediction time": 2, "repeat": 2}
    assert all(state.name != "Comfort care" for state in found.states)


def test_encounters_that_end_before_the_prediction_time_are_dropped(tmp_path):
    more = ENCOUNTERS + "e5,p5,1,1439\ne6,p6,1,-5\n"
    found = load(tmp_path, more, EVENTS + "e5,a,Alpha,5\n", prediction_hours=24)
    assert found.encounter_ids.tolist() == ["e1", "e2", "e3", "e4"]
    assert found.report["encounters"]["dropped"] == {"ends before it starts": 1, "ends before the prediction time": 1}
    assert found.report["events"]["dropped"] == {"of an encounter left out": 1, "repeat": 1}


def test_events_after_the_end_are_not_used(tmp_path):
    found = load(tmp_path, events=EVENTS + "e1,c,Gamma,3001\ne2,c,Gamma,3000\n")
    assert said(found)["e1"] == ["a=present"] and said(found)["e2"] == ["b=present", "c=present"]
    assert found.report["events"]["dropped"] == {"after the end of the encounter": 1, "repeat": 1}


def test_events_without_a_time_count_only_without_a_prediction_time(tmp_path):
    events = EVENTS + "e1,c,Gamma,\n"
    assert said(load(tmp_path, events=events))["e1"] == ["a=present", "c=present"]
    found = load(tmp_path, events=events, prediction_hours=24)
    assert said(found)["e1"] == ["a=present"] and found.report["events"]["dropped"]["no time"] == 1


def test_dates_and_a_date_alone_is_the_end_of_its_day(tmp_path):
    encounters = (
        "encounter_id,patient_id,outcome,start,end\n"
        "e1,p1,1,2150-01-01 10:00:00,2150-01-03\ne2,p2,0,2150-01-01 10:00:00,2150-01-02 09:00:00\n"
        "e3,p3,1,2150-01-01 10:00:00,\ne4,p4,0,2150-01-01 10:00:00,2150-01-09\ne5,p5,0,2150-01-01 10:00:00,2150-01-09\n"
        "e6,p6,0,2150-01-01 10:00:00,2150-01-02\n"
    )
    events = (
        "encounter_id,code,description,time\ne1,a,Alpha,2150-01-02 10:00:00\ne1,b,Beta,2150-01-02T10:00:01\n"
        "e1,c,Gamma,2150-01-01\ne1,d,Delta,2150-01-02\ne3,d,Delta,2150-01-02 00:00:00\ne4,a,Alpha,20150101\n"
    )
    found = load(tmp_path, encounters, events, prediction_hours=24)
    assert said(found) == {"e1": ["a=present", "c=present"], "e3": [], "e4": ["a=present"], "e5": []}
    assert found.report["encounters"]["end_unknown"] == 1
    # e6 ends on the day of the prediction time, perhaps before it.
    assert found.report["encounters"]["dropped"] == {"ends before the prediction time": 2}
    without = load(tmp_path, encounters, events)
    assert said(without)["e1"] == ["a=present", "b=present", "c=present", "d=present"]


@pytest.mark.parametrize(("unit", "kept"), [("minutes", True), ("hours", True), ("days", False)])
def test_time_units(tmp_path, unit, kept):
    events = EVENTS + "e1,late,Late,24\n"
    found = load(tmp_path, events=events, time_unit=unit, prediction_hours=24)
    assert ("late=present" in said(found)["e1"]) == kept


def test_states_levels_and_ranges(tmp_path):
    events = (
        "encounter_id,code,description,time,state,range_low,range_high\n"
        "e1,k,Potassium,5,2.9,3.5,5.0\ne2,k,Potassium,5,5.1,3.5,5.0\ne3,k,Potassium,5,4,3.5,5.0\ne4,k,Potassium,5,4,,\n"
        "e1,f,Fever,5,A,,\ne2,f,Fever,5,yes,,\ne3,f,Fever,5,M,,\ne4,f,Fever,5,,,\ne1,g,Growth,5,Moderate,,\n"
    )
    found = load(tmp_path, events=events)
    assert said(found) == {
        "e1": ["f=absent", "g=moderate", "k=low"],
        "e2": ["f=present", "k=high"],
        "e3": ["k=normal"],
        "e4": ["f=present", "k=measured"],
    }
    assert found.report["events"]["dropped"] == {"no state": 1}


def test_domains(tmp_path):
    events = "encounter_id,code,description,time,domain\ne1,a,Alpha,5,dx\ne2,b,Beta,5,drug\n"
    found = load(tmp_path, events=events, domains=["dx"])
    assert found.keys == ["a=present"] and found.report["events"]["dropped"] == {"other domain": 1}
    assert found.report["encounters"]["without_events"] == 3


def test_a_code_with_two_descriptions_takes_the_most_frequent(tmp_path):
    events = EVENTS + "e2,a,Other,5\ne4,b,Another,5\n"
    found = load(tmp_path, events=events)
    # a: twice Alpha and once Other. b: twice Beta and once Another.
    assert [state.name for state in found.states] == ["Alpha", "Beta"]
    assert found.report["concepts"]["several_descriptions"] == 2
    tie = load(tmp_path, events="encounter_id,code,description,time\ne1,a,Zeta,5\ne2,a,Eta,5\n")
    assert tie.states[0].name == "Eta"


@pytest.mark.parametrize(("levels", "name"), [(0, "lung, infection, pneumonia"), (1, "pneumonia")])
def test_levels_of_a_path(tmp_path, levels, name):
    events = "encounter_id,code,description,time\ne1,a,lung| infection |pneumonia,5\n"
    assert load(tmp_path, events=events, name_levels=levels).states[0].name == name


def test_concepts_without_a_name(tmp_path):
    events = EVENTS + "e1,c,,5\ne2,c, ,5\n"
    with pytest.raises(InputError, match=r"events\.csv, row 6: the concept c has no name.*on_missing_name skip"):
        load(tmp_path, events=events)
    skipped = load(tmp_path, events=events, on_missing_name="skip")
    assert skipped.keys == ["a=present", "b=present"] and skipped.report["concepts"]["without_name"] == 1
    coded = load(tmp_path, events=events, on_missing_name="code")
    assert [state.name for state in coded.states] == ["Alpha", "Beta", "c"]
    given = load(tmp_path, events=events, names="c: Gamma\na: A name\n")
    assert [state.name for state in given.states] == ["A name", "Beta", "Gamma"]


def test_encounters_without_events_stay_and_are_counted(tmp_path):
    found = load(tmp_path, ENCOUNTERS + "e5,p5,0,3000\n")
    assert said(found)["e5"] == [] and found.report["encounters"]["without_events"] == 1


def test_missing_outcomes(tmp_path):
    encounters = ENCOUNTERS + "e5,p5,,3000\ne6,p6,nan,3000\n"
    with pytest.raises(InputError, match=r"encounters\.csv, row 5, column 'outcome': the outcome is missing"):
        load(tmp_path, encounters)
    found = load(tmp_path, encounters, on_missing_outcome="skip")
    assert len(found) == 4 and found.report["encounters"]["dropped"] == {"outcome missing": 2}


def test_an_outcome_that_is_a_number(tmp_path):
    found = load(tmp_path, outcome_column="end", outcome_above=2000.0)
    assert found.outcomes.tolist() == [1, 1, 0, 0]
    with pytest.raises(InputError, match=r"encounters\.csv, row 1, column 'patient_id': the outcome is no number"):
        load(tmp_path, outcome_column="patient_id", outcome_above=1.0)


def test_one_positive_only(tmp_path):
    with pytest.raises(InputError, match="site north: 1 of 4 encounters with the outcome"):
        load(tmp_path, ENCOUNTERS.replace("e3,p3,1", "e3,p3,0"))


@pytest.mark.parametrize(
    ("encounters", "events", "options", "words"),
    [
        (ENCOUNTERS + "e1,p9,0,1\n", EVENTS, {}, "row 5: the encounter stands in an earlier row"),
        (ENCOUNTERS + "e5,,0,1\n", EVENTS, {}, "row 5: the patient id is missing"),
        (ENCOUNTERS, EVENTS + "e1,c,Gamma,soon\n", {}, "row 6, column 'time': the time is neither a number nor a date"),
        (ENCOUNTERS, EVENTS + "e1,c,Gamma,2150-01-01\n", {}, "row 6: the time is a date, and the encounter has no"),
        (ENCOUNTERS, None, {}, "none of the files is a table of events; .*'code'"),
        (None, EVENTS, {}, "none of the files is a table of encounters; .*'outcome'"),
        (
            ENCOUNTERS,
            EVENTS,
            {"code_column": "icd"},
            "events.csv: the table is not one of encounters, .*nor .* lacks 'icd'",
        ),
        (ENCOUNTERS, EVENTS, {"state_column": "flag"}, "events.csv, column 'flag': the column is missing"),
        (
            ENCOUNTERS,
            EVENTS,
            {"outcome_column": "died"},
            "encounters.csv: the table is not one of encounters, as it lacks 'died'",
        ),
        (ENCOUNTERS, EVENTS.replace("time", "when"), {"prediction_hours": 24.0}, "no event is left .5 no time"),
        (ENCOUNTERS, EVENTS, {"domains": ["dx"]}, "no event is left .5 other domain"),
        (ENCOUNTERS, EVENTS.replace("code", "icd"), {}, "events.csv: the table .* lacks 'patient_id', nor .* 'code'"),
        (
            ENCOUNTERS,
            "encounter_id,code,description,time\nx,a,Alpha,1\n",
            {},
            "no event is left .1 of an encounter that is not listed",
        ),
        (ENCOUNTERS, EVENTS, {"prediction_hours": 300.0}, "no encounter is left .4 ends before the prediction time"),
        (
            ENCOUNTERS,
            "encounter_id,code,description,time,state\ne1,a,Alpha,1,37.2\n",
            {},
            "row 1, column 'state': the state is a number without a range",
        ),
        (
            ENCOUNTERS,
            "encounter_id,code,description,time,state\n" + "".join(f"e1,a,A,1,level {i}\n" for i in range(101)),
            {},
            "row 101: the concept a has more than 100 states",
        ),
    ],
)
def test_faults_name_file_row_and_column(tmp_path, encounters, events, options, words):
    with pytest.raises(InputError, match=words) as caught:
        load(tmp_path, encounters, events, **options)
    assert "\n" not in str(caught.value)

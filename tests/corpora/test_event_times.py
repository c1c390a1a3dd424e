"""Times as numbers and dates, and how exactly they are known."""

import datetime

import pytest

from corpora.errors import InputError
from corpora.event_times import Moment, read_moment

DAY = datetime.date(2150, 1, 2)
MIDNIGHT = (datetime.datetime(2150, 1, 2) - datetime.datetime(1970, 1, 1)).total_seconds() / 60


@pytest.mark.parametrize("value", [None, "", " ", "nan", float("nan"), "NULL"])
def test_missing(value):
    assert read_moment(value) is None


@pytest.mark.parametrize(
    ("value", "unit", "minutes"),
    [("-90", "minutes", -90), (1.5, "hours", 90), ("2", "days", 2880), ("1e3", "minutes", 1000)],
)
def test_numbers(value, unit, minutes):
    assert read_moment(value, unit) == Moment(minutes, minutes, False)


@pytest.mark.parametrize("value", ["2150-01-02", "2150-01-02 00:00:00", "21500102", DAY, datetime.datetime(2150, 1, 2)])
def test_a_date_alone_is_any_time_of_its_day(value):
    found = read_moment(value)
    assert found.dated and found.earliest == MIDNIGHT
    assert MIDNIGHT + 1439 < found.latest < MIDNIGHT + 1440


@pytest.mark.parametrize(
    "value",
    [
        "2150-01-02 10:30:00",
        "2150-01-02T10:30:00Z",
        "2150-01-02T12:30:00+02:00",
        datetime.datetime(2150, 1, 2, 10, 30),
    ],
)
def test_a_time_of_day_is_exact(value):
    assert read_moment(value) == Moment(MIDNIGHT + 630, MIDNIGHT + 630, True)


@pytest.mark.parametrize(("value", "words"), [("noon", "neither"), ("2150-13-01", "neither"), ("inf", "not finite")])
def test_faults_do_not_quote_the_cell(value, words):
    with pytest.raises(InputError, match=words) as caught:
        read_moment(value)
    assert value not in str(caught.value).split(";")[0]


def test_after_the_start():
    start = read_moment("2150-01-01 10:00")
    assert read_moment("2150-01-02 11:00").after(start) == Moment(1500, 1500, False)
    day = read_moment("2150-01-02").after(start)
    assert (day.earliest, round(day.latest)) == (840, 2280)
    # Of a start that is a date alone, the beginning of the day counts.
    assert read_moment("2150-01-02 11:00").after(read_moment("2150-01-01")).earliest == 2100
    assert read_moment(7).after(None) == Moment(7, 7, False)
    for unknown in (None, read_moment(7)):
        with pytest.raises(InputError, match="the encounter has no date of its start"):
            read_moment("2150-01-02").after(unknown)

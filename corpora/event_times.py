"""When things happened: dates and offsets of any table as minutes after the start of the encounter."""

from __future__ import annotations

import contextlib
import datetime
import math
from typing import Any, NamedTuple

from corpora.errors import InputError
from corpora.records import NULL_TEXTS

MINUTES = {"minutes": 1.0, "hours": 60.0, "days": 1440.0}
_DAY = 1440.0
_EPOCH = datetime.datetime(1970, 1, 1)


class Moment(NamedTuple):
    """A time as exactly as it is known.

    Args:
        earliest: Minutes: since 1970 for a date, after the start of the encounter for a number.
        latest: The same, or the end of the day for a date without a time of day.
        dated: Whether it was a date.
    """

    earliest: float
    latest: float
    dated: bool

    def after(self, start: Moment | None) -> Moment:
        """Return a date in minutes after the earliest start; an offset is returned as it is.

        Raises:
            InputError: It is a date, and the start is not known as a date.
        """
        if not self.dated:
            return self
        if start is None or not start.dated:
            raise InputError(
                "the time is a date, and the encounter has no date of its start",
                remedy="name it with --start_column, or give offsets from the start",
            )
        return Moment(self.earliest - start.earliest, self.latest - start.earliest, False)


def read_moment(value: Any, unit: str = "minutes") -> Moment | None:
    """Read a time, or None where it is missing.

    A date without time of day, or at midnight sharp, as exports write such dates, may be any time of that day. So that
    nothing after the prediction time is used, its latest time is what is compared with it.

    Args:
        value: A number, ISO 8601 text, or what Parquet gives for a date.
        unit: Of numbers.

    Raises:
        InputError: It is neither.
    """
    if value is None or value != value:  # NaN and NaT differ from themselves
        return None
    if isinstance(value, datetime.date):
        return _dated(value)
    text = str(value).strip()
    if text in NULL_TEXTS:
        return None
    try:
        number = float(text)
    except ValueError:
        return _dated(_iso(text))
    if not math.isfinite(number):
        raise InputError("the time is not finite", remedy="give minutes or an ISO date")
    # 20240131 is a date written short, not an offset of 38 years.
    if len(text) == 8 and text.isdecimal():
        return _dated(_iso(f"{text[:4]}-{text[4:6]}-{text[6:]}"))
    return Moment(number * MINUTES[unit], number * MINUTES[unit], False)


def _iso(text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith(("Z", "z")) else text)
    except ValueError:
        raise InputError(
            "the time is neither a number nor a date", remedy="write dates as 2024-01-31 23:59:00"
        ) from None


def _dated(date: datetime.date) -> Moment:
    if not isinstance(date, datetime.datetime):
        date = datetime.datetime(date.year, date.month, date.day)
    if date.tzinfo is not None:
        # 9999-12-31T23:59:59-05:00 says that an end is open; the hour does not matter there.
        with contextlib.suppress(OverflowError):
            date = date.astimezone(datetime.timezone.utc)
        date = date.replace(tzinfo=None)
    minutes = (date - _EPOCH).total_seconds() / 60
    midnight = date.time() == datetime.time()
    # Less a second, so that the next day's midnight lies after it.
    return Moment(minutes, minutes + (_DAY - 1 / 60 if midnight else 0.0), True)

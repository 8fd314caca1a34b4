"""When sessions are open: weekly hours over holidays, midnight and changes of the clock."""

from __future__ import annotations

from datetime import date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickspan.analysis.rules.calendars import Calendar, weekly

ZURICH = "Europe/Zurich"
WEEKDAYS = range(5)


def at(text: str, tz: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)).timestamp()


def sessions(calendar: Calendar) -> list[tuple[str, str]]:
    return [
        tuple(datetime.fromtimestamp(edge, ZoneInfo("UTC")).strftime("%a %d %H:%M") for edge in pair)
        for pair in zip(calendar.openings, calendar.closes, strict=True)
    ]  # pyright: ignore[reportReturnType] - pairs


def desk(
    from_day: str,
    until_day: str,
    opens: time,
    closes: time,
    tz: str = ZURICH,
    holidays: tuple[date, ...] = (),
) -> Calendar:
    return weekly("desk", tz, WEEKDAYS, opens, closes, holidays, from_s=at(from_day), until_s=at(until_day))


def test_a_week_has_a_session_each_of_its_days_but_holidays() -> None:
    calendar = desk("2026-06-04", "2026-06-10", time(8), time(22), holidays=(date(2026, 6, 8),))
    assert sessions(calendar) == [
        ("Thu 04 06:00", "Thu 04 20:00"),
        ("Fri 05 06:00", "Fri 05 20:00"),
        ("Tue 09 06:00", "Tue 09 20:00"),
    ]


def test_hours_are_of_the_zones_clock_when_it_changes() -> None:
    calendar = desk("2026-03-27", "2026-03-31", time(8), time(22))
    assert sessions(calendar) == [("Fri 27 07:00", "Fri 27 21:00"), ("Mon 30 06:00", "Mon 30 20:00")]


def test_a_session_over_midnight_belongs_to_the_day_of_its_opening() -> None:
    calendar = desk("2026-06-05", "2026-06-09", time(22), time(6), tz="UTC")
    assert sessions(calendar) == [
        ("Thu 04 22:00", "Fri 05 06:00"),
        ("Fri 05 22:00", "Sat 06 06:00"),
        ("Mon 08 22:00", "Tue 09 06:00"),
    ]
    assert calendar.opened_at(at("2026-06-06T05:59:59")) == at("2026-06-05T22:00")
    assert calendar.opened_at(at("2026-06-06T06:00")) is None


def test_a_session_of_a_whole_day_ends_where_the_next_begins() -> None:
    calendar = desk("2026-06-03", "2026-06-05", time(0), time(0), tz="UTC")
    assert sessions(calendar) == [("Wed 03 00:00", "Thu 04 00:00"), ("Thu 04 00:00", "Fri 05 00:00")]


@pytest.mark.parametrize(
    ("day", "opens", "closes", "session"),
    [
        ("2026-03-29", time(2, 30), time(4), [("Sun 29 01:30", "Sun 29 02:00")]),
        ("2026-10-25", time(2, 30), time(4), [("Sun 25 00:30", "Sun 25 03:00")]),
        ("2026-03-29", time(2, 30), time(3), []),
    ],
    ids=["an hour that is skipped", "an hour that comes twice", "nothing is left"],
)
def test_an_hour_that_the_clock_skips_or_repeats(
    day: str, opens: time, closes: time, session: list[tuple[str, str]]
) -> None:
    from_s = at(day)
    calendar = weekly("night", ZURICH, (6,), opens, closes, from_s=from_s, until_s=from_s + 86_400)
    assert sessions(calendar) == session


def test_an_unknown_zone_is_an_error() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        desk("2026-06-04", "2026-06-10", time(8), time(22), tz="Europe/Atlantis")


@given(
    st.sampled_from((ZURICH, "America/New_York", "Australia/Lord_Howe", "UTC")),
    st.times(),
    st.times(),
    st.sets(st.integers(0, 6)),
    st.dates(date(2025, 1, 1), date(2027, 1, 1)),
    st.integers(1, 60),
)
def test_sessions_ascend_and_do_not_overlap(
    tz: str, opens: time, closes: time, days: set[int], first: date, length: int
) -> None:
    from_s = at(first.isoformat())
    calendar = weekly("any", tz, days, opens, closes, from_s=from_s, until_s=from_s + length * 86_400)
    edges = [edge for pair in zip(calendar.openings, calendar.closes, strict=True) for edge in pair]
    assert edges == sorted(edges)
    assert all(calendar.opened_at(opening) == opening for opening in calendar.openings)
    assert all(close > from_s for close in calendar.closes)


CALENDAR = Calendar("us", (100.0, 200.0, 300.0, 1000.0), (150.0, 220.0, 350.0, 1050.0))


@pytest.mark.parametrize(
    ("wall_s", "opened_s"),
    [(99.9, None), (100.0, 100.0), (149.9, 100.0), (150.0, None), (210.0, 200.0), (2000.0, None)],
)
def test_a_session_is_open_from_its_opening_until_before_its_close(
    wall_s: float, opened_s: float | None
) -> None:
    assert CALENDAR.opened_at(wall_s) == opened_s


@pytest.mark.parametrize(
    ("wall_s", "before_s", "then_s"),
    [
        (310.0, 100.0, 210.0),
        (325.0, 100.0, None),
        (325.0, 200.0, 125.0),
        (1010.0, 100.0, 310.0),
        (1010.0, 790.0, 210.0),
        (1010.0, 5000.0, 110.0),
        (310.0, 10.0, 210.0),
        (110.0, 100.0, None),
        (360.0, 100.0, None),
    ],
)
def test_the_same_time_before_is_as_long_after_the_opening_of_the_nearest_session(
    wall_s: float, before_s: float, then_s: float | None
) -> None:
    assert CALENDAR.same_time_before(wall_s, before_s) == then_s

"""The session plan: what a rule file says about a calendar, and the openings that weekly hours give."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tickspan.analysis.rules.calendars import Calendar, weekly
from tickspan.analysis.rules.problems import Misread, hint, shown

__all__ = ["Exchange", "Hours", "MakeCalendar", "SessionPlan", "calendar_of", "hours_of", "no_exchange"]

_FROM_S: Final = datetime(2024, 1, 1, tzinfo=UTC).timestamp()
_UNTIL_S: Final = datetime(2050, 1, 1, tzinfo=UTC).timestamp()
_WEEK: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
_MIDNIGHT: Final = "24:00"


@dataclass(frozen=True, slots=True)
class Exchange:
    """The sessions of an exchange.

    Attributes:
        mic: ISO 10383.
    """

    mic: str


@dataclass(frozen=True, slots=True)
class Hours:
    """Weekly hours.

    Attributes:
        zone: IANA name.
        days: on which a session opens, Monday is 0.
        opens: time of day.
        closes: time of day; not later than `opens` is on the next day.
        holidays: on which no session opens.
    """

    zone: str
    days: frozenset[int]
    opens: time
    closes: time
    holidays: frozenset[date] = frozenset()


SessionPlan: TypeAlias = Exchange | Hours
MakeCalendar: TypeAlias = Callable[[str, SessionPlan], Calendar]
"""Gives the calendar of a name and a plan. Raises `Misread` when it cannot."""


def no_exchange(name: str, plan: SessionPlan) -> Calendar:
    """Calendars of weekly hours; those of exchanges are not known here."""
    if isinstance(plan, Exchange):
        raise Misread(f"expected weekly hours (tz, days, open, close), got the exchange {shown(plan.mic)}")
    return calendar_of(name, plan)


def calendar_of(name: str, hours: Hours) -> Calendar:
    """The sessions of weekly hours from 2024 to 2050: what day it is makes no difference."""
    return weekly(
        name,
        hours.zone,
        hours.days,
        hours.opens,
        hours.closes,
        hours.holidays,
        from_s=_FROM_S,
        until_s=_UNTIL_S,
    )


def hours_of(values: Mapping[str, Any]) -> Hours:
    """Weekly hours out of the texts of a file: `tz`, `days`, `open`, `close`, `holidays`.

    Raises:
        Misread: one of them is not understood.
    """
    opens, closes = (_clock(values[name]) for name in ("open", "close"))
    return Hours(
        _zone(values.get("tz", "UTC")),
        _days(values.get("days", "mon-fri")),
        opens,
        closes,
        frozenset(_date(text) for text in values.get("holidays", ())),
    )


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Misread(f"expected a zone like 'Europe/Zurich', got {shown(text)}") from None
    return text


def _clock(text: str) -> time:
    if text == _MIDNIGHT:
        return time()
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise Misread(f"expected a time of day like '08:00', got {shown(text)}")
    return time(int(match[1]), int(match[2]), int(match[3] or 0))


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        ends = (first, last or first)
        wrong = next((end for end in ends if end not in _WEEK), None)
        if wrong is not None:
            raise Misread(f"expected days like 'mon-fri', got {shown(text)}{hint(wrong, _WEEK)}")
        start, end = (_WEEK.index(day) for day in ends)
        found |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return frozenset(found)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Misread(f"expected a date like '2026-12-25', got {shown(text)}") from None

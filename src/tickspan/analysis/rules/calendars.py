"""The calendar: when a session is open."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

__all__ = ["Calendar", "weekly"]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Sessions as pairs of opening and close.

    Attributes:
        name: that rules know it by.
        openings: seconds since 1970, ascending.
        closes: one for each opening, later than it, not later than the next.
    """

    name: str
    openings: tuple[float, ...]
    closes: tuple[float, ...]

    def opened_at(self, wall_s: float) -> float | None:
        """When the session that is open now was opened; None while it is closed."""
        number = bisect_right(self.openings, wall_s) - 1
        return self.openings[number] if number >= 0 and wall_s < self.closes[number] else None

    def same_time_before(self, wall_s: float, before_s: float) -> float | None:
        """The same time after the opening, in the session that opened nearest to `before_s` before this one.

        On a Monday, a day before is Friday. None while it is closed, where there is no session before this
        one, and where that one was over by then.
        """
        number = bisect_right(self.openings, wall_s) - 1
        if number < 1 or wall_s >= self.closes[number]:
            return None
        opened_s = self.openings[number]
        wanted_s = opened_s - before_s
        after = bisect_right(self.openings, wanted_s, hi=number)
        near = min(
            range(max(after - 1, 0), min(after, number - 1) + 1),
            key=lambda one: abs(self.openings[one] - wanted_s),
        )
        then_s = self.openings[near] + wall_s - opened_s
        return then_s if then_s < self.closes[near] else None


def weekly(
    name: str,
    tz: str,
    days: Collection[int],
    open_at: time,
    close_at: time,
    holidays: Collection[date] = (),
    *,
    from_s: float,
    until_s: float,
) -> Calendar:
    """Sessions at the same hours of a week's days, by the clock of a zone.

    A close that is not later than the opening is on the next day. Where the zone's clock skips an hour, a
    time in it is an hour later; of an hour that comes twice it is the first. A session that would be empty
    is left out.

    Args:
        name: of the calendar.
        tz: IANA name, such as `Europe/Zurich`.
        days: of the openings; Monday is 0.
        open_at: by the zone's clock.
        close_at: the same.
        holidays: days without an opening.
        from_s: sessions that end later than this are given, seconds since 1970.
        until_s: and that open earlier than this.

    Raises:
        zoneinfo.ZoneInfoNotFoundError: if the zone is not known.
    """
    zone = ZoneInfo(tz)
    length = timedelta(days=0 if open_at < close_at else 1)
    day = datetime.fromtimestamp(from_s, zone).date() - timedelta(days=2)
    last = datetime.fromtimestamp(until_s, zone).date() + timedelta(days=1)
    sessions: list[tuple[float, float]] = []
    while day <= last:
        if day.weekday() in days and day not in holidays:
            opening = datetime.combine(day, open_at, zone).timestamp()
            close = datetime.combine(day + length, close_at, zone).timestamp()
            if opening < close and close > from_s and opening < until_s:
                sessions.append((opening, close))
        day += timedelta(days=1)
    return Calendar(name, tuple(opening for opening, _ in sessions), tuple(close for _, close in sessions))

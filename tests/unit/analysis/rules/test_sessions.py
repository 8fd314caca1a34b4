"""Weekly hours as rule files write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from tickspan.analysis.rules.problems import Misread
from tickspan.analysis.rules.sessions import Exchange, Hours, calendar_of, hours_of, no_exchange


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_hours_are_read() -> None:
    values: dict[str, Any] = {
        "tz": "Europe/Zurich",
        "days": "Mon-Wed, fri",
        "open": "08:00",
        "close": "22:30:15",
        "holidays": ("2026-12-25",),
    }
    assert hours_of(values) == Hours(
        "Europe/Zurich", frozenset({0, 1, 2, 4}), time(8), time(22, 30, 15), frozenset({date(2026, 12, 25)})
    )


@pytest.mark.parametrize(
    ("text", "days"), [("sun-thu", {6, 0, 1, 2, 3}), ("sat", {5}), ("mon-sun", set(range(7)))]
)
def test_days_may_go_over_the_end_of_the_week(text: str, days: set[int]) -> None:
    assert hours_of({"days": text, "open": "00:00", "close": "24:00"}).days == days


def test_sessions_are_open_by_the_clock_of_their_zone() -> None:
    calendar = calendar_of("desk", hours_of({"tz": "Europe/Zurich", "open": "08:00", "close": "22:00"}))
    assert calendar.opened_at(at("2026-07-01 06:00")) == at("2026-07-01 06:00")  # summer: two hours
    assert calendar.opened_at(at("2026-01-05 06:30")) is None  # winter: one
    assert calendar.opened_at(at("2026-01-05 20:59")) == at("2026-01-05 07:00")
    assert calendar.opened_at(at("2026-01-04 12:00")) is None  # a Sunday
    assert calendar.opened_at(at("2049-06-01 12:00")) == at("2049-06-01 06:00")


def test_a_session_may_end_on_the_next_day() -> None:
    calendar = calendar_of("night", hours_of({"days": "sun-thu", "open": "22:00", "close": "21:00"}))
    assert calendar.opened_at(at("2026-01-05 12:00")) == at("2026-01-04 22:00")
    assert calendar.opened_at(at("2026-01-05 21:30")) is None


def test_the_sessions_of_an_exchange_are_not_known_without_its_table() -> None:
    with pytest.raises(Misread, match=r"^expected weekly hours .* got the exchange 'XNYS'$"):
        no_exchange("us", Exchange("XNYS"))

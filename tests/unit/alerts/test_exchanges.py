"""Calendars of exchanges, from the library and from a table on disk."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tickspan.alerts.exchanges import ExchangeTables
from tickspan.analysis.rules.problems import Misread
from tickspan.analysis.rules.sessions import Exchange

NOW_S = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
DAY_S = 86_400.0

# What the library says of pandas, and pandas of itself, depends on their versions.
of_the_library = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_a_table_on_disk_serves_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    table = {
        "mic": "XNYS",
        "openings": [NOW_S, NOW_S + 20 * DAY_S],
        "closes": [NOW_S + 9, NOW_S + 20.5 * DAY_S],
    }
    (tmp_path / "XNYS.json").write_text(json.dumps(table))
    calendar = ExchangeTables(tmp_path, NOW_S)("us", Exchange("XNYS"))
    assert (calendar.name, calendar.openings, calendar.closes) == (
        "us",
        (NOW_S, NOW_S + 20 * DAY_S),
        (NOW_S + 9, NOW_S + 20.5 * DAY_S),
    )


@pytest.mark.parametrize(
    "table",
    [
        "",
        "{",
        "[]",
        '{"openings": [1], "closes": []}',
        '{"openings": [3], "closes": [2]}',
        '{"openings": [1], "closes": [2]}',
        '{"openings": ["x"], "closes": [2]}',
    ],
)
def test_a_table_that_is_broken_or_too_old_is_not_used(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    (tmp_path / "XNYS.json").write_text(table)
    with pytest.raises(
        Misread, match=r"^expected 'pip install tickspan\[calendars\]', for the exchange 'XNYS'$"
    ):
        ExchangeTables(tmp_path, NOW_S)("us", Exchange("XNYS"))


@of_the_library
def test_the_library_is_asked_once_and_the_table_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("exchange_calendars")
    asked = ExchangeTables(tmp_path / "tables", NOW_S)("us", Exchange("XNYS"))
    assert asked.opened_at(datetime(2026, 11, 25, 15, tzinfo=UTC).timestamp()) is not None
    assert asked.opened_at(datetime(2026, 11, 26, 15, tzinfo=UTC).timestamp()) is None  # Thanksgiving
    assert asked.opened_at(datetime(2026, 11, 27, 18, 30, tzinfo=UTC).timestamp()) is None  # closes at 13:00
    monkeypatch.setitem(sys.modules, "exchange_calendars", None)
    assert ExchangeTables(tmp_path / "tables", NOW_S)("us", Exchange("XNYS")) == asked


@of_the_library
def test_a_break_at_noon_makes_two_sessions() -> None:
    pytest.importorskip("exchange_calendars")
    tokyo = ExchangeTables(None, NOW_S)("tokyo", Exchange("XTKS"))
    times = {hour: datetime(2026, 11, 26, hour, 45, tzinfo=UTC).timestamp() for hour in (1, 2, 4)}
    assert {hour: tokyo.opened_at(moment) is not None for hour, moment in times.items()} == {
        1: True,
        2: False,
        4: True,
    }


@of_the_library
def test_an_unknown_exchange_is_told() -> None:
    pytest.importorskip("exchange_calendars")
    with pytest.raises(
        Misread, match=r"^expected the ISO 10383 code of an exchange, such as 'XNYS', got 'XXXX'"
    ):
        ExchangeTables(None, NOW_S)("us", Exchange("XXXX"))

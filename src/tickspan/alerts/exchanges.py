"""The exchange's calendar: its sessions by ISO 10383 code, from a table on disk or from `exchange-calendars`.

That library imports pandas. Whoever has it writes the table, so that a process of the same user reads a few
kilobytes instead.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tickspan.analysis.rules.calendars import Calendar
from tickspan.analysis.rules.problems import Misread, shown
from tickspan.analysis.rules.sessions import Exchange, SessionPlan, calendar_of

__all__ = ["ExchangeTables", "table_directory"]

_DAY_S: Final = 86_400.0
_BACK_S: Final = 60 * _DAY_S
_AHEAD_S: Final = 330 * _DAY_S
_LEAST_AHEAD_S: Final = 14 * _DAY_S
_TABLE_BYTES: Final = 1024 * 1024


def table_directory() -> Path:
    """Where tables are kept: `tickspan/calendars` below XDG_STATE_HOME."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local/state") / "tickspan/calendars"


class ExchangeTables:
    """Makes calendars; see `tickspan.analysis.rules.sessions.MakeCalendar`."""

    def __init__(self, directory: Path | None, now_s: float | None = None) -> None:
        """Tables are read from and written to the directory; None keeps none.

        Args:
            directory: made when a table is written; one that cannot be written is no error.
            now_s: wall clock; a table has to reach two weeks beyond it.
        """
        self._directory = directory
        self._now_s = time.time() if now_s is None else now_s

    def __call__(self, name: str, plan: SessionPlan) -> Calendar:
        """The calendar of a plan. Raises `Misread` when the exchange or the library is not known."""
        if not isinstance(plan, Exchange):
            return calendar_of(name, plan)
        table = self._stored(plan.mic)
        if table is None:
            table = _sessions(plan.mic, self._now_s)
            self._store(plan.mic, table)
        openings, closes = table
        return Calendar(name, tuple(openings), tuple(closes))

    def _path(self, mic: str) -> Path | None:
        return None if self._directory is None or not mic.isalnum() else self._directory / f"{mic}.json"

    def _stored(self, mic: str) -> tuple[list[float], list[float]] | None:
        path = self._path(mic)
        if path is None:
            return None
        try:
            if path.stat().st_size > _TABLE_BYTES:
                return None
            read = json.loads(path.read_text(encoding="utf-8"))
            openings = [float(number) for number in read["openings"]]
            closes = [float(number) for number in read["closes"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        flat = [moment for pair in zip(openings, closes, strict=False) for moment in pair]
        is_whole = len(openings) == len(closes) and bool(flat) and flat == sorted(flat)
        return (openings, closes) if is_whole and closes[-1] > self._now_s + _LEAST_AHEAD_S else None

    def _store(self, mic: str, table: tuple[list[float], list[float]]) -> None:
        path = self._path(mic)
        if path is None:
            return
        text = json.dumps({"mic": mic, "openings": table[0], "closes": table[1]})
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{mic}.")
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            Path(draft).replace(path)


def _sessions(mic: str, now_s: float) -> tuple[list[float], list[float]]:
    try:
        import exchange_calendars  # imports pandas: only where a calendar asks for it
    except ImportError:
        raise Misread(f"expected 'pip install tickspan[calendars]', for the exchange {shown(mic)}") from None
    library: Any = exchange_calendars
    start, end = (
        datetime.fromtimestamp(moment, UTC).date().isoformat()
        for moment in (now_s - _BACK_S, now_s + _AHEAD_S)
    )
    try:
        calendar = library.get_calendar(mic, start=start, end=end)
    except library.errors.InvalidCalendarName:
        raise Misread(
            f"expected the ISO 10383 code of an exchange, such as 'XNYS', got {shown(mic)}"
        ) from None
    except (ValueError, library.errors.CalendarError) as error:
        raise Misread(f"exchange {shown(mic)}: {str(error).partition(chr(10))[0]}") from None
    openings, closes = zip(*_sides(calendar.schedule), strict=True)
    return list(openings), list(closes)


def _sides(schedule: Any) -> Iterator[tuple[float, float]]:
    """Opening and close of each session in a table of the library; of two where there is a break at noon."""
    for row in schedule.itertuples():
        opening, close = row.open.timestamp(), row.close.timestamp()
        if row.break_start == row.break_start:  # NaT is not equal to itself
            yield opening, row.break_start.timestamp()
            yield row.break_end.timestamp(), close
        else:
            yield opening, close

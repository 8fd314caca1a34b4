"""Log records, newest first; and one record whole. Those of a trace are shown however old they are."""

from __future__ import annotations

from typing import Final

from tickspan_desk.store.reading import LogFilter, Reading, Window
from tickspan_desk.views.logs import Logs, Record, logs_of, record_of
from tickspan_desk.views.records import SEVERITIES, time_of
from tickspan_desk.web.page import Asked, NotFound, Page

__all__ = ["PAGES"]

ROWS: Final = 100
COUNTED: Final = 2000
"""Records that the picture counts."""
_EVER: Final = Window(0, 2**63 - 1)
_TIMES: Final = ("range", "since", "until")
_NUMBERS: Final = {severity.word: severity.number for severity in SEVERITIES}


def _logs(reading: Reading, asked: Asked) -> Logs:
    window = asked.window()
    wanted = LogFilter(
        service=asked.text("service"),
        min_severity=_NUMBERS.get(asked.text("severity").lower(), 0),
        event=asked.text("event").strip(),
        text=asked.text("text"),
        trace_id=asked.text("trace_id").strip().lower(),
        attribute=asked.text("attribute").strip(),
    )
    is_everywhen = bool(wanted.trace_id) and not any(map(asked.text, _TIMES))
    counted = reading.logs(wanted, _EVER if is_everywhen else window, limit=COUNTED)
    if is_everywhen and counted:
        times = [time_of(entry.record) for entry in counted]
        window = Window(min(times), max(times) + 1)
    before = asked.integer("before")
    page = reading.logs(wanted, window, limit=ROWS + 1, before=before) if before else counted[: ROWS + 1]
    has_any = bool(counted) or bool(wanted != LogFilter() and reading.logs(LogFilter(), window, limit=1))
    return logs_of(
        page[:ROWS],
        counted,
        wanted,
        window,
        reading.services(),
        has_older=len(page) > ROWS,
        counted_up_to=COUNTED,
        has_any=has_any,
    )


def _record(reading: Reading, asked: Asked) -> Record:
    number = asked.path["number"]
    is_number = number.isascii() and number.isdigit() and len(number) < 19  # noqa: PLR2004 - as SQLite counts
    found = reading.logs(LogFilter(), _EVER, limit=1, before=int(number) + 1) if is_number else []
    if not found or found[0].number != int(number):
        raise NotFound(
            f"No record has the number {number[:40]!r}. Records are numbered as they come; this one may have"
            " gone for its age or for room."
        )
    return record_of(found[0], is_whole=True)


PAGES: tuple[Page, ...] = (
    Page("/logs", "Logs", "logs.html", _logs, key="l"),
    Page("/logs/{number}", "", "log.html", _record),
)

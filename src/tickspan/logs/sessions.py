"""Sessions: when a trading session opens, at which log files begin anew."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import Final

from tickspan.analysis.rules.problems import Misread
from tickspan.analysis.rules.sessions import calendar_of, hours_of

__all__ = ["check_session", "session_number"]

_TEXT: Final = re.compile(
    r"(?P<days>[A-Za-z]{3}[A-Za-z,\-]*)\s+(?P<open>[\d:]+)-(?P<close>[\d:]+)(?:\s+(?P<tz>\S+))?"
)


def check_session(text: str) -> None:
    """Raise ValueError for what is no session, such as `mon-fri 09:30-16:00 America/New_York`."""
    _openings(text)


def session_number(text: str, wall_s: float) -> int:
    """How many sessions had been opened by then: it changes with each opening, and only then.

    Raises:
        ValueError: the text is no session.
    """
    return bisect_right(_openings(text), wall_s)


@lru_cache(maxsize=16)
def _openings(text: str) -> tuple[float, ...]:
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"expected days, hours and a zone, such as 'mon-fri 09:30-16:00 America/New_York'; got {text!r}"
        )
    values = {name: value for name, value in match.groupdict().items() if value is not None}
    try:
        return calendar_of("logs", hours_of(values)).openings
    except Misread as error:
        raise ValueError(str(error)) from None

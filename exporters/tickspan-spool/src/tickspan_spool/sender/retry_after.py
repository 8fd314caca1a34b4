"""Retry-After: how long a server asks to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_WAIT_S = 300.0
_LONGEST_DIGITS = 9  # 30 years; more digits change nothing, and `int()` refuses 4,300 of them


def retry_after_s(value: str | None, date: str | None) -> float:
    """Seconds in [0, 300] that a `Retry-After` header asks for.

    Args:
        value: the header, a whole number of seconds or an HTTP date (RFC 9110, 10.2.3, all three forms).
        date: the `Date` header of the same answer. A date is compared with it and not with our clock, so that
            it does not matter how far the two clocks are apart.

    Returns:
        0 when there is no header, or it cannot be read, or it is a date without `Date` beside it.
    """
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0")
        return LONGEST_WAIT_S if len(digits) > _LONGEST_DIGITS else _clamped(float(digits or 0))
    until, sent = _moment(text), _moment((date or "").strip())
    if until is None or sent is None:
        return 0.0
    return _clamped((until - sent).total_seconds())


def _clamped(wait_s: float) -> float:
    return min(max(0.0, wait_s), LONGEST_WAIT_S)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):  # what the parser raises on hostile text
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

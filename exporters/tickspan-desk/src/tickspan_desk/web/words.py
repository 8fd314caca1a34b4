"""How numbers, times and sizes read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

__all__ = [
    "as_bytes",
    "as_clock",
    "as_count",
    "as_date",
    "as_duration",
    "as_percent",
    "as_signed_duration",
]

_DURATIONS: Final = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))


def as_duration(nanoseconds: float) -> str:
    """Such as "1.25 ms"; three digits that mean something."""
    for size, unit in _DURATIONS:
        # What would be rounded to 1,000 of a unit is 1 of the next.
        if abs(nanoseconds) >= size * 0.9995:
            many = nanoseconds / size
            return f"{many:,.0f} {unit}" if abs(many) >= 999.5 else f"{many:.3g} {unit}"  # noqa: PLR2004 - as above
    return f"{nanoseconds:.0f} ns"


def as_signed_duration(nanoseconds: float) -> str:
    """Such as "+1.25 ms" and "-3 µs"; "0" for none."""
    return f"{'+' if nanoseconds > 0 else ''}{as_duration(nanoseconds)}" if nanoseconds else "0"


def as_percent(share: float) -> str:
    """A share from 0 to 1, such as "12.5 %"."""
    return f"{share:.1%}".replace("%", " %")


def as_clock(nanoseconds: int) -> str:
    """Time of day in UTC with milliseconds, such as "14:03:07.125"."""
    return _moment(nanoseconds, "%H:%M:%S.%f")[:-3]


def as_date(nanoseconds: int) -> str:
    """Date and time in UTC, such as "2026-01-31 14:03:07"."""
    return _moment(nanoseconds, "%Y-%m-%d %H:%M:%S")


def _moment(nanoseconds: int, form: str) -> str:
    # A sender may write any number: what is no year of the calendar is shown as its bounds.
    seconds = min(max(nanoseconds // 1000 / 1e6, 0.0), 253_402_300_799.0)
    return datetime.fromtimestamp(seconds, UTC).strftime(form)


def as_count(number: float) -> str:
    """Such as "12,345"."""
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.3g}"


def as_bytes(number: float) -> str:
    """Such as "1.5 MiB"."""
    for unit in ("B", "KiB", "MiB"):
        if abs(number) < 1024:  # noqa: PLR2004 - the unit's own
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} GiB"

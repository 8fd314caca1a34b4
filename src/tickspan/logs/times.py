"""Times as lines have them."""

from __future__ import annotations

import datetime as dt
from typing import Final

__all__ = ["time_text"]

_NS_PER_US: Final = 1_000
_US_PER_S: Final = 1_000_000
_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - what is added is UTC, and so is what is written


def time_text(time_ns: int) -> str:
    """A time since 1970 in UTC, to the microsecond; such texts sort as times do."""
    seconds, microseconds = divmod(time_ns // _NS_PER_US, _US_PER_S)
    try:
        moment = _EPOCH + dt.timedelta(seconds=seconds)
    except OverflowError:
        moment = dt.datetime.max  # noqa: DTZ901 - as above
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{microseconds:06d}Z"

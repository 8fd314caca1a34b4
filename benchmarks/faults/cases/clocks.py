"""Clocks that step while the program runs."""

from __future__ import annotations

from typing import Final

from ..case import Case  # noqa: TID252
from ..network.schedule import Mode, down  # noqa: TID252

_HOUR: Final = 3600.0

CASES: Final = (
    Case("an hour back", "clock", "clock steps", {"offsets": [-_HOUR]}),
    Case("an hour forth", "clock", "clock steps", {"offsets": [_HOUR]}),
    Case("back and forth", "clock", "clock steps", {"offsets": [_HOUR, -_HOUR, 0.0]}),
    Case(
        "an hour back during an outage",
        "clock",
        "clock steps",
        {"offsets": [-_HOUR, -_HOUR, -2 * _HOUR]},
        link=down(Mode.REFUSE, 1.6),
        is_quick=True,
    ),
    Case("the year 1970", "clock", "several", {"before_clock": -1.795e9}),
    Case("the year 2100", "clock", "several", {"before_clock": 2.3e9}),
)

"""The error budget: an objective, and the pairs of windows by which its burning is seen.

Method and figures: SRE Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate Alerts".
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tickspan.analysis.rules.model import Burn, BurnWindow

__all__ = ["Objective", "Pace", "windows_of"]

_DAY_S: Final = 86_400.0
_HOUR_S: Final = 3600.0
_MINUTE_S: Final = 60.0
_PERIOD_S: Final = 30 * _DAY_S


class Pace(enum.StrEnum):
    """How fast a budget burns, and so who has to know."""

    PAGE = "page"
    """Somebody is called: 2 % in an hour, or 5 % in six."""
    TICKET = "ticket"
    """Somebody looks at it in the week: 10 % in a day, or in three."""


_WINDOWS: Final[Mapping[Pace, tuple[BurnWindow, ...]]] = {
    Pace.PAGE: (
        BurnWindow(14.4, _HOUR_S, 5 * _MINUTE_S),
        BurnWindow(6.0, 6 * _HOUR_S, 30 * _MINUTE_S),
    ),
    Pace.TICKET: (
        BurnWindow(3.0, _DAY_S, 2 * _HOUR_S),
        BurnWindow(1.0, 3 * _DAY_S, 6 * _HOUR_S),
    ),
}


def windows_of(pace: Pace, period_s: float) -> tuple[BurnWindow, ...]:
    """The pairs for a period.

    The windows are those for 30 days. The factors are scaled with the period, so that the same part of the
    budget is gone when the alert fires. They are never below 1: what burns no faster than sustainable is no
    alert. A window that is longer than the period is left out.
    """
    scale = period_s / _PERIOD_S
    scaled = [
        window._replace(factor=max(1.0, float(f"{window.factor * scale:.12g}"))) for window in _WINDOWS[pace]
    ]
    return tuple(window for window in scaled if window.long_s <= period_s)


@dataclass(frozen=True, slots=True)
class Objective:
    """What an OpenSLO document promises.

    Attributes:
        burn: its events and their budget; the windows are still empty.
        description: for people.
    """

    burn: Burn
    description: str = ""

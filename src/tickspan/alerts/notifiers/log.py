"""The log line: one for each change, on a logger; the only notifier that no silence concerns."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from tickspan.alerts.notice import Notice
from tickspan.alerts.notifiers.notifier import Fate, Verdict, line_of

__all__ = ["LogNotifier"]

_LEVELS: Final = {
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


class LogNotifier:
    """Writes to a logger at the alert's severity; an end is told at INFO."""

    per_minute: ClassVar[int] = 1_000_000

    def __init__(self, log: Callable[[int, str], object]) -> None:
        """`log` takes a level and a line, such as `logging.getLogger("alerts").log`."""
        self._log = log

    def send(self, notices: Sequence[Notice], now_s: float) -> Verdict:
        """A line for each."""
        del now_s
        for notice in notices:
            level = logging.INFO if notice.is_resolved else _LEVELS.get(notice.severity, logging.WARNING)
            self._log(level, line_of(notice))
        return Verdict(Fate.TAKEN)

"""How much of what a spool may take is taken, asked for often and looked up seldom."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from tickspan_spool.directory import SpoolDirectory
from tickspan_spool.spool import Spool

__all__ = ["Fullness"]

_LOOK_EVERY_S: Final = 5.0


class Fullness:
    """Of a spool whose records are sent somewhere: 0 to 1, as it was at most five seconds ago.

    A spool whose records nobody takes is always full: its oldest records are there to go.
    """

    def __init__(self, spool: Spool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._spool = spool
        self._monotonic = monotonic
        self._share = 0.0
        self._look_at_s = monotonic()

    def __repr__(self) -> str:
        return f"<Fullness {self._share:.0%}>"

    def __call__(self) -> float:
        """The share. A folder that cannot be read counts as empty."""
        now_s = self._monotonic()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + _LOOK_EVERY_S
            self._share = self._looked_up()
        return self._share

    def _looked_up(self) -> float:
        plan = self._spool.plan
        if not any(destination.signal == "logs" for destination in plan.destinations):
            return 0.0
        statistics = self._spool.statistics()
        if statistics.mode == "ring":
            return sum(statistics.waiting.values()) / max(1, plan.ring_records)
        try:
            return SpoolDirectory(plan.directory).size_bytes() / max(1, plan.max_bytes)
        except OSError:
            return 0.0

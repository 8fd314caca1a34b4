"""How often and how long a database may be asked for plans. It holds no clock: callers tell the time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

__all__ = ["Budget", "BudgetLimits", "BudgetStatistics"]

_WINDOW_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """What one database is asked for at most.

    Attributes:
        interval_s: between the beginnings of two questions.
        per_minute: questions in any 60 seconds.
        share: of the database's time, 0 to 1: seconds spent asking in any 60 seconds are at most 60 times it.
        failures: in a row that open the breaker.
        pause_s: for which it is open at first; each further failure doubles it, up to `longest_pause_s`.
        longest_pause_s: see above.
    """

    interval_s: float = 1.0
    per_minute: int = 10
    share: float = 0.005
    failures: int = 3
    pause_s: float = 60.0
    longest_pause_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class BudgetStatistics:
    """Counts since the beginning."""

    asked: int
    refused: int
    failed: int
    spent_s: float


class Budget:
    """Of one database. Times are of any monotonic clock, in seconds. For one thread."""

    __slots__ = (
        "_asked",
        "_failed",
        "_failures",
        "_limits",
        "_open_until_s",
        "_recent",
        "_refused",
        "_spent_s",
    )

    def __init__(self, limits: BudgetLimits | None = None) -> None:
        self._limits = BudgetLimits() if limits is None else limits
        self._recent: deque[tuple[float, float]] = deque()  # when a question began, seconds that it took
        self._failures = 0
        self._open_until_s = float("-inf")
        self._asked = self._refused = self._failed = 0
        self._spent_s = 0.0

    def __repr__(self) -> str:
        return f"<Budget {self._asked} asked, {self._refused} refused, {self._spent_s:.3f} s spent>"

    def refusal(self, now_s: float) -> str | None:
        """Why nothing may be asked now, in one line; None when it may. Each refusal is counted."""
        reason = self._reason(now_s)
        self._refused += reason is not None
        return reason

    def spent(self, began_s: float, ended_s: float, *, is_failure: bool = False) -> None:
        """Note one question; a failure is one of the database or the connection, not a refusal."""
        took = max(0.0, ended_s - began_s)
        self._asked += 1
        self._spent_s += took
        self._recent.append((began_s, took))
        if not is_failure:
            self._failures = 0
            return
        self._failed += 1
        self._failures += 1
        over = self._failures - self._limits.failures
        if over >= 0:
            pause_s = min(self._limits.longest_pause_s, self._limits.pause_s * 2.0 ** min(over, 30))
            self._open_until_s = ended_s + pause_s

    def statistics(self) -> BudgetStatistics:
        """What was done so far."""
        return BudgetStatistics(self._asked, self._refused, self._failed, self._spent_s)

    def _reason(self, now_s: float) -> str | None:
        limits = self._limits
        while self._recent and self._recent[0][0] <= now_s - _WINDOW_S:
            self._recent.popleft()
        if now_s < self._open_until_s:
            left_s = self._open_until_s - now_s
            return f"{self._failures} questions in a row failed; asking again in {left_s:.0f} s"
        if self._recent and now_s - self._recent[-1][0] < limits.interval_s:
            return f"asked less than {limits.interval_s:g} s ago"
        if len(self._recent) >= limits.per_minute:
            return f"asked {limits.per_minute} times within a minute"
        if sum(took for _, took in self._recent) >= limits.share * _WINDOW_S:
            return f"{limits.share:.1%} of the last minute went into plans"
        return None

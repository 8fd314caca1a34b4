"""The venue's rate limits: what was used in the running windows, and when one is exceeded."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from tickspan.testing.venue.behaviour import Behaviour


@dataclass(frozen=True, slots=True)
class Limit:
    """One budget, in the venue's words."""

    kind: str  # REQUEST_WEIGHT or ORDERS
    interval: str  # SECOND, MINUTE, DAY
    interval_count: int
    limit: int

    @property
    def window_s(self) -> int:
        """Length of the window in seconds."""
        return {"SECOND": 1, "MINUTE": 60, "DAY": 86_400}[self.interval] * self.interval_count

    @property
    def header(self) -> str:
        """The response header that tells what was used."""
        prefix = "X-MBX-USED-WEIGHT" if self.kind == "REQUEST_WEIGHT" else "X-MBX-ORDER-COUNT"
        return f"{prefix}-{self.interval_count}{self.interval[0]}"


class Budget:
    """Counts in windows that begin with the first use. Not thread-safe."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.limits = (
            Limit("REQUEST_WEIGHT", "MINUTE", 1, behaviour.weight_limit_1m),
            Limit("ORDERS", "SECOND", 10, behaviour.order_limit_10s),
            Limit("ORDERS", "DAY", 1, behaviour.order_limit_1d),
        )
        self._ends: dict[Limit, float] = dict.fromkeys(self.limits, 0.0)
        self._used: dict[Limit, int] = dict.fromkeys(self.limits, 0)

    def use(self, kind: str, amount: int) -> Limit | None:
        """Count `amount` against every budget of `kind`; the first that is exceeded, if any."""
        exceeded = None
        for limit in self.limits:
            if limit.kind == kind:
                self._roll(limit)
                self._used[limit] += amount
                if self._used[limit] > limit.limit and exceeded is None:
                    exceeded = limit
        return exceeded

    def used(self, limit: Limit) -> int:
        """What the running window has counted."""
        self._roll(limit)
        return self._used[limit]

    def seconds_left(self, limit: Limit) -> int:
        """Until the running window ends, rounded up."""
        return max(1, math.ceil(self._ends[limit] - time.monotonic()))

    def _roll(self, limit: Limit) -> None:
        now = time.monotonic()
        if now >= self._ends[limit]:
            self._ends[limit], self._used[limit] = now + limit.window_s, 0

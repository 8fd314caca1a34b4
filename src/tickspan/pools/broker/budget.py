"""What a venue allows in a time, shared by all pools of the venue in this process.

A token bucket, kept as the time at which it would be full again (the generic cell rate algorithm of ITU-T
I.371): one number, exact, without a refill step.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from tickspan.instrumentation.forks import renew_after_fork


@dataclass(frozen=True, slots=True)
class VenueBudget:
    """`weight` in `per_s` seconds, and at most `burst` at once."""

    weight: float
    per_s: float = 1.0
    burst: float | None = None
    """`weight` by default."""

    def __post_init__(self) -> None:
        if not (self.weight > 0 and self.per_s > 0 and self.most > 0):
            raise ValueError(f"budget: expected numbers above 0, got {self}")

    @property
    def rate_per_s(self) -> float:
        """Weight that comes back in a second."""
        return self.weight / self.per_s

    @property
    def most(self) -> float:
        """The largest burst."""
        return self.weight if self.burst is None else self.burst


@dataclass(frozen=True, slots=True)
class Reservation:
    """Leave to use some of a budget, from a time on."""

    ready_at_s: float
    full_at_s: float
    before_s: float


class Bucket:
    """One budget. Pure: the time comes from the caller."""

    def __init__(self, budget: VenueBudget) -> None:
        self.budget = budget
        self._full_at_s = float("-inf")

    def __repr__(self) -> str:
        return f"<Bucket {self.budget}>"

    def reserve(self, weight: float, now_s: float, until_s: float) -> Reservation | None:
        """The next turn for so much; None if that comes later than `until_s`, and nothing is taken then."""
        budget = self.budget
        if weight > budget.most:
            raise ValueError(f"weight: {weight} is more than the venue ever allows at once, {budget.most}")
        full_at_s = max(self._full_at_s, now_s) + weight / budget.rate_per_s
        ready_at_s = max(now_s, full_at_s - budget.most / budget.rate_per_s)
        if ready_at_s > until_s:
            return None
        before_s, self._full_at_s = self._full_at_s, full_at_s
        return Reservation(ready_at_s, full_at_s, before_s)

    def cancel(self, reservation: Reservation) -> None:
        """It is not going to be used. Only the last one is given back: others have their times already."""
        if self._full_at_s == reservation.full_at_s:
            self._full_at_s = reservation.before_s


class SharedBucket:
    """A bucket for threads and tasks."""

    def __init__(self, budget: VenueBudget) -> None:
        self.bucket = Bucket(budget)
        self._lock = threading.Lock()
        renew_after_fork(self)

    def __repr__(self) -> str:
        return repr(self.bucket)

    def reserve(self, weight: float, until_s: float) -> Reservation | None:
        """See `Bucket.reserve`; times are those of `time.monotonic`."""
        with self._lock:
            return self.bucket.reserve(weight, time.monotonic(), until_s)

    def cancel(self, reservation: Reservation) -> None:
        """See `Bucket.cancel`."""
        with self._lock:
            self.bucket.cancel(reservation)

    def after_fork_in_child(self) -> None:
        """The lock may be held by a thread of the parent, whose use of the budget is not seen here."""
        self._lock = threading.Lock()


_venues: Final[dict[str, SharedBucket]] = {}
_lock: Final = threading.Lock()


def budget_of(venue: str, budget: VenueBudget) -> SharedBucket:
    """The budget of a venue, the same for all who name it.

    Raises:
        ValueError: it was named with other numbers before.
    """
    with _lock:
        known = _venues.setdefault(venue, SharedBucket(budget))
    if known.bucket.budget != budget:
        raise ValueError(f"budget: venue {venue!r} has {known.bucket.budget} already, not {budget}")
    return known


def forget_budgets() -> None:
    """Forget all venues; who has a budget keeps it."""
    with _lock:
        _venues.clear()

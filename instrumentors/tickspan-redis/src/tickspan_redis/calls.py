"""A call of redis-py under way: its span, its duration, what its answer moves."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tickspan.instrumentation import ActiveOperation
from tickspan.instrumentation.operation import NO_ATTRIBUTES

from tickspan_redis.errors import describe_error
from tickspan_redis.meters import Meters
from tickspan_redis.places import Place

Note = Callable[[Any], None]
"""What is measured once a command has answered."""


class RedisCall(ActiveOperation):
    """Whoever starts it says where it goes, and what is measured of its answer."""

    __slots__ = ("meters", "note", "place")

    meters: Meters
    note: Note | None
    place: Place

    def answered(self, answer: Any) -> None:
        """It has brought `answer`."""
        elapsed_ns = time.perf_counter_ns() - self._started_ns
        self._finish(NO_ATTRIBUTES, None, None)
        if self.meters.is_on:
            self.meters.done(self.place, self.operation.name, elapsed_ns / 1e9, self._context)
        if self.note is not None:
            self.note(answer)

    def fail(self, error: BaseException, *, end_time_ns: int | None = None) -> None:
        """It has failed, which is counted as an error that a caller has seen."""
        elapsed_ns = time.perf_counter_ns() - self._started_ns
        super().fail(error, end_time_ns=end_time_ns)
        if self.meters.is_on:
            self._guard.own(self._measure_failure, error, elapsed_ns, default=None)

    def _measure_failure(self, error: BaseException, elapsed_ns: int) -> None:
        self.meters.failed(error, self.place.attributes, is_internal=False)
        self.meters.failed_after(
            self.place, self.operation.name, elapsed_ns / 1e9, self._context, describe_error(error)
        )

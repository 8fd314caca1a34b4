"""A blocking read: a span only once it has brought something, since most of a poll's calls bring nothing."""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.trace import get_current_span
from tickspan.instrumentation import ActiveOperation, Attributes, Guard, Operation, Workbench
from tickspan.instrumentation.operation import NO_ATTRIBUTES

from tickspan_redis.calls import RedisCall
from tickspan_redis.describe import is_empty
from tickspan_redis.errors import describe_error


class BlockingRead(RedisCall):
    """Silences what runs below it while it waits; `succeed` and `fail` start the span and end it at once.

    One that brought nothing is only released. A span that is started must end, hence the late start.
    It adds nothing to the duration histogram: how long data has taken to come says nothing about Redis.
    """

    __slots__ = ("_bench", "_since_ns")

    def __init__(self, operation: Operation, bench: Workbench, guard: Guard) -> None:
        super().__init__(operation, get_current_span(), guard)
        self._bench = bench
        self._since_ns = time.time_ns()
        self.resume()

    def answered(self, answer: Any) -> None:
        """It has brought `answer`, maybe nothing."""
        if is_empty(answer):
            self.release()
            return
        self.succeed()
        if self.note is not None:
            self.note(answer)

    def succeed(self, attributes: Attributes = NO_ATTRIBUTES, *, end_time_ns: int | None = None) -> None:
        """Tell of a read that has brought something."""
        self.release()
        started = self._guard.own(self._start, default=None)
        if started is not None:
            started.succeed(attributes, end_time_ns=end_time_ns)

    def fail(self, error: BaseException, *, end_time_ns: int | None = None) -> None:
        """Tell of a read that has failed."""
        self.release()
        started = self._guard.own(self._start, default=None)
        if started is not None:
            started.fail(error, end_time_ns=end_time_ns)
        if self.meters.is_on:
            self._guard.own(self._count_failure, error, default=None)

    def _count_failure(self, error: BaseException) -> None:
        self.meters.failed(error, self.place.attributes, is_internal=False)

    def _start(self) -> ActiveOperation:
        return self._bench.start(
            self.operation,
            guard=self._guard,
            describe_error=describe_error,
            is_current=False,
            start_time_ns=self._since_ns,
        )

"""A blocking read: a span only once it has brought something, since most of a poll's calls bring nothing."""

from __future__ import annotations

import time

from opentelemetry.trace import get_current_span
from tickspan.instrumentation import ActiveOperation, Attributes, Guard, Operation, Workbench
from tickspan.instrumentation.operation import NO_ATTRIBUTES

from tickspan_redis.errors import describe_error


class BlockingRead(ActiveOperation):
    """Silences what runs below it while it waits; `succeed` and `fail` start the span and end it at once.

    One that brought nothing is only released. A span that is started must end, hence the late start.
    It adds nothing to the duration histogram: how long data has taken to come says nothing about Redis.
    """

    __slots__ = ("_bench", "_own", "_since_ns")

    def __init__(self, operation: Operation, bench: Workbench, guard: Guard) -> None:
        super().__init__(operation, get_current_span(), guard)
        self._bench = bench
        self._own = guard
        self._since_ns = time.time_ns()
        self.resume()

    def succeed(self, attributes: Attributes = NO_ATTRIBUTES, *, end_time_ns: int | None = None) -> None:
        """Tell of a read that has brought something."""
        self.release()
        started = self._own.own(self._start, default=None)
        if started is not None:
            started.succeed(attributes, end_time_ns=end_time_ns)

    def fail(self, error: BaseException, *, end_time_ns: int | None = None) -> None:
        """Tell of a read that has failed."""
        self.release()
        started = self._own.own(self._start, default=None)
        if started is not None:
            started.fail(error, end_time_ns=end_time_ns)

    def _start(self) -> ActiveOperation:
        return self._bench.start(
            self.operation,
            guard=self._own,
            describe_error=describe_error,
            is_current=False,
            start_time_ns=self._since_ns,
        )

"""An operation under way: its span, whether it is current, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import Token
from typing import Any

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.trace import Span, Status, StatusCode

from tickspan.instrumentation.current import SPAN_KEY, attach, current_context, detach
from tickspan.instrumentation.faults import exception_attributes, failure_of
from tickspan.instrumentation.operation import NO_ATTRIBUTES, Attributes, Failure, Operation
from tickspan.instrumentation.suppression import SILENCE
from tickspan.recording import AttributeValue, Guard
from tickspan.semconv.common import ERROR_TYPE, EXCEPTION_EVENT

DescribeError = Callable[[BaseException], Failure]


def note_failure(span: Span, failure: Failure, error: BaseException) -> None:
    """Tell on `span` what its operation failed with."""
    if not (failure.is_error and span.is_recording()):
        return
    span.set_attribute(ERROR_TYPE, failure.error_type)
    span.set_status(Status(StatusCode.ERROR, failure.description))
    span.add_event(EXCEPTION_EVENT, exception_attributes(error, failure.description))


class ActiveOperation:
    """The span of one call. Every method is harmless: a fault of ours stops at the guard.

    One caller owns it: methods are not for concurrent use. Ending twice does nothing.
    """

    __slots__ = (
        "_context",
        "_describe_error",
        "_duration_keys",
        "_guard",
        "_histogram",
        "_is_over",
        "_started_ns",
        "_token",
        "operation",
        "span",
    )

    def __init__(
        self,
        operation: Operation,
        span: Span,
        guard: Guard,
        *,
        describe_error: DescribeError | None = None,
        histogram: Histogram | None = None,
        duration_keys: tuple[str, ...] = (),
    ) -> None:
        self.operation = operation
        self.span = span
        self._guard = guard
        self._describe_error = describe_error or failure_of
        self._histogram = histogram
        self._duration_keys = duration_keys
        self._token: Token[Context] | None = None
        self._is_over = False
        base = operation.parent if operation.parent is not None else current_context()
        # In one step: the API copies the whole context for each key that it sets.
        below = SILENCE if operation.is_leaf else {}
        self._context = Context({**base, SPAN_KEY: span, **below})
        self._started_ns = time.perf_counter_ns()

    def __repr__(self) -> str:
        return f"<ActiveOperation {self.operation.name!r} {'over' if self._is_over else 'running'}>"

    @property
    def context(self) -> Context:
        """The context in which this operation's span is current."""
        return self._context

    def resume(self) -> None:
        """Make the span current until `release`."""
        if self._token is None:
            self._token = attach(self._context)

    def release(self) -> None:
        """Stop being current; the span goes on."""
        if self._token is None:
            return
        try:
            detach(self._token)
        except ValueError:  # another context or thread than the one that made it current, which releases it
            return
        self._token = None

    def succeed(self, attributes: Attributes = NO_ATTRIBUTES, *, end_time_ns: int | None = None) -> None:
        """End the operation as done, with what became known of it."""
        self._finish(attributes, None, end_time_ns)

    def fail(self, error: BaseException, *, end_time_ns: int | None = None) -> None:
        """End the operation with the caller's own exception, which is only read."""
        failure = self._guard.own(self._describe_error, error, default=None) or failure_of(error)
        self._guard.own(note_failure, self.span, failure, error, default=None)
        self._finish(failure.attributes, failure, end_time_ns)

    def _finish(self, attributes: Attributes, failure: Failure | None, end_time_ns: int | None) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._token is not None:
            self.release()
        try:
            self._end(attributes, failure, end_time_ns)
        except Exception as error:  # noqa: BLE001 - what `Guard.closing` does, on a hot path
            self._guard.caught(error)

    def _end(self, attributes: Attributes, failure: Failure | None, end_time_ns: int | None) -> None:
        if attributes:
            self.span.set_attributes(dict[str, Any](attributes))
        self.span.end(end_time_ns)
        if self._histogram is not None:
            elapsed_s = (time.perf_counter_ns() - self._started_ns) / 1e9
            self._histogram.record(elapsed_s, self._measured(attributes, failure), self._context)

    def _measured(self, late: Attributes, failure: Failure | None) -> dict[str, AttributeValue]:
        known = {**self.operation.attributes, **late}
        measured = {key: known[key] for key in self._duration_keys if key in known}
        if failure is not None and failure.is_error:
            measured[ERROR_TYPE] = failure.error_type
        return measured

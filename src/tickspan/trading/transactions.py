"""Transactions of code whose beginning and end do not stand in one block, such as two callbacks."""

from __future__ import annotations

import threading
from typing import Any, Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from tickspan.instrumentation import type_name
from tickspan.instrumentation.causes import cause_of_root
from tickspan.recording import clean_attributes
from tickspan.semconv.common import ERROR_TYPE

__all__ = ["Transaction", "start_transaction", "trace_id_of"]

_SCOPE: Final = "tickspan.trading"
_KEY: Final = otel_context.create_key("tickspan-transaction")


class _Frame:
    """What was current before a transaction, and what is while it lasts."""

    __slots__ = ("before", "context", "is_finished")

    def __init__(self, span: trace.Span) -> None:
        self.before = otel_context.get_current()
        self.context = otel_context.set_value(_KEY, self, trace.set_span_in_context(span))
        self.is_finished = False


class Transaction:
    """A unit of work that has begun; `start_transaction` makes it. Safe for any thread.

    It is current where it was begun, and in tasks that are started there, until it is finished: spans of that
    time are below it. Several may overlap, and be finished in any order and anywhere, best where no span that
    was begun inside of them is current.
    """

    def __init__(self, name: str, attributes: dict[str, Any]) -> None:
        tracer = trace.get_tracer(_SCOPE)
        self._name = name
        self._span = tracer.start_span(name, cause_of_root(), kind=SpanKind.INTERNAL, attributes=attributes)
        self._lock = threading.Lock()
        self._frame = _Frame(self._span)
        otel_context.attach(self._frame.context)

    def __repr__(self) -> str:
        return f"<Transaction {self._name} {self.trace_id}{' finished' if self._frame.is_finished else ''}>"

    @property
    def trace_id(self) -> str:
        """Of its trace, 32 hexadecimal digits; zeros without telemetry."""
        return trace_id_of(self._span)

    def finish(self, error: BaseException | None = None) -> None:
        """End it; with an error it has failed, of which only the type is told. Later calls change nothing."""
        frame = self._frame
        with self._lock:
            was_finished, frame.is_finished = frame.is_finished, True
        if was_finished:
            return
        if otel_context.get_current() is frame.context:
            otel_context.attach(_unfinished(frame.before))
        if error is not None:
            self._span.set_attribute(ERROR_TYPE, type_name(error))
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


def _unfinished(context: Context) -> Context:
    """The context, or the one below transactions that have been finished meanwhile."""
    while isinstance(frame := context.get(_KEY), _Frame) and frame.is_finished and context is frame.context:
        context = frame.before
    return context


def start_transaction(name: str, **attributes: Any) -> Transaction:
    """Begin a unit of work that `.finish()` ends; where a block can be written, `transaction` is better.

    ```python
    rebalance = tickspan.start_transaction("rebalance", book="eu")
    ...
    rebalance.finish()
    ```

    Args:
        name: of the span; no data.
        **attributes: of the span.

    Raises:
        TypeError: the name is no text, or empty.
    """
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise TypeError(f"start_transaction: name must be a non-empty str, got {name!r}")
    return Transaction(name, clean_attributes(attributes))


def trace_id_of(span: trace.Span) -> str:
    """The id of its trace, 32 hexadecimal digits; zeros without telemetry."""
    return trace.format_trace_id(span.get_span_context().trace_id)

"""One attempt to open a stream: a span that ends when the stream is open or when it could not be opened."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from opentelemetry.trace import Span, Status, StatusCode

from tickspan.instrumentation import exception_attributes, type_name
from tickspan.semconv.common import ERROR_TYPE, EXCEPTION_EVENT


class Stream(Protocol):
    """What is being opened."""

    def connected(self) -> None:
        """It is open."""
        ...

    def disconnected(self, error: BaseException | None = None) -> None:
        """It is not, or no longer."""
        ...


class ConnectAttempt:
    """What `Feed.connecting` returns. It ends once; leaving it as a context ends it as the body ended."""

    __slots__ = ("_is_over", "_span", "_stream")

    def __init__(self, stream: Stream, span: Span) -> None:
        self._stream = stream
        self._span = span
        self._is_over = False

    def __repr__(self) -> str:
        return f"<ConnectAttempt to {self._stream!r}, {'over' if self._is_over else 'running'}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, traceback
        if error is None:
            self.succeeded()
        else:
            self.failed(error)

    def succeeded(self) -> None:
        """The stream is open."""
        if not self._is_over:
            self._is_over = True
            self._stream.connected()
            self._span.end()

    def failed(self, error: BaseException) -> None:
        """The stream could not be opened, or its opening was given up."""
        if self._is_over:
            return
        self._is_over = True
        self._stream.disconnected(error)
        if self._span.is_recording():
            self._span.set_attribute(ERROR_TYPE, type_name(error))
            self._span.set_status(Status(StatusCode.ERROR))
            self._span.add_event(EXCEPTION_EVENT, exception_attributes(error))
        self._span.end()

"""Spans for the tests of `tickspan tail`."""

from opentelemetry.trace import SpanKind, StatusCode

from tickspan.received import ReceivedSpan, ReceivedStatus
from tickspan.semconv.common import SERVICE_NAME

NOON_NS = 1_795_000_000_000_000_000


def made(
    name: str,
    span_id: str,
    parent: str | None = None,
    start_ms: int = 0,
    end_ms: int = 10,
    *,
    trace: str = "t",
    service: str = "bot",
    failed: bool = False,
) -> ReceivedSpan:
    """A span; times in milliseconds after noon of some day."""
    return ReceivedSpan(
        name=name,
        kind=SpanKind.INTERNAL,
        trace_id=trace,
        span_id=span_id,
        parent_span_id=parent,
        start_ns=NOON_NS + start_ms * 1_000_000,
        end_ns=NOON_NS + end_ms * 1_000_000,
        attributes={},
        events=(),
        links=(),
        status=ReceivedStatus(StatusCode.ERROR if failed else StatusCode.UNSET),
        scope="test",
        resource={SERVICE_NAME: service},
    )

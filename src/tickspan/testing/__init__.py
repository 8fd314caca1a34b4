"""The published test kit: captured telemetry as values, the conformance suite, an OTLP server, a venue."""

from tickspan.testing.capture import (
    Capture,
    CountedIds,
    FakeClock,
    Point,
    RecordedEvent,
    RecordedLogEvent,
    RecordedSpan,
    capture,
)

__all__ = [
    "Capture",
    "CountedIds",
    "FakeClock",
    "Point",
    "RecordedEvent",
    "RecordedLogEvent",
    "RecordedSpan",
    "capture",
]

"""Telemetry as a value: providers with counted ids and a clock that ticks, kept in memory."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from tickspan.providers import LoggerProvider, MeterProvider, TracerProvider
from tickspan.received import ReceivedSpan, Telemetry, decode_logs, decode_metrics
from tickspan.recording import strict
from tickspan.semconv.common import SERVICE_NAME
from tickspan.testing.sink import MemorySink
from tickspan.testing.vocabulary import undeclared

EPOCH_NS: Final = 1_700_000_000_000_000_000
"""Where a fake clock starts."""


class CountedIds(IdGenerator):
    """Ids 1, 2, 3, …: spans in the order of their start, traces in the order of their roots."""

    def __init__(self) -> None:
        self._spans = itertools.count(1)
        self._traces = itertools.count(1)

    def generate_span_id(self) -> int:
        """The next span's number."""
        return next(self._spans)

    def generate_trace_id(self) -> int:
        """The next trace's number."""
        return next(self._traces)


class FakeClock:
    """Wall-clock nanoseconds that advance by `step_ns` at each look."""

    def __init__(self, start_ns: int = EPOCH_NS, step_ns: int = 1_000_000) -> None:
        self.now_ns = start_ns
        self.step_ns = step_ns

    def __call__(self) -> int:
        """The time, which then goes on."""
        now = self.now_ns
        self.now_ns += self.step_ns
        return now


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A span event."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class RecordedSpan:
    """A finished span as a value. `kind` and `status` are in lower case; ids are those of `CountedIds`."""

    name: str
    kind: str
    trace_id: int
    span_id: int
    parent_id: int | None
    attributes: Mapping[str, Any]
    status: str = "unset"
    description: str | None = None
    events: tuple[RecordedEvent, ...] = ()
    links: tuple[tuple[int, int], ...] = ()
    start_ns: int = field(default=0, compare=False)
    end_ns: int = field(default=0, compare=False)
    scope: str = field(default="", compare=False)

    @staticmethod
    def of(span: ReceivedSpan) -> RecordedSpan:
        """The value of a span as a collector gets it."""
        return RecordedSpan(
            name=span.name,
            kind=span.kind.name.lower(),
            trace_id=int(span.trace_id, 16),
            span_id=int(span.span_id, 16),
            parent_id=int(span.parent_span_id, 16) if span.parent_span_id else None,
            attributes=dict(span.attributes),
            status=span.status.code.name.lower(),
            description=span.status.description or None,
            events=tuple(RecordedEvent(event.name, dict(event.attributes)) for event in span.events),
            links=tuple((int(link.trace_id, 16), int(link.span_id, 16)) for link in span.links),
            start_ns=span.start_ns,
            end_ns=span.end_ns,
            scope=span.scope,
        )


@dataclass(frozen=True, slots=True)
class Point:
    """One metric data point: of a sum or gauge its `value`, of a histogram its sum and `count`."""

    attributes: Mapping[str, Any]
    value: float
    count: int | None = None


@dataclass(frozen=True, slots=True)
class RecordedLogEvent:
    """An event as a value: a log record with a name. `severity` is its text; ids are 0 outside of a span."""

    name: str
    severity: str
    attributes: Mapping[str, Any]
    body: str | None = None
    trace_id: int = field(default=0, compare=False)
    span_id: int = field(default=0, compare=False)


class Capture:
    """Providers whose output is kept: `spans()`, `points(name)`, `logs()`, `events()`; see `capture`."""

    def __init__(self, sampler: Sampler = ALWAYS_ON, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.sink = MemorySink()
        self._undeclared: set[str] = set()
        self._logs = InMemoryLogRecordExporter()
        self._metrics = InMemoryMetricReader()
        resource = Resource({SERVICE_NAME: "test"})
        self.meter_provider = MeterProvider(
            [self._metrics], resource, exemplar_filter=AlwaysOffExemplarFilter(), shutdown_on_exit=False
        )
        self.tracer_provider = TracerProvider(
            sampler,
            resource,
            shutdown_on_exit=False,
            id_generator=CountedIds(),
            clock=self.clock,
            meter_provider=self.meter_provider,
            sink=self.sink,
        )
        self.logger_provider = LoggerProvider(resource, shutdown_on_exit=False)
        self.logger_provider.add_log_record_processor(SimpleLogRecordProcessor(self._logs))

    def __repr__(self) -> str:
        return f"<Capture {len(self.sink.entries)} spans>"

    def spans(self) -> list[RecordedSpan]:
        """Finished spans in the order of their start."""
        recorded = (RecordedSpan.of(span) for span in self.sink.telemetry().spans)
        return sorted(recorded, key=lambda span: span.span_id)

    def tree(self) -> str:
        """Finished spans as an outline: one name a line, children indented by two blanks."""
        spans = self.spans()
        known = {span.span_id for span in spans}
        roots = [span for span in spans if span.parent_id not in known]
        return "\n".join(line for root in roots for line in _outline(root, spans, 0))

    def points(self, name: str) -> list[Point]:
        """Data points of a metric now, in the order of their first measurement."""
        data = self._metrics.get_metrics_data()
        if data is None:
            return []
        metrics = (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics)
        return [
            _point(point) for metric in metrics if metric.name == name for point in metric.data.data_points
        ]

    def logs(self) -> list[ReadableLogRecord]:
        """Log records in the order of their emission."""
        return list(self._logs.get_finished_logs())

    def events(self, name: str | None = None) -> list[RecordedLogEvent]:
        """Events in the order of their emission; only those called `name`, if it is given."""
        records = (readable.log_record for readable in self.logs())
        return [
            RecordedLogEvent(
                record.event_name,
                record.severity_text or "",
                dict(record.attributes or {}),
                record.body if isinstance(record.body, str) else None,
                record.trace_id or 0,
                record.span_id or 0,
            )
            for record in records
            if record.event_name is not None and name in (None, record.event_name)
        ]

    def received(self) -> Telemetry:
        """All three signals as a collector would get them now."""
        data = self._metrics.get_metrics_data()
        return Telemetry(
            self.sink.telemetry().spans,
            tuple(decode_metrics(encode_metrics(data))) if data is not None else (),
            tuple(decode_logs(encode_logs(self.logs()))),
        )

    def undeclared(self) -> list[str]:
        """What so far had a `trading.*` name that the registry does not declare; a sentence for each."""
        return sorted({*self._undeclared, *undeclared(self.received())})

    def clear(self) -> None:
        """Forget finished spans and logs, but not whether their names were declared."""
        self._undeclared.update(self.undeclared())
        self.sink.clear()
        self._logs.clear()

    def shutdown(self) -> None:
        """Shut the providers down."""
        self.tracer_provider.shutdown()
        self.logger_provider.shutdown()
        self.meter_provider.shutdown()


@contextmanager
def capture(*, is_strict: bool = True, sampler: Sampler = ALWAYS_ON) -> Generator[Capture]:
    """Fresh providers, which are not made global; hand them to what is tested.

    Faults of tickspan's own code are raised meanwhile, unless `is_strict` is False.
    """
    captured = Capture(sampler)
    with strict(is_strict):
        try:
            yield captured
        finally:
            captured.shutdown()


def _outline(span: RecordedSpan, spans: list[RecordedSpan], depth: int) -> Generator[str]:
    yield "  " * depth + span.name
    for child in spans:
        if child.parent_id == span.span_id:
            yield from _outline(child, spans, depth + 1)


def _point(point: Any) -> Point:
    count = getattr(point, "count", None)
    return Point(dict(point.attributes or {}), point.sum if count is not None else point.value, count)

"""Telemetry by hand, and receivers that say what they took."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tickspan_spool.receiver import Batch, Limits, Receiver, Response, Signal, decode

from tickspan.semconv.common import SERVICE_NAME

PROTOBUF = {"content-type": "application/x-protobuf"}
START_NS = 1_790_000_000_000_000_000


def traces(*names: str, trace_id: bytes = b"\x01" * 16, service: str = "bot") -> bytes:
    """A request with one span for each name, a second apart."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key=SERVICE_NAME).value.string_value = service
    scope = resource.scope_spans.add()
    scope.scope.name = "test"
    for number, name in enumerate(names):
        start_ns = START_NS + number * 1_000_000_000
        scope.spans.append(
            Span(
                trace_id=trace_id,
                span_id=name.encode().ljust(8, b"\0")[:8],
                name=name,
                kind=Span.SPAN_KIND_CLIENT,
                start_time_unix_nano=start_ns,
                end_time_unix_nano=start_ns + 5_000,
            )
        )
    return request.SerializeToString()


def logs(*texts: str, trace_id: bytes = b"") -> bytes:
    """A request with one record for each text."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for text in texts:
        record = scope.log_records.add(time_unix_nano=START_NS, trace_id=trace_id)
        record.body.string_value = text
    return request.SerializeToString()


def batch(signal: Signal, body: bytes) -> Batch:
    """As a receiver gives it."""
    return decode(signal, PROTOBUF, body, Limits())


@dataclass
class Collector:
    """Somebody else's receiver, whose answers a test decides."""

    receiver: Receiver = field(init=False)
    bodies: list[tuple[Signal, bytes]] = field(default_factory=list[tuple[Signal, bytes]])
    headers: list[str] = field(default_factory=list[str])
    answer: Callable[[Batch], Response | None] = lambda _batch: None
    has_come: threading.Event = field(default_factory=threading.Event)

    def take(self, batch: Batch) -> None:
        self.bodies.append((batch.signal, batch.body))
        self.headers.append(batch.headers.get("authorization", ""))
        self.has_come.set()

    def decide(self, batch: Batch) -> Response | None:
        return self.answer(batch)

    @property
    def endpoint(self) -> str:
        return self.receiver.endpoint

    @property
    def spans(self) -> Counter[str]:
        return Counter(
            span.name
            for signal, body in self.bodies
            if signal == "traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        )


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    with Receiver(collector.take, answer=collector.decide) as receiver:
        collector.receiver = receiver
        yield collector

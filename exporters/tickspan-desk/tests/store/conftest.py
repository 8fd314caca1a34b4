"""Requests as a sender makes them, and a store that takes them at a given time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from tickspan_desk.store import Store
from tickspan_spool.receiver import Batch, ExportRequest

from tickspan.semconv.common import SERVICE_NAME

MINUTE_NS = 60_000_000_000
NOON_NS = 1_795_694_400_000_000_000


class Requests:
    """Export requests of one service."""

    minute_ns = MINUTE_NS
    noon_ns = NOON_NS

    def pairs(self, attributes: Mapping[str, str | float | bool]) -> list[KeyValue]:
        return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]

    def batch(self, message: ExportRequest, records: int) -> Batch:
        signal = {
            ExportTraceServiceRequest: "traces",
            ExportMetricsServiceRequest: "metrics",
            ExportLogsServiceRequest: "logs",
        }[type(message)]
        return Batch(signal, message, message.SerializeToString(), {}, records)  # pyright: ignore[reportArgumentType] - one of the three

    def spans(self, *spans: Mapping[str, object], service: str = "bot") -> Batch:
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(self.pairs({SERVICE_NAME: service}))
        scoped = group.scope_spans.add()
        scoped.scope.name = "test"
        for number, told in enumerate(spans, 1):
            given = {"name": "call", "trace": "01" * 16, "start": NOON_NS, "ms": 10, "failed": False, **told}
            start_ns = int(str(given["start"]))
            span = scoped.spans.add(
                trace_id=bytes.fromhex(str(given["trace"])),
                span_id=bytes.fromhex(str(given.get("id", f"{number:016x}"))),
                parent_span_id=bytes.fromhex(str(given.get("parent", ""))),
                name=str(given["name"]),
                kind=3,
                start_time_unix_nano=start_ns,
                end_time_unix_nano=int(str(given.get("end", start_ns + int(float(str(given["ms"])) * 1e6)))),
                attributes=self.pairs(given.get("attributes", {})),  # pyright: ignore[reportArgumentType] - a mapping, where it is given
            )
            if given["failed"]:
                span.status.code = Status.STATUS_CODE_ERROR
        return self.batch(request, len(spans))

    def logs(self, *logs: Mapping[str, object], service: str = "bot") -> Batch:
        request = ExportLogsServiceRequest()
        group = request.resource_logs.add()
        group.resource.attributes.extend(self.pairs({SERVICE_NAME: service}))
        scoped = group.scope_logs.add()
        for told in logs:
            given = {"body": "said", "time": NOON_NS, "severity": 9, "event": "", "trace": "", **told}
            scoped.log_records.add(
                body=_value(str(given["body"])),
                time_unix_nano=int(str(given["time"])),
                severity_number=int(str(given["severity"])),  # pyright: ignore[reportArgumentType] - a number is taken
                event_name=str(given["event"]),
                trace_id=bytes.fromhex(str(given["trace"])),
                attributes=self.pairs(given.get("attributes", {})),  # pyright: ignore[reportArgumentType] - as above
            )
        return self.batch(request, len(logs))

    def gauge(self, name: str, *points: tuple[int, float], service: str = "bot", **attributes: str) -> Batch:
        request = ExportMetricsServiceRequest()
        group = request.resource_metrics.add()
        group.resource.attributes.extend(self.pairs({SERVICE_NAME: service}))
        metric = group.scope_metrics.add().metrics.add(name=name, unit="ms", description="How long.")
        for time_ns, value in points:
            metric.gauge.data_points.add(
                time_unix_nano=time_ns, as_double=value, attributes=self.pairs(attributes)
            )
        return self.batch(request, len(points))


def _value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=str(value))


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now_ns: int = NOON_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def requests() -> Requests:
    return Requests()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock, tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "desk.sqlite", max_bytes=64 << 20, max_age_s=3600, clock=clock) as opened:
        yield opened


@pytest.fixture
def kept(store: Store) -> Callable[..., Store]:
    """The store after it has taken these batches."""

    def take(*batches: Batch) -> Store:
        for batch in batches:
            store.take(batch)
        store.settle()
        return store

    return take

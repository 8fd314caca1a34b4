"""One real OTLP request per signal, as the configured exporter would send it, and what its answer means."""

from __future__ import annotations

import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Gauge,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tickspan.semconv.common import SERVICE_NAME

NAME: Final = "tickspan doctor"
_MEANINGS: Final = {
    400: "the collector did not understand the request: is this an OTLP/HTTP endpoint?",
    401: "the collector wants credentials: set OTEL_EXPORTER_OTLP_HEADERS",
    403: "the collector refuses these credentials: check OTEL_EXPORTER_OTLP_HEADERS",
    404: "nothing answers at this path: is the endpoint the base URL, without /v1/traces?",
    405: "the path takes no POST: is this an OTLP/HTTP endpoint (4318, not 4317 or a user interface)?",
    429: "the collector is overloaded; records are retried",
    503: "the collector is not ready; records are retried",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    is_delivered: bool
    explanation: str


def round_trip(signal: str, environ: Mapping[str, str], timeout_s: float) -> Answer:
    """Send one record of `signal` (traces, metrics, logs) and explain the answer; never raises."""
    url = endpoint_of(signal, environ)
    body = _BODIES[signal](time.time_ns())
    headers = {"content-type": "application/x-protobuf", **_headers(signal, environ)}
    # http and https, by the user's own configuration
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    started = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:  # noqa: S310
            status = response.status
    except urllib.error.HTTPError as error:
        return Answer(is_delivered=False, explanation=f"{url} answered {error.code}: {_meaning(error.code)}")
    except (urllib.error.URLError, OSError, ValueError) as error:
        return Answer(is_delivered=False, explanation=f"{url}: {_unreachable(error)}")
    elapsed_ms = (time.perf_counter() - started) * 1e3
    return Answer(is_delivered=True, explanation=f"{url} answered {status} in {elapsed_ms:.0f} ms")


def endpoint_of(signal: str, environ: Mapping[str, str]) -> str:
    """Where the exporter of `signal` sends: the signal's own variable as it is, else base URL and path."""
    own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT")
    if own:
        return own
    base = environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or "http://localhost:4318"
    return f"{base.rstrip('/')}/v1/{signal}"


def _headers(signal: str, environ: Mapping[str, str]) -> dict[str, str]:
    text = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_HEADERS") or environ.get(
        "OTEL_EXPORTER_OTLP_HEADERS", ""
    )
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {name.strip().lower(): urllib.parse.unquote(value.strip()) for name, _, value in pairs}


def _meaning(status: int) -> str:
    return _MEANINGS.get(status, "the standard allows no retry for this: records would be dropped")


def _unreachable(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ConnectionRefusedError):
        return "connection refused: is a collector running there?"
    if isinstance(reason, socket.gaierror):
        return "the host name is not known"
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return f"{type(reason).__name__}: {reason}"


def _resource() -> Resource:
    return Resource(attributes=[KeyValue(key=SERVICE_NAME, value=AnyValue(string_value=NAME))])


def _trace(now_ns: int) -> bytes:
    span = Span(
        trace_id=os.urandom(16),
        span_id=os.urandom(8),
        name=NAME,
        start_time_unix_nano=now_ns,
        end_time_unix_nano=now_ns,
    )
    scoped = ScopeSpans(scope=InstrumentationScope(name=NAME), spans=[span])
    resource_spans = ResourceSpans(resource=_resource(), scope_spans=[scoped])
    return ExportTraceServiceRequest(resource_spans=[resource_spans]).SerializeToString()


def _metric(now_ns: int) -> bytes:
    gauge = Gauge(data_points=[NumberDataPoint(time_unix_nano=now_ns, as_int=1)])
    metric = Metric(name="tickspan.doctor", unit="1", gauge=gauge)
    scoped = ScopeMetrics(scope=InstrumentationScope(name=NAME), metrics=[metric])
    resource_metrics = ResourceMetrics(resource=_resource(), scope_metrics=[scoped])
    return ExportMetricsServiceRequest(resource_metrics=[resource_metrics]).SerializeToString()


def _log(now_ns: int) -> bytes:
    record = LogRecord(time_unix_nano=now_ns, body=AnyValue(string_value="round trip"))
    scoped = ScopeLogs(scope=InstrumentationScope(name=NAME), log_records=[record])
    resource_logs = ResourceLogs(resource=_resource(), scope_logs=[scoped])
    return ExportLogsServiceRequest(resource_logs=[resource_logs]).SerializeToString()


_BODIES: Final[dict[str, Callable[[int], bytes]]] = {"traces": _trace, "metrics": _metric, "logs": _log}

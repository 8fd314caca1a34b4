"""One real OTLP request per signal, as the configured exporter would send it, and what its answer means."""

from __future__ import annotations

import http.client
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
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
from tickspan_spool.sender import OutcomeKind, open_channel

from tickspan.distro import destinations
from tickspan.instrumentation import redact
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
_MAX_ANSWER: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    is_delivered: bool
    explanation: str


def round_trip(signal: str, environ: Mapping[str, str], timeout_s: float) -> Answer:
    """Send one record of `signal` (traces, metrics, logs) and explain the answer; never raises."""
    url = endpoint_of(signal, environ)
    shown = redact.url(url)
    headers = {"content-type": "application/x-protobuf", **_headers(signal, environ)}
    started = time.perf_counter()
    try:
        # http and https, by the user's own configuration
        request = urllib.request.Request(url, _BODIES[signal](time.time_ns()), headers)  # noqa: S310 - http(s) only
        with _opener.open(request, timeout=timeout_s) as response:
            kind, answer = response.headers.get_content_type(), response.read(_MAX_ANSWER)
    except urllib.error.HTTPError as error:
        return Answer(
            is_delivered=False, explanation=f"{shown} answered {error.code}: {_meaning(error.code)}"
        )
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        return Answer(is_delivered=False, explanation=f"{shown}: {_unreachable(error)}")
    elapsed_ms = (time.perf_counter() - started) * 1e3
    complaint = _complaint(signal, kind, answer)
    told = complaint or f"in {elapsed_ms:.0f} ms"
    return Answer(is_delivered=complaint is None, explanation=f"{shown} answered 200 {told}")


def grpc_round_trip(signal: str, environ: Mapping[str, str], timeout_s: float) -> Answer:
    """As `round_trip`, over gRPC."""
    destination = next(item for item in destinations(environ) if item.signal == signal)
    channel = open_channel(destination, environ=environ)
    started = time.perf_counter()
    try:
        outcome = channel.send(_BODIES[signal](time.time_ns()), 1, timeout_s)
    finally:
        channel.close()
    elapsed_ms = (time.perf_counter() - started) * 1e3
    if outcome.kind is not OutcomeKind.DELIVERED or outcome.rejected:
        return Answer(is_delivered=False, explanation=f"{destination.label}: {outcome.explanation}")
    return Answer(is_delivered=True, explanation=f"{destination.label} answered OK in {elapsed_ms:.0f} ms")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """OTLP knows no redirects: what is not where it should be has not arrived."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """Never."""
        del args, kwargs


_opener: Final = urllib.request.build_opener(_NoRedirect)


def _complaint(signal: str, kind: str, answer: bytes) -> str | None:
    """What is wrong with an answer of status 200; None when the record was taken."""
    if kind != "application/x-protobuf":
        return f"with {kind}, not OTLP: is this a web server?"
    try:
        partial = _ANSWERS[signal].FromString(answer).partial_success
    except DecodeError:
        return "with bytes that are no OTLP answer"
    if not partial.error_message:
        return None
    return f"but did not take it: {redact.text(partial.error_message)}"


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
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's redirects
        return "OTLP follows no redirect: give the address that it leads to"
    return _MEANINGS.get(status, "the standard allows no retry for this: records would be dropped")


def _unreachable(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, http.client.HTTPException):
        return "what answers there does not speak HTTP: is it a gRPC port (4317)?"
    if isinstance(reason, ConnectionResetError):
        return "the connection was closed without an answer: is it a gRPC port (4317)?"
    if isinstance(reason, ConnectionRefusedError):
        return "connection refused: is a collector running there?"
    if isinstance(reason, socket.gaierror):
        return "the host name is not known"
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    return f"{type(reason).__name__}: {redact.text(str(reason))}"


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
_ANSWERS: Final[dict[str, Any]] = {
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
    "logs": ExportLogsServiceResponse,
}

"""Decoding: the body of one request to a `Batch`. Pure: no socket, no clock, no counter."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ._hot import scanning
from .batch import Batch, ExportRequest, Signal
from .inflation import inflate
from .json_body import fill_from_json
from .limits import Limits
from .refusal import JSON_TYPE, PROTOBUF_TYPE, Reason, Refusal, malformed

_REQUESTS: Mapping[Signal, type[ExportRequest]] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
_PATHS: Mapping[str, Signal] = {f"/v1/{signal}": signal for signal in _REQUESTS}


def signal_of(path: str) -> Signal:
    """The signal that a request target names. Raises Refusal (404) for any other path."""
    signal = _PATHS.get(path.partition("?")[0].rstrip("/"))
    if signal is None:
        known = ", ".join(_PATHS)
        raise Refusal(Reason.PATH, HTTPStatus.NOT_FOUND, f"path: expected one of {known}, got {path[:80]!r}")
    return signal


def media_type(headers: Mapping[str, str]) -> str:
    """The content type without parameters, in lower case; "" when there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def check_media_type(headers: Mapping[str, str]) -> str:
    """The content type of an OTLP request. Raises Refusal (415) for any other."""
    given = media_type(headers)
    if given not in {PROTOBUF_TYPE, JSON_TYPE}:
        raise Refusal(
            Reason.CONTENT_TYPE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"content-type: expected {PROTOBUF_TYPE} or {JSON_TYPE}, got {given[:80]!r}",
        )
    return given


def decode(signal: Signal, headers: Mapping[str, str], wire: bytes, limits: Limits) -> Batch:
    """Decode one request.

    Args:
        signal: from `signal_of`.
        headers: names in lower case.
        wire: the body as received.
        limits: see `Limits`.

    Raises:
        Refusal: with the status of the answer, whatever the bytes are.
    """
    content_type = check_media_type(headers)
    body = inflate(wire, headers.get("content-encoding", ""), limits)
    message = _REQUESTS[signal]()
    if content_type == JSON_TYPE:
        fill_from_json(message, body, limits)
        plain = message.SerializeToString()
    else:
        plain = body
    records = scanning.count_records(plain, scanning.shape_of(message.DESCRIPTOR), limits)
    if content_type == PROTOBUF_TYPE:
        _parse(message, body)
    return Batch(signal, message, body, headers, records)


def _parse(message: ExportRequest, body: bytes) -> None:
    try:
        message.ParseFromString(body)
    except DecodeError:  # its text differs between implementations and names no place
        raise malformed(f"protobuf body: {len(body)} bytes are no {message.DESCRIPTOR.name}") from None

"""OTLP client: sends one request to a collector of a test, and says what it answered."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias, cast
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["ExportRequest", "export_spans", "post"]

ExportRequest: TypeAlias = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest

_TIMEOUT_S: Final = 20.0
_PATHS: Final[Mapping[type[ExportRequest], str]] = {
    ExportTraceServiceRequest: "/v1/traces",
    ExportMetricsServiceRequest: "/v1/metrics",
    ExportLogsServiceRequest: "/v1/logs",
}
_EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def post(endpoint: str, request: ExportRequest, *, token: str = "", certificates: Path | None = None) -> int:
    """Send over OTLP/HTTP.

    Args:
        endpoint: base URL.
        request: of any signal.
        token: sent as a bearer token, if not empty.
        certificates: that an `https` endpoint's must be signed by.

    Returns:
        The HTTP status.

    Raises:
        URLError: nobody listens, or TLS failed.
    """
    headers = {"Content-Type": "application/x-protobuf"} | _authorization(token, "Authorization")
    message = Request(endpoint + _PATHS[type(request)], request.SerializeToString(), headers)  # noqa: S310 - loopback
    context = ssl.create_default_context(cafile=certificates) if certificates else None
    try:
        with urlopen(message, timeout=_TIMEOUT_S, context=context) as answer:  # noqa: S310 - loopback
            return answer.status
    except HTTPError as error:
        return error.code


def export_spans(
    target: str,
    request: ExportTraceServiceRequest,
    *,
    token: str = "",
    certificates: Path | None = None,
) -> grpc.StatusCode:
    """Send over OTLP/gRPC to `host:port`, with TLS when there are certificates. Returns the status."""
    if certificates is None:
        channel = grpc.insecure_channel(target)
    else:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(certificates.read_bytes()))
    with channel:
        export = channel.unary_unary(_EXPORT, request_serializer=_serialized)
        try:
            export(
                request, timeout=_TIMEOUT_S, metadata=tuple(_authorization(token, "authorization").items())
            )
        except grpc.RpcError as error:
            return cast("grpc.Call", error).code()
    return grpc.StatusCode.OK


def _authorization(token: str, name: str) -> dict[str, str]:
    return {name: f"Bearer {token}"} if token else {}


def _serialized(request: ExportTraceServiceRequest) -> bytes:
    return request.SerializeToString()

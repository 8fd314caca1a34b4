"""Batch: one accepted request, decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Signal = Literal["traces", "metrics", "logs"]
ExportRequest = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest


@dataclass(frozen=True, slots=True)
class Batch:
    """One request of a sender.

    Attributes:
        signal: "traces", "metrics" or "logs".
        message: the decoded export request of that signal.
        body: the bytes it was decoded from, after decompression.
        headers: the request's, names in lower case; may hold credentials, so it is kept out of the repr.
        records: spans, metric points or log records in `message`.
    """

    signal: Signal
    message: ExportRequest = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    records: int


@dataclass(frozen=True, slots=True)
class Response:
    """A scripted answer: what a test's back end says instead of "accepted"."""

    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""

"""Exporting: what is kept of traces, spans and log records, as the OTLP JSON that other tools read."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tickspan_spool.receiver import Signal

__all__ = ["export"]

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


def export(requests: Iterable[tuple[Signal, bytes]], trace_ids: Collection[str]) -> dict[str, Any]:
    """`resourceSpans` and `resourceLogs` of these traces, ids in hexadecimal as OTLP/JSON has them.

    Args:
        requests: signal and protobuf body; those of metrics are passed over.
        trace_ids: in lower-case hexadecimal.
    """
    wanted = {bytes.fromhex(trace_id) for trace_id in trace_ids}
    spans, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    for signal, body in requests:
        if not any(trace_id in body for trace_id in wanted):
            continue
        try:
            if signal == "traces":
                _add_spans(spans, ExportTraceServiceRequest.FromString(body), wanted)
            elif signal == "logs":
                _add_logs(logs, ExportLogsServiceRequest.FromString(body), wanted)
        except DecodeError:  # a store is a file: one damaged blob is not the end of the others
            continue
    return {**_as_json(spans), **_as_json(logs)}


def _add_spans(all_of: Any, request: Any, wanted: Collection[bytes]) -> None:
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            kept = [span for span in scope.spans if span.trace_id in wanted]
            del scope.spans[:]
            scope.spans.extend(kept)
        kept_scopes = [scope for scope in resource.scope_spans if scope.spans]
        if kept_scopes:
            del resource.scope_spans[:]
            resource.scope_spans.extend(kept_scopes)
            all_of.resource_spans.append(resource)


def _add_logs(all_of: Any, request: Any, wanted: Collection[bytes]) -> None:
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            kept = [record for record in scope.log_records if record.trace_id in wanted]
            del scope.log_records[:]
            scope.log_records.extend(kept)
        kept_scopes = [scope for scope in resource.scope_logs if scope.log_records]
        if kept_scopes:
            del resource.scope_logs[:]
            resource.scope_logs.extend(kept_scopes)
            all_of.resource_logs.append(resource)


def _as_json(message: Any) -> dict[str, Any]:
    return _with_hex_ids(MessageToDict(message, use_integers_for_enums=True))


def _with_hex_ids(value: Any) -> Any:
    """Protobuf's JSON has bytes in base64; OTLP's has ids in hexadecimal."""
    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex()
            if key in _IDS and isinstance(item, str)
            else _with_hex_ids(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_with_hex_ids(item) for item in value]
    return value

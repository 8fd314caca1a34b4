"""Spans as OTLP/JSON: the protocol's own mapping, which any receiver takes."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

from opentelemetry.trace import StatusCode

from tickspan.received import Attributes, ReceivedSpan, Value

__all__ = ["traces_as_otlp"]


def traces_as_otlp(spans: Sequence[ReceivedSpan]) -> dict[str, Any]:
    """An export request: ids in hex, 64-bit numbers as text, enumerations as numbers, bytes in base64.

    Spans of the same resource and scope are put together, each in its order.
    """
    resources: dict[str, tuple[Attributes, dict[str, list[ReceivedSpan]]]] = {}
    for span in spans:
        _, scopes = resources.setdefault(repr(sorted(span.resource.items())), (span.resource, {}))
        scopes.setdefault(span.scope, []).append(span)
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes(resource)},
                "scopeSpans": [
                    {"scope": {"name": scope}, "spans": [_span(span) for span in of_scope]}
                    for scope, of_scope in scopes.items()
                ],
            }
            for resource, scopes in resources.values()
        ]
    }


def _span(span: ReceivedSpan) -> dict[str, Any]:
    told: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name,
        "kind": span.kind.value + 1,
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "timeUnixNano": str(event.time_ns),
                "name": event.name,
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {"traceId": link.trace_id, "spanId": link.span_id, "attributes": _attributes(link.attributes)}
            for link in span.links
        ],
        "status": _status(span),
    }
    if span.parent_span_id:
        told["parentSpanId"] = span.parent_span_id
    return told


def _status(span: ReceivedSpan) -> dict[str, Any]:
    told: dict[str, Any] = {}
    if span.status.code is not StatusCode.UNSET:
        told["code"] = span.status.code.value
    if span.status.description:
        told["message"] = span.status.description
    return told


def _attributes(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in attributes.items()]


def _value(value: Value) -> dict[str, Any]:
    match value:
        case None:
            told: dict[str, Any] = {}
        case bool():  # before int, which it is too
            told = {"boolValue": value}
        case str():
            told = {"stringValue": value}
        case int():
            told = {"intValue": str(value)}
        case float():
            told = {"doubleValue": _number(value)}
        case bytes():
            told = {"bytesValue": base64.b64encode(value).decode()}
        case tuple():
            told = {"arrayValue": {"values": [_value(item) for item in value]}}
        case _:
            told = {"kvlistValue": {"values": _attributes(value)}}
    return told


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value

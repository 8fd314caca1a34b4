"""What has come, decoded and held against what each number must carry, attribute by attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from itertools import islice
from typing import Any, Final

from .payload import (
    COUNTER,
    MANY,
    SCOPE,
    SEQUENCE,
    SPAN,
    Value,
    fault_of,
    log_attributes,
    log_body,
    series_key,
    span_attributes,
)

_SHOWN: Final = 3
_ID_BYTES: Final = {"trace": 16, "span": 8}


class _Numbers:
    """Records of one signal, told apart by their numbers."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._twice = 0
        self._wrong = 0
        self._fault: str | None = None

    def take(self, number: object, fault: str | None) -> None:
        """One record, and what is wrong with it."""
        if fault is not None or type(number) is not int:
            self._wrong += 1
            self._fault = self._fault or fault or f"{SEQUENCE}={number!r}"
        elif number in self._seen:
            self._twice += 1
        else:
            self._seen.add(number)

    def __len__(self) -> int:
        return len(self._seen)

    def findings(self, count: int) -> dict[str, Any]:
        """`count` came whole, each number once; `absent` are the first few of 0 to `count` that did not."""
        absent = (number for number in range(count) if number not in self._seen)
        return {
            "count": len(self),
            "twice": self._twice,
            "wrong": self._wrong,
            "fault": self._fault,
            "absent": list(islice(absent, _SHOWN)),
        }


class Comparing:
    """Takes bodies of all kinds, and tells per signal what came whole."""

    def __init__(self) -> None:
        self._takers: dict[str, Callable[[bytes], None]] = {
            "traces": self._take_spans,
            "logs": self._take_logs,
            "metrics": self._take_metrics,
            "datadog-4": self._take_datadog_4,
            "datadog-5": self._take_datadog_5,
        }
        self.clear()

    def clear(self) -> None:
        """Forget all that came."""
        self._spans, self._logs = _Numbers(), _Numbers()
        self._series: dict[str, int | float] = {}
        self._many: dict[str, int | float] = {}

    def take(self, kind: str, body: bytes) -> None:
        """Decode one body and compare what it holds."""
        self._takers[kind](body)

    def count(self, signal: str) -> int:
        """How many "spans" or "logs" came whole, or what the "metrics"' counter says."""
        if signal == "metrics":
            return int(sum(self._series.values()))
        return len(self._spans if signal == "spans" else self._logs)

    def findings(self, signal: str, count: int) -> dict[str, Any]:
        """All that is known of a signal of which `count` are expected."""
        if signal == "metrics":
            return {"count": self.count(signal), "series": self._series, "many": len(self._many)}
        return (self._spans if signal == "spans" else self._logs).findings(count)

    def _take_spans(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        message = ExportTraceServiceRequest.FromString(body)
        scopes = (scope for resource in message.resource_spans for scope in resource.scope_spans)
        for span in (span for scope in scopes if scope.scope.name == SCOPE for span in scope.spans):
            found = _attributes(span.attributes)
            number = found.get(SEQUENCE)
            self._spans.take(number, _span_fault(span, found, number))

    def _take_logs(self, body: bytes) -> None:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        message = ExportLogsServiceRequest.FromString(body)
        scopes = (scope for resource in message.resource_logs for scope in resource.scope_logs)
        for record in (record for scope in scopes for record in scope.log_records):
            found = _attributes(record.attributes)
            if SEQUENCE in found:  # others are what a distribution tells of itself
                self._logs.take(found[SEQUENCE], _log_fault(record, found))

    def _take_metrics(self, body: bytes) -> None:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        message = ExportMetricsServiceRequest.FromString(body)
        scopes = (scope for resource in message.resource_metrics for scope in resource.scope_metrics)
        for metric in (metric for scope in scopes for metric in scope.metrics):
            if metric.name == COUNTER:
                self._series |= _points(metric)
            elif metric.name.startswith(MANY):
                self._many |= {f"{metric.name}:{key}": value for key, value in _points(metric).items()}

    def _take_datadog_4(self, body: bytes) -> None:
        msgpack: Any = import_module("msgpack")
        for trace in msgpack.unpackb(body):
            for span in trace:
                self._take_datadog(span["name"], span.get("meta", {}), span.get("metrics", {}))

    def _take_datadog_5(self, body: bytes) -> None:
        msgpack: Any = import_module("msgpack")
        texts, traces = msgpack.unpackb(body, strict_map_key=False)
        for trace in traces:
            for span in trace:
                meta = {texts[name]: texts[value] for name, value in span[9].items()}
                self._take_datadog(texts[span[1]], meta, {texts[name]: v for name, v in span[10].items()})

    def _take_datadog(self, name: str, meta: dict[str, str], metrics: dict[str, float]) -> None:
        number = metrics.get(SEQUENCE)
        if number is None or number != int(number):
            self._spans.take(number, f"{SEQUENCE}={number!r}")
            return
        wanted = datadog_form(span_attributes(int(number)))
        fault = fault_of({**meta, **{key: float(value) for key, value in metrics.items()}}, wanted)
        self._spans.take(int(number), fault if name == SPAN else f"name {name!r}")


def datadog_form(attributes: dict[str, Value]) -> dict[str, Value]:
    """Attributes as Datadog's protocol can tell them: numbers are floating, and true is a text."""
    return {
        name: float(value) if type(value) in (int, float) else str(value)
        for name, value in attributes.items()
    }


def _span_fault(span: Any, found: dict[str, object], number: object) -> str | None:
    if type(number) is not int:
        return f"{SEQUENCE}={number!r} in {span.name!r}"
    if span.name != SPAN:
        return f"name {span.name!r}"
    if len(span.trace_id) != _ID_BYTES["trace"] or len(span.span_id) != _ID_BYTES["span"]:
        return "an id of another length"
    if not 0 < span.start_time_unix_nano <= span.end_time_unix_nano:
        return f"times {span.start_time_unix_nano} and {span.end_time_unix_nano}"
    wanted = span_attributes(number)
    if len(found) != len(wanted):
        return f"{len(found)} attributes, not {len(wanted)}"
    return fault_of(found, wanted)


def _log_fault(record: Any, found: dict[str, object]) -> str | None:
    number = found[SEQUENCE]
    if type(number) is not int:
        return f"{SEQUENCE}={number!r}"
    if record.body.string_value != log_body(number):
        return f"body {record.body.string_value!r}"
    if not record.time_unix_nano or record.severity_text != "INFO":
        return f"time {record.time_unix_nano}, severity {record.severity_text!r}"
    return fault_of(found, log_attributes(number))


def _points(metric: Any) -> dict[str, int | float]:
    """The latest value of each series of a sum."""
    return {
        series_key(_attributes(point.attributes)): point.as_int or int(point.as_double)
        for point in metric.sum.data_points
    }


def _attributes(pairs: Iterable[Any]) -> dict[str, object]:
    found: dict[str, object] = {}
    for pair in pairs:
        value = pair.value
        held = value.WhichOneof("value")
        found[pair.key] = None if held is None else getattr(value, held)
    return found

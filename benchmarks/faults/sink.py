"""Sink: everything that arrived at the back end, decoded and compared with what was recorded."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from tickspan_spool.receiver import Batch

from .recorder import COUNTER, RECORD_ID, SPAN, attributes_of

_DELTA: Final = 1


class Sink:
    """Keeps ids and counts, not messages. Safe for use by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.arrived: dict[str, Counter[str]] = {"traces": Counter(), "logs": Counter()}
        self.others: Counter[str] = Counter()
        self.changed: set[str] = set()
        self._series: dict[bytes, tuple[int, int]] = {}
        self.requests = 0

    def __repr__(self) -> str:
        return f"<Sink {len(self.arrived['traces'])} spans, {len(self.arrived['logs'])} log records>"

    def take(self, batch: Batch, rejects: int = 0) -> None:
        """Note what is in the batch, less its first `rejects` records."""
        with self._lock:
            self.requests += 1
            message = batch.message
            if isinstance(message, ExportTraceServiceRequest):
                self._take_spans(message, rejects)
            elif isinstance(message, ExportLogsServiceRequest):
                self._take_logs(message, rejects)
            else:
                self._take_points(message)

    def missing(self, ended: dict[str, Counter[str]]) -> int:
        """How many of the ended records have not arrived yet."""
        with self._lock:
            return sum(len(ids.keys() - self.arrived[signal].keys()) for signal, ids in ended.items())

    def counted(self) -> int:
        """The counter's sum over all series, as a back end adds it up."""
        with self._lock:
            return sum(value for _, value in self._series.values())

    def _take_spans(self, message: ExportTraceServiceRequest, rejects: int) -> None:
        scopes = (scope for resource in message.resource_spans for scope in resource.scope_spans)
        for index, span in enumerate(span for scope in scopes for span in scope.spans):
            if index < rejects:
                continue
            identity = span.span_id.hex()
            self.arrived["traces"][identity] += 1
            if span.name == SPAN:
                given = {pair.key: _plain(pair.value) for pair in span.attributes}
                expected = attributes_of(given.get("work.number", -1))
                if {key: given.get(key) for key in expected} != expected:
                    self.changed.add(identity)

    def _take_logs(self, message: ExportLogsServiceRequest, rejects: int) -> None:
        records = (
            record
            for resource in message.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        )
        for index, record in enumerate(records):
            identity = next(
                (pair.value.string_value for pair in record.attributes if pair.key == RECORD_ID), ""
            )
            if not identity:
                self.others["logs"] += 1
            elif index >= rejects:
                self.arrived["logs"][identity] += 1

    def _take_points(self, message: ExportMetricsServiceRequest) -> None:
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                owner = resource.resource.SerializeToString(deterministic=True) + scope.scope.name.encode()
                for metric in scope.metrics:
                    if metric.name == COUNTER:
                        self._take_sum(owner, metric.sum)

    def _take_sum(self, owner: bytes, summed: Any) -> None:
        for point in summed.data_points:
            value = point.as_int or int(point.as_double)
            series = owner + point.start_time_unix_nano.to_bytes(8, "big")
            time, before = self._series.get(series, (0, 0))
            if summed.aggregation_temporality == _DELTA:
                value += before
            if point.time_unix_nano >= time:
                self._series[series] = (point.time_unix_nano, value)


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)

"""Spans and pools as OTLP tells them, made into the values that rules look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tickspan.analysis.traces import WANTED, Connections, SeenSpan, Value
from tickspan.semconv import db

__all__ = ["Pools", "spans_of"]

_PARENT_IS_REMOTE: Final = 0x200
_CUMULATIVE: Final = 2
_MAX_POOLS: Final = 1_000
POOL_METRICS: Final = frozenset({db.DB_CLIENT_CONNECTION_CREATE_TIME, db.DB_CLIENT_CONNECTION_USE_TIME})


def spans_of(request: Any) -> Iterator[SeenSpan]:
    """All spans of an `ExportTraceServiceRequest`, in order, with the attributes that rules ask for."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                parent = span.parent_span_id
                yield SeenSpan(
                    int.from_bytes(span.trace_id),
                    int.from_bytes(span.span_id),
                    int.from_bytes(parent),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    span.name,
                    span.kind,
                    _wanted(span.attributes),
                    not parent or bool(span.flags & _PARENT_IS_REMOTE),
                )


def _wanted(attributes: Any) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for pair in attributes:
        key = pair.key
        if key in WANTED:
            value = pair.value
            kind = value.WhichOneof("value")
            if kind == "array_value":
                found[key] = tuple(item.string_value for item in value.array_value.values)
            elif kind is not None:
                found[key] = getattr(value, kind)
    return found


class Pools:
    """Counts of connections made and taken, between two exports of a process's metrics; for one thread."""

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], tuple[int, float]] = {}
        self._lately: dict[str, dict[str, tuple[int, float]]] = {}

    def __repr__(self) -> str:
        return f"<Pools {len(self._before)} series>"

    def changes(self, request: Any) -> list[Connections]:
        """What each pool of an `ExportMetricsServiceRequest` did since the export before."""
        at_ns = 0
        lately: dict[str, dict[str, tuple[int, float]]] = {}
        for name, point, is_cumulative in _pool_points(request):
            pool = _pool_name(point)
            at_ns = max(at_ns, point.time_unix_nano)
            count, total_s = lately.setdefault(pool, {}).get(name, (0, 0.0))
            new_count, new_s = self._since(pool, name, point, is_cumulative=is_cumulative)
            lately[pool][name] = (count + new_count, total_s + new_s)
        return [
            Connections(
                pool,
                creates=found.get(db.DB_CLIENT_CONNECTION_CREATE_TIME, (0, 0.0))[0],
                checkouts=found.get(db.DB_CLIENT_CONNECTION_USE_TIME, (0, 0.0))[0],
                create_s=found.get(db.DB_CLIENT_CONNECTION_CREATE_TIME, (0, 0.0))[1],
                at_ns=at_ns,
            )
            for pool, found in lately.items()
        ]

    def _since(self, pool: str, name: str, point: Any, *, is_cumulative: bool) -> tuple[int, float]:
        now = (int(point.count), float(point.sum))
        if not is_cumulative:
            return now
        before = self._before.get((pool, name), (0, 0.0))
        if len(self._before) < _MAX_POOLS:
            self._before[pool, name] = now
        is_restarted = now[0] < before[0]
        return now if is_restarted else (now[0] - before[0], now[1] - before[1])


def _pool_points(request: Any) -> Iterator[tuple[str, Any, bool]]:
    metrics = (
        metric
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name in POOL_METRICS
    )
    for metric in metrics:
        kind = metric.WhichOneof("data")
        if kind in {"histogram", "exponential_histogram"}:
            data = getattr(metric, kind)
            for point in data.data_points:
                yield metric.name, point, data.aggregation_temporality == _CUMULATIVE


def _pool_name(point: Any) -> str:
    for pair in point.attributes:
        if pair.key == db.DB_CLIENT_CONNECTION_POOL_NAME:
            return pair.value.string_value
    return ""

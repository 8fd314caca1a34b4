"""A process that asks Redis through redis-py, told by one of several: what a command costs its thread."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import redis
from opentelemetry import metrics
from opentelemetry.instrumentation.redis import RedisInstrumentor as UpstreamInstrumentor
from opentelemetry.sdk import metrics as sdk_metrics
from opentelemetry.sdk import trace as sdk_trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from tickspan_redis import RedisInstrumentor

from benchmarks.sidebyside.lines import answer, questions
from tickspan import providers
from tickspan.testing.sink import MemorySink

_KEY: Final = "price"
_PIPED: Final = 10


class _Counting(SpanExporter):
    """Takes spans and counts them: what is measured is the thread that calls."""

    def __init__(self) -> None:
        self.spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.spans += len(spans)
        return SpanExportResult.SUCCESS


class _Told:
    """Providers of one kind, and what they have got."""

    def __init__(self, *, is_ours: bool) -> None:
        self._exporter, self._reader, self._sink = _Counting(), InMemoryMetricReader(), MemorySink()
        self._is_ours = is_ours
        if is_ours:
            self.tracer: Any = providers.TracerProvider(sink=self._sink)
            self.meter: Any = providers.MeterProvider(sink=self._sink)
        else:
            self.tracer = sdk_trace.TracerProvider()
            self.tracer.add_span_processor(BatchSpanProcessor(self._exporter, max_queue_size=2**16))
            self.meter = sdk_metrics.MeterProvider([self._reader])

    def seen(self) -> dict[str, Any]:
        """Spans since the last time, and the metrics that have points."""
        self.tracer.force_flush()
        self.meter.force_flush()
        told = self._sink.telemetry()
        self._sink.clear()
        data: Any = None if self._is_ours else self._reader.get_metrics_data()
        found = () if data is None else data.resource_metrics
        names = {m.name for r in found for s in r.scope_metrics for m in s.metrics}
        names |= {metric.name for metric in told.metrics}
        return {"spans": self._exporter.spans + len(told.spans), "metrics": sorted(names)}


def main(contender: str, url: str) -> None:
    """Set up, say so, then answer `{"calls"}` with CPU ns a call by kind, and what was told."""
    told = _KINDS[contender]()
    client: Any = redis.Redis.from_url(url)
    client.set(_KEY, "1")
    calls = {"GET": _get(client), f"pipeline of {_PIPED}": _pipeline(client)}
    answer({"library": redis.__version__})
    for question in questions():
        costs = {kind: _cost_ns(call, question["calls"]) for kind, call in calls.items()}
        answer({"costs": costs, "seen": {"spans": 0, "metrics": []} if told is None else told.seen()})


def _plain() -> None:
    return None


def _ours() -> _Told:
    told = _Told(is_ours=True)
    RedisInstrumentor().instrument(tracer_provider=told.tracer, meter_provider=told.meter)
    return told


def _upstream(told: _Told) -> _Told:
    UpstreamInstrumentor().instrument(tracer_provider=told.tracer)
    return told


def _native(told: _Told) -> _Told:
    """With the groups of metrics that ours has too."""
    from redis.observability.config import MetricGroup, OTelConfig
    from redis.observability.providers import get_observability_instance

    metrics.set_meter_provider(told.meter)
    groups = [
        MetricGroup.COMMAND,
        MetricGroup.CONNECTION_BASIC,
        MetricGroup.CONNECTION_ADVANCED,
        MetricGroup.RESILIENCY,
    ]
    get_observability_instance().init(OTelConfig(metric_groups=groups))
    return told


_KINDS: Final[Mapping[str, Callable[[], _Told | None]]] = {
    "redis-py": _plain,
    "native": lambda: _native(_Told(is_ours=False)),
    "contrib": lambda: _upstream(_Told(is_ours=False)),
    "contrib + native": lambda: _native(_upstream(_Told(is_ours=False))),
    "tickspan": _ours,
}


def _get(client: Any) -> Callable[[], None]:
    def call() -> None:
        client.get(_KEY)

    return call


def _pipeline(client: Any) -> Callable[[], None]:
    def call() -> None:
        pipeline = client.pipeline(transaction=False)
        for _ in range(_PIPED):
            pipeline.get(_KEY)
        pipeline.execute()

    return call


def _cost_ns(call: Callable[[], None], times: int) -> float:
    for _ in range(times // 10):
        call()
    began_ns = time.thread_time_ns()
    for _ in range(times):
        call()
    return (time.thread_time_ns() - began_ns) / times


if __name__ == "__main__":
    main(*sys.argv[1:])

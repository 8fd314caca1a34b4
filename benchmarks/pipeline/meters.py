"""Recorders of metrics: a counter and a histogram over 16 attribute sets, and 10,000 series to collect."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any

from .payload import (
    COUNTER,
    HISTOGRAM,
    MANY,
    MANY_INSTRUMENTS,
    PRICES,
    SCOPE,
    SERIES,
    SERVICE,
    SYMBOL,
    VENUE,
    series_key,
)
from .spans import our_library

Loop = Callable[[int, int], None]
_COLLECT_S = 30
_AWAY_S = 0.05
"""Without telemetry, the thread that would collect is away for so long."""


@dataclass(frozen=True, slots=True)
class Meters:
    """A contender's instruments, ready."""

    library: str
    loops: Mapping[str, Loop]
    """By operation: `add`, `bound`, `record`; an operation that a contender lacks is not there."""
    open_many: Callable[[int], None]
    """Makes so many series."""
    collect: Callable[[], object]
    """Collects, encodes and sends, or exposes, all series."""
    exposed: Callable[[], dict[str, int]] | None = None
    """The counter's values by series, for a contender that does not send them."""


def nothing() -> Meters:
    """The loops without telemetry."""

    def loop(first: int, count: int) -> None:
        for number in range(first, first + count):
            _ = SERIES[number & 15], PRICES[number & 7]

    return Meters(
        "no telemetry",
        {"add": loop, "bound": loop, "record": loop},
        lambda _series: None,
        lambda: time.sleep(_AWAY_S),
    )


def stock_http() -> Meters:
    """The SDK with its periodic reader and exporter over OTLP/HTTP."""
    from opentelemetry import metrics
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource

    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    provider = MeterProvider([reader], Resource.create({"service.name": SERVICE}))
    metrics.set_meter_provider(provider)
    return _of_provider(provider, f"SDK {version('opentelemetry-sdk')}")


def tickspan() -> Meters:
    """Ours, as `tickspan.init()` sets it up from the environment."""
    from opentelemetry import metrics

    import tickspan as ours

    ours.init(service_name=SERVICE)
    return _of_provider(metrics.get_meter_provider(), our_library())


def prometheus() -> Meters:
    """prometheus-client; `add` looks its child up by label values, `bound` has kept it."""
    peer: Any = import_module("prometheus_client")
    names = (VENUE.replace(".", "_"), SYMBOL.replace(".", "_"))
    registry = peer.CollectorRegistry()
    counter: Any = peer.Counter(COUNTER.replace(".", "_"), "orders", names, registry=registry)
    histogram: Any = peer.Histogram(HISTOGRAM.replace(".", "_"), "latency", names, registry=registry)
    values = [tuple(series.values()) for series in SERIES]
    children = [counter.labels(*each) for each in values]

    def add(first: int, count: int) -> None:
        labels = counter.labels
        for number in range(first, first + count):
            labels(*values[number & 15]).inc()

    def bound(first: int, count: int) -> None:
        for number in range(first, first + count):
            children[number & 15].inc()

    def record(first: int, count: int) -> None:
        labels = histogram.labels
        for number in range(first, first + count):
            labels(*values[number & 15]).observe(PRICES[number & 7])

    def open_many(series: int) -> None:
        names = [f"bench_many_{number}" for number in range(MANY_INSTRUMENTS)]
        many = [peer.Counter(name, "many", ("series",), registry=registry) for name in names]
        _fill(series, lambda place, value: many[place].labels(value).inc())

    def expose() -> object:
        return peer.generate_latest(registry)

    def exposed() -> dict[str, int]:
        return {
            series_key(dict(zip((VENUE, SYMBOL), each, strict=True))): int(child._value.get())  # noqa: SLF001 - no public reading
            for each, child in zip(values, children, strict=True)
        }

    loops = {"add": add, "bound": bound, "record": record}
    return Meters(
        f"prometheus-client {version('prometheus-client')}",
        loops,
        open_many,
        expose,
        exposed,
    )


METERS: Mapping[str, Callable[[], Meters]] = {
    "nothing": nothing,
    "stock-http": stock_http,
    "prometheus": prometheus,
    "tickspan": tickspan,
}


def _fill(series: int, add: Callable[[int, str], object]) -> None:
    for number in range(series):
        add(number % MANY_INSTRUMENTS, str(number))


def _of_provider(provider: Any, library: str) -> Meters:
    meter = provider.get_meter(SCOPE)
    counter, histogram = meter.create_counter(COUNTER), meter.create_histogram(HISTOGRAM)

    def add(first: int, count: int) -> None:
        for number in range(first, first + count):
            counter.add(1, SERIES[number & 15])

    def record(first: int, count: int) -> None:
        for number in range(first, first + count):
            histogram.record(PRICES[number & 7], SERIES[number & 15])

    def open_many(series: int) -> None:
        many = [meter.create_counter(f"{MANY}.{number}") for number in range(MANY_INSTRUMENTS)]
        _fill(series, lambda place, value: many[place].add(1, {"series": value}))

    loops: dict[str, Loop] = {"add": add, "record": record}
    if hasattr(counter, "bind"):
        loops["bound"] = _bound_loop(counter)
    return Meters(library, loops, open_many, lambda: provider.force_flush(_COLLECT_S * 1000))


def _bound_loop(counter: Any) -> Loop:
    bound = [counter.bind(series) for series in SERIES]

    def loop(first: int, count: int) -> None:
        for number in range(first, first + count):
            bound[number & 15].add(1)

    return loop

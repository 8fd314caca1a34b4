"""Attention: metrics are read in the process every second, and collection tells what it always did."""

# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource

from tickspan.providers import MeterProvider, TracerProvider
from tickspan.providers.attention import Attention
from tickspan.providers.collector import COLLECTOR
from tickspan.recording import strict
from tickspan.testing.sink import MemorySink


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def make(sink: MemorySink) -> Generator[Callable[..., MeterProvider]]:
    made: list[MeterProvider] = []

    def make_one(**options: Any) -> MeterProvider:
        made.append(MeterProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink, **options))
        return made[-1]

    yield make_one
    for provider in made:
        provider.shutdown()


def attended(provider: MeterProvider, wanted: dict[str, int], *hastened: str) -> Attention:
    attention = provider.attend(wanted, frozenset(hastened))
    assert attention is not None
    return attention


def read(attention: Attention) -> list[tuple[str, Any, Any]]:
    found = [(one.metric, dict(one.attributes), one.value) for one in attention.read()]
    return sorted(found, key=lambda one: one[0])


def test_instruments_that_are_there_and_those_to_come_are_read(make: Callable[..., MeterProvider]) -> None:
    provider = make()
    meter = provider.get_meter("scope")
    early, other = meter.create_counter("early"), meter.create_counter("other")
    attention = attended(provider, {"early": 0, "late": 0})
    late = meter.create_histogram("late", explicit_bucket_boundaries_advisory=[1.0])
    for measure in (early.add, other.add, late.record):
        measure(2, {"book": "eq"})
    assert read(attention) == [("early", {"book": "eq"}, 2), ("late", {"book": "eq"}, (2.0, 1, [0, 1]))]


def test_what_is_read_is_the_metric_as_views_name_it(make: Callable[..., MeterProvider]) -> None:
    view = View(instrument_name="desk.trades", name="renamed", attribute_keys={"book"})
    provider = make(views=[view])
    attention = attended(provider, {"renamed": 1})
    provider.get_meter("scope").create_counter("desk.trades").add(1, {"book": "eq", "trader": "x"})
    assert read(attention) == [("renamed", {"book": "eq"}, 1)]


def test_attention_turns_to_other_metrics(make: Callable[..., MeterProvider]) -> None:
    provider = make()
    counters = [provider.get_meter("scope").create_counter(name) for name in "ab"]
    attended(provider, {"a": 1})
    attention = attended(provider, {"b": 1})
    for counter in counters:
        counter.add(1)
    assert read(attention) == [("b", {}, 1)]
    assert [counter.recorder.sample is None for counter in counters] == [True, False]  # pyright: ignore[reportAttributeAccessIssue] - our own instruments


def test_the_worst_measurement_leads_to_its_trace(make: Callable[..., MeterProvider]) -> None:
    provider = make()
    attention = attended(provider, {"a": 1, "b": -1})
    highest = provider.get_meter("scope").create_histogram("a")
    lowest = provider.get_meter("scope").create_gauge("b")
    ids: dict[int, tuple[int, int]] = {}
    for value in (3, 1, 5, 2):
        with (
            TracerProvider(shutdown_on_exit=False).get_tracer("scope").start_as_current_span("order") as span
        ):
            context = span.get_span_context()
            ids[value] = (context.trace_id, context.span_id)
            highest.record(value)
            lowest.set(value)
    found = {one.metric: one.worst for one in attention.read()}
    assert found == {"a": (5, *ids[5]), "b": (1, *ids[1])}
    assert [one.worst for one in attention.read()] == [None, None]


def test_a_measurement_without_a_span_has_no_trace(make: Callable[..., MeterProvider]) -> None:
    provider = make()
    attention = attended(provider, {"a": 1})
    provider.get_meter("scope").create_histogram("a").record(1)
    assert [one.worst for one in attention.read()] == [(1, 0, 0)]


def test_a_foreign_span_that_raises_costs_no_measurement(make: Callable[..., MeterProvider]) -> None:
    class Odd(trace.NonRecordingSpan):
        def get_span_context(self) -> trace.SpanContext:
            raise ZeroDivisionError

    provider = make()
    attention = attended(provider, {"a": 1})
    context = trace.set_span_in_context(Odd(trace.INVALID_SPAN_CONTEXT))
    with strict(value=False):
        provider.get_meter("scope").create_histogram("a").record(1, context=context)
    assert [one.worst for one in attention.read()] == [(1, 0, 0)]


class Callback:
    """Observes, and counts how often it is asked."""

    def __init__(self, *values: float) -> None:
        self.values = values
        self.calls = 0

    def __call__(self, options: CallbackOptions) -> Iterable[Observation]:
        del options
        self.calls += 1
        return [Observation(value, {"number": place}) for place, value in enumerate(self.values)]


def turned(provider: MeterProvider, wanted: dict[str, int], clock: Callable[[], float]) -> Attention:
    """With a clock of its own."""
    attention = Attention(provider, clock)
    made = [one for meter in provider._own_meters() for one in meter.instruments()]
    attention.turn(wanted, frozenset(), made)
    return attention


def test_what_is_observed_is_asked_for_beside_collection(
    make: Callable[..., MeterProvider], sink: MemorySink
) -> None:
    provider = make()
    total, level = Callback(5, 7), Callback(0.5)
    meter = provider.get_meter("scope")
    meter.create_observable_counter("total", [total])
    meter.create_observable_gauge("level", [level])
    attention = turned(provider, {"total": 1, "level": 1}, lambda: 0.0)
    attention.collect()
    first = list(attention.read())
    total.values = (6,)
    attention.collect()
    second = list(attention.read())
    assert [(one.metric, one.attributes, one.value) for one in first + second] == [
        ("total", {"number": 0}, 5),
        ("total", {"number": 1}, 7),
        ("level", {"number": 0}, 0.5),
        ("total", {"number": 0}, 6),
        ("level", {"number": 0}, 0.5),
    ]
    assert second[0].attributes is first[0].attributes
    assert sink.entries == []
    provider.collect()
    points = {metric.name: [point.value for point in metric.points] for metric in sink.telemetry().metrics}
    assert points == {"total": [6], "level": [0.5]}


def test_a_slow_callback_is_asked_rarely() -> None:
    now = [0.0]

    def slow(options: CallbackOptions) -> Iterable[Observation]:
        del options
        now[0] += 0.2
        return [Observation(now[0])]

    sink = MemorySink()
    provider = MeterProvider(resource=Resource({}), shutdown_on_exit=False, sink=sink)
    provider.get_meter("scope").create_observable_gauge("level", [slow])
    attention = turned(provider, {"level": 1}, lambda: now[0])
    seen: list[float] = []
    for _ in range(41):
        attention.collect()
        seen.append(*(one.value for one in attention.read()))
        now[0] += 1.0
    provider.shutdown()
    assert sorted(set(seen)) == pytest.approx([0.2, 20.4, 40.6])


def test_what_is_no_number_is_not_observed(make: Callable[..., MeterProvider]) -> None:
    def observe(options: CallbackOptions) -> Iterable[Any]:
        del options
        return [Observation(value, {}) for value in (float("nan"), "x", 1 << 70, True)]  # pyright: ignore[reportArgumentType] - what is tested

    provider = make()
    provider.get_meter("scope").create_observable_gauge("level", [observe])
    attention = attended(provider, {"level": 1})
    attention.collect()
    assert read(attention) == []


def test_metrics_of_the_fleet_are_collected_every_second_and_no_others(
    make: Callable[..., MeterProvider], sink: MemorySink
) -> None:
    provider = make()
    meter = provider.get_meter("scope")
    rare = Callback(1)
    meter.create_counter("fast").add(1)
    meter.create_counter("slow").add(1)
    meter.create_observable_gauge("rare", [rare])
    attention = attended(provider, {}, "fast")
    attention.collect()
    assert [metric.name for metric in sink.telemetry().metrics] == ["fast"]
    assert (rare.calls, attention.interval_s, attention.is_needed) == (0, 1.0, True)


def test_the_collectors_thread_asks_and_collects(
    make: Callable[..., MeterProvider], sink: MemorySink
) -> None:
    provider = make()
    provider.get_meter("scope").create_counter("fast").add(1)
    attended(provider, {"fast": 1}, "fast")
    deadline = time.monotonic() + 5
    while not sink.entries and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [metric.name for metric in sink.telemetry().metrics][:1] == ["fast"]


def test_nothing_runs_where_nothing_is_needed(make: Callable[..., MeterProvider]) -> None:
    provider = make()
    provider.get_meter("scope").create_counter("a").add(1)
    attention = attended(provider, {"a": 1})
    assert attention.is_needed is False
    assert all(reference() is not attention for reference in COLLECTOR._due)


def test_without_a_sink_nothing_can_be_read() -> None:
    provider = MeterProvider(resource=Resource({}), shutdown_on_exit=False)
    assert provider.attend({"a": 1}) is None
    provider.shutdown()

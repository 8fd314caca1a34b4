"""Meter provider: the SDK's without a sink; with one, instruments that add up by themselves."""

# pyright: reportUnknownLambdaType=false

from __future__ import annotations

import math
import random
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest
from opentelemetry import metrics as api
from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics._internal import _disable_meter_configurator
from opentelemetry.sdk.metrics._internal.exemplar import SimpleFixedSizeExemplarReservoir
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import Aggregation, ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from tickspan_spool.entries import export_request

from tickspan.providers import MeterProvider
from tickspan.providers.collection import Batch
from tickspan.recording.cardinality import Cardinality
from tickspan.testing import FakeClock
from tickspan.testing.sink import MemorySink

API_AND_SDK: dict[str, tuple[type, type]] = {
    "create_counter": (api.Counter, sdk.Counter),
    "create_up_down_counter": (api.UpDownCounter, sdk.UpDownCounter),
    "create_histogram": (api.Histogram, sdk.Histogram),
    "create_gauge": (api._Gauge, sdk._Gauge),
    "create_observable_counter": (api.ObservableCounter, sdk.ObservableCounter),
    "create_observable_up_down_counter": (api.ObservableUpDownCounter, sdk.ObservableUpDownCounter),
    "create_observable_gauge": (api.ObservableGauge, sdk.ObservableGauge),
}


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def make(sink: MemorySink) -> Generator[Callable[..., MeterProvider]]:
    """Makes providers over the sink, which are shut down afterwards."""
    made: list[MeterProvider] = []

    def make_one(*arguments: Any, **options: Any) -> MeterProvider:
        options = {"resource": Resource({"a": "b"}), "shutdown_on_exit": False, "sink": sink, **options}
        made.append(MeterProvider(*arguments, **options))
        return made[-1]

    yield make_one
    for provider in made:
        provider.shutdown()


@pytest.fixture
def provider(make: Callable[..., MeterProvider]) -> MeterProvider:
    return make(clock=FakeClock(1_000, 10))


def values_of(sink: MemorySink) -> list[tuple[str, dict[str, Any], Any]]:
    """What came since the last time: name, attributes, value or count of each point."""
    told = [
        (metric.name, dict(point.attributes), point.count if point.value is None else point.value)
        for metric in sink.telemetry().metrics
        for point in metric.points
    ]
    sink.clear()
    return told


def stock_values(reader: InMemoryMetricReader) -> list[tuple[str, dict[str, Any], Any]]:
    data = reader.get_metrics_data()
    return [
        (metric.name, dict(point.attributes or {}), getattr(point, "value", getattr(point, "count", None)))
        for group in (data.resource_metrics if data else ())
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


# Without a sink


def test_without_a_sink_everything_is_the_sdks() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("scope")
    counter = meter.create_counter("orders")
    counter.add(1)
    assert (type(meter), type(counter).__module__) == (
        sdk.Meter,
        "opentelemetry.sdk.metrics._internal.instrument",
    )
    assert stock_values(reader) == [("orders", {}, 1)]
    assert (provider.collect(), provider.cardinality(), provider.force_flush()) == (True, (), True)
    provider.shutdown()


def test_no_arguments_will_do() -> None:
    provider = MeterProvider()
    provider.get_meter("scope").create_counter("orders").add(1)
    provider.shutdown()


# Instruments


@pytest.mark.parametrize("name", API_AND_SDK)
def test_an_instrument_is_one_for_whoever_asks_by_class(provider: MeterProvider, name: str) -> None:
    meter = provider.get_meter("scope")
    instrument = getattr(meter, name)("name", unit="s", description="text")
    assert isinstance(meter, sdk.Meter)
    assert isinstance(instrument, API_AND_SDK[name])
    assert (instrument.name, instrument.unit, instrument.description) == ("name", "s", "text")
    assert getattr(meter, name)("NAME", unit="s", description="text") is instrument


def test_the_meter_of_a_scope_is_always_the_same(provider: MeterProvider) -> None:
    assert provider.get_meter("scope", "1") is provider.get_meter("scope", "1")


@pytest.mark.parametrize("name", ["", None])
def test_a_meter_without_a_name_is_upstreams_silent_one(provider: MeterProvider, name: Any) -> None:
    assert isinstance(provider.get_meter(name), api.NoOpMeter)


def test_measurements_arrive_with_resource_scope_and_times(provider: MeterProvider, sink: MemorySink) -> None:
    counter = provider.get_meter("scope", "2", "https://schema", {"x": 1}).create_counter(
        "orders", "1", "placed"
    )
    counter.add(3, {"side": "buy"})
    assert provider.collect()
    (entry,) = sink.entries
    (metric,) = sink.telemetry().metrics
    (point,) = metric.points
    assert (entry.items, entry.stream.scope_schema_url, metric.resource, metric.scope) == (
        1,
        "https://schema",
        {"a": "b"},
        "scope",
    )
    assert (metric.name, metric.unit, metric.description, metric.kind) == ("orders", "1", "placed", "sum")
    assert (point.attributes, point.value, point.start_ns, point.time_ns) == (
        {"side": "buy"},
        3,
        1_000,
        1_010,
    )


def test_a_bound_series_is_the_instruments(provider: MeterProvider, sink: MemorySink) -> None:
    meter = provider.get_meter("scope")
    counter: Any = meter.create_counter("orders")
    histogram: Any = meter.create_histogram("latency")
    gauge: Any = meter.create_gauge("depth")
    attributes = {"side": "buy"}
    counter.bind(attributes).add(1)
    counter.add(2, attributes)
    histogram.bind(attributes).record(1.5)
    gauge.bind().set(4)
    provider.collect()
    assert values_of(sink) == [("orders", attributes, 3), ("latency", attributes, 1), ("depth", {}, 4)]


def test_methods_of_the_class_record_too(provider: MeterProvider, sink: MemorySink) -> None:
    counter = provider.get_meter("scope").create_counter("orders")
    type(counter).add(counter, 1, attributes={"a": 1}, context=None)
    counter.add(amount=1, attributes={"a": 1})
    provider.collect()
    assert values_of(sink) == [("orders", {"a": 1}, 2)]


def test_texts_of_a_subclass_of_str_are_texts(make: Callable[..., MeterProvider], sink: MemorySink) -> None:
    class Text(str):
        __slots__ = ()

    provider = make(views=[View(instrument_name="*", description=Text("by a view"))])
    provider.get_meter(Text("scope")).create_counter(Text("orders"), Text("s"), Text("given")).add(1)
    assert provider.collect()
    assert [(metric.description, metric.unit) for metric in sink.telemetry().metrics] == [("by a view", "s")]


def test_a_meter_that_the_configuration_disables_records_nothing_until_it_is_enabled(
    provider: MeterProvider, sink: MemorySink
) -> None:
    counter = provider.get_meter("scope").create_counter("orders")
    allowed = provider._meter_configurator
    provider._set_meter_configurator(meter_configurator=_disable_meter_configurator)
    counter.add(1)
    provider.get_meter("scope").create_counter("late").add(1)
    provider._set_meter_configurator(meter_configurator=allowed)
    counter.add(2)
    provider.collect()
    assert values_of(sink) == [("orders", {}, 2)]


def test_a_conflicting_advisory_is_upstreams_business(provider: MeterProvider, sink: MemorySink) -> None:
    meter = provider.get_meter("scope")
    first = meter.create_histogram("latency", explicit_bucket_boundaries_advisory=[1.0])
    assert meter.create_histogram("latency", explicit_bucket_boundaries_advisory=[2.0]) is first
    first.record(1)
    provider.collect()
    ((point,),) = [metric.points for metric in sink.telemetry().metrics]
    assert point.bounds == (1.0,)


@pytest.mark.parametrize("bounds", [[2.0, 1.0], [1.0, 1.0], [math.nan]])
def test_boundaries_that_do_not_rise_are_told_and_replaced(
    provider: MeterProvider, sink: MemorySink, bounds: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    histogram = provider.get_meter("scope").create_histogram(
        "latency", explicit_bucket_boundaries_advisory=bounds
    )
    histogram.record(1)
    provider.collect()
    ((point,),) = [metric.points for metric in sink.telemetry().metrics]
    assert (len(point.bounds), "expected finite numbers, each above the last" in capsys.readouterr().err) == (
        15,
        True,
    )


def test_an_unknown_aggregation_of_a_view_is_told_and_replaced(
    make: Callable[..., MeterProvider], sink: MemorySink, capsys: pytest.CaptureFixture[str]
) -> None:
    class Strange(Aggregation):
        def _create_aggregation(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

    provider = make(views=[View(instrument_name="*", aggregation=Strange())])
    provider.get_meter("scope").create_counter("orders").add(1)
    provider.collect()
    assert values_of(sink) == [("orders", {}, 1)]
    assert "aggregation Strange of a view on 'orders' is not known" in capsys.readouterr().err


# Callbacks


def test_a_callback_that_raises_is_told_and_keeps_nobody_from_being_observed(
    provider: MeterProvider, sink: MemorySink, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[int] = []

    def broken(_options: CallbackOptions) -> Iterable[Observation]:
        calls.append(1)
        yield Observation(1, {"from": "broken"})
        raise ZeroDivisionError

    meter = provider.get_meter("scope")
    meter.create_observable_gauge("depth", [broken, lambda _: [Observation(2, {"from": "sound"})]])
    for _ in range(12):
        provider.collect()
    told = values_of(sink)
    assert told[:2] == [("depth", {"from": "broken"}, 1), ("depth", {"from": "sound"}, 2)]
    assert (len(calls), len(told)) == (10, 22)
    assert capsys.readouterr().err == (
        "tickspan: callback of metric 'depth' failed with ZeroDivisionError; the application goes on\n"
        "tickspan: callback of metric 'depth' disabled after 10 errors, the last was ZeroDivisionError\n"
    )


def test_a_generator_is_sent_the_options_and_may_end(provider: MeterProvider, sink: MemorySink) -> None:
    timeouts: list[float] = []

    def twice() -> Generator[Iterable[Observation], CallbackOptions, None]:
        options = yield []
        timeouts.append(options.timeout_millis)
        options = yield [Observation(1)]
        timeouts.append(options.timeout_millis)
        yield [Observation(2)]

    provider.get_meter("scope").create_observable_counter("ticks", [twice()])
    for _ in range(4):
        provider.collect()
    assert [value for _, _, value in values_of(sink)] == [1, 2]
    assert all(0 < timeout <= 10_000 for timeout in timeouts)


@pytest.mark.parametrize(
    "answer",
    [None, 7, [None], [Observation(math.nan)], [Observation("text")], [Observation(1, {"a": [object()]})]],  # pyright: ignore[reportArgumentType] - what users do
)
def test_a_callback_may_answer_anything(
    provider: MeterProvider, sink: MemorySink, answer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = provider.get_meter("scope")
    meter.create_observable_gauge("depth", [lambda _: answer])
    meter.create_observable_gauge("other", [lambda _: [Observation(1)]])
    assert provider.collect()
    assert ("other", {}, 1) in values_of(sink)


def test_a_generator_that_fails_before_its_first_yield_is_told(
    provider: MeterProvider, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> Generator[Iterable[Observation], CallbackOptions, None]:
        raise ZeroDivisionError
        yield []

    provider.get_meter("scope").create_observable_counter("ticks", [broken()])
    assert "callback of metric 'ticks' failed with ZeroDivisionError" in capsys.readouterr().err


def test_an_endless_callback_is_cut(
    provider: MeterProvider, sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickspan.providers.instruments.MAX_OBSERVATIONS", 50)

    def endless(_options: CallbackOptions) -> Iterable[Observation]:
        while True:
            yield Observation(1)

    provider.get_meter("scope").create_observable_counter("ticks", [endless])
    provider.collect()
    assert values_of(sink) == [("ticks", {}, 50)]


def test_a_callback_that_collects_does_not_wait_for_itself(provider: MeterProvider, sink: MemorySink) -> None:
    answers: list[bool] = []

    def greedy(_options: CallbackOptions) -> Iterable[Observation]:
        answers.append(provider.collect())
        return [Observation(1)]

    provider.get_meter("scope").create_observable_gauge("depth", [greedy])
    assert (provider.collect(), answers, values_of(sink)) == (True, [False], [("depth", {}, 1)])


# Foreign readers


def test_a_foreign_reader_and_the_sink_both_get_everything(
    make: Callable[..., MeterProvider], sink: MemorySink
) -> None:
    reader = InMemoryMetricReader()
    provider = make([reader])
    meter = provider.get_meter("scope")
    counter: Any = meter.create_counter("orders")
    counter.add(1, {"a": 1})
    counter.bind({"a": 1}).add(2)
    meter.create_histogram("latency").record(1.5)
    meter.create_observable_gauge("depth", [lambda _: [Observation(7)]])
    expected = [("orders", {"a": 1}, 3), ("latency", {}, 1), ("depth", {}, 7)]
    provider.collect()
    assert (values_of(sink), stock_values(reader)) == (expected, expected)


def test_a_foreign_reader_gets_what_is_measured_while_it_is_there(
    provider: MeterProvider, sink: MemorySink
) -> None:
    counter = provider.get_meter("scope").create_counter("orders")
    add = counter.add
    reader = InMemoryMetricReader()
    add(1)
    provider.add_metric_reader(reader)
    add(10)
    seen = stock_values(reader)
    provider.remove_metric_reader(reader)
    add(100)
    provider.collect()
    assert (seen, values_of(sink)) == ([("orders", {}, 10)], [("orders", {}, 111)])


def test_what_a_foreign_reader_cannot_take_does_not_reach_the_caller(
    make: Callable[..., MeterProvider], sink: MemorySink, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = make([InMemoryMetricReader()])
    counter: Any = provider.get_meter("scope").create_counter("orders")
    counter.add("text")
    counter.add(1)
    provider.collect()
    assert values_of(sink) == [("orders", {}, 1)]
    assert "metric reader 'orders' failed with TypeError" in capsys.readouterr().err


def test_a_foreign_reader_that_fails_to_flush_costs_the_sink_nothing(
    make: Callable[..., MeterProvider], sink: MemorySink, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(InMemoryMetricReader):
        def force_flush(self, timeout_millis: float = 10_000) -> bool:
            raise ZeroDivisionError

    provider = make([Broken()])
    provider.get_meter("scope").create_counter("orders").add(1)
    assert (provider.force_flush(), values_of(sink)) == (False, [("orders", {}, 1)])


def test_the_sdks_own_metrics_are_metrics_like_others(
    make: Callable[..., MeterProvider], sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    reader = InMemoryMetricReader()
    provider = make([reader])
    stock_values(reader)
    provider.collect()
    provider.collect()
    assert [(name, value) for name, _, value in values_of(sink)] == [
        ("otel.sdk.metric_reader.collection.duration", 1)
    ] * 2


# Exemplars


@pytest.fixture
def tracer() -> trace.Tracer:
    return TracerProvider(shutdown_on_exit=False).get_tracer("test")


def exemplars_of(sink: MemorySink) -> list[tuple[float, int, list[str]]]:
    """Value, span id and attributes of each exemplar."""
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    request = ExportMetricsServiceRequest.FromString(export_request(sink.entries))
    return [
        (
            exemplar.as_double if exemplar.HasField("as_double") else exemplar.as_int,
            int.from_bytes(exemplar.span_id, "big"),
            [attribute.key for attribute in exemplar.filtered_attributes],
        )
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
        for point in getattr(metric, metric.WhichOneof("data") or "").data_points
        for exemplar in point.exemplars
    ]


def test_there_are_no_exemplars_unless_somebody_asks(
    provider: MeterProvider, sink: MemorySink, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("span"):
        provider.get_meter("scope").create_counter("orders").add(1)
    provider.collect()
    assert exemplars_of(sink) == []


def test_by_trace_those_within_a_sampled_span_are_kept(
    make: Callable[..., MeterProvider], sink: MemorySink, tracer: trace.Tracer
) -> None:
    provider = make(
        exemplar_filter=sdk.TraceBasedExemplarFilter(),
        views=[
            View(
                instrument_name="*",
                attribute_keys={"side"},
                aggregation=ExplicitBucketHistogramAggregation([1, 2]),
            )
        ],
    )
    histogram: Any = provider.get_meter("scope").create_histogram("latency")
    histogram.record(0.5)
    with tracer.start_as_current_span("span") as span:
        histogram.record(1.5, {"side": "buy", "order": "7"})
        histogram.bind({"side": "buy"}).record(9)
    provider.collect()
    span_id = span.get_span_context().span_id
    assert exemplars_of(sink) == [(1.5, span_id, ["order"]), (9, span_id, [])]


def test_the_variable_asks_too_and_nothing_is_drawn_from_the_applications_random(
    make: Callable[..., MeterProvider], sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", "always_on")
    provider = make()
    counter = provider.get_meter("scope").create_counter("orders")
    before = random.getstate()
    for _ in range(50):
        counter.add(1)
    provider.collect()
    assert (exemplars_of(sink), random.getstate() == before) == ([(1, 0, [])], True)


def test_a_views_own_reservoir_is_asked(make: Callable[..., MeterProvider], sink: MemorySink) -> None:
    made: list[Any] = []

    def factory(aggregation: type) -> Any:
        def build(**options: Any) -> SimpleFixedSizeExemplarReservoir:
            made.append((aggregation.__name__, sorted(options)))
            return SimpleFixedSizeExemplarReservoir(size=3)

        return build

    provider = make(
        exemplar_filter=sdk.AlwaysOnExemplarFilter(),
        views=[View(instrument_name="*", exemplar_reservoir_factory=factory)],
    )
    meter = provider.get_meter("scope")
    meter.create_counter("orders").add(1)
    meter.create_histogram("latency").record(1.5)
    provider.collect()
    assert (exemplars_of(sink), made) == (
        [(1, 0, []), (1.5, 0, [])],
        [("_SumAggregation", []), ("_ExplicitBucketHistogramAggregation", ["boundaries"])],
    )


def test_a_filter_that_raises_samples_nothing(
    make: Callable[..., MeterProvider], sink: MemorySink, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(sdk.ExemplarFilter):
        def should_sample(self, *_: Any, **__: Any) -> bool:
            raise ZeroDivisionError

    provider = make(exemplar_filter=Broken())
    provider.get_meter("scope").create_counter("orders").add(1)
    provider.collect()
    assert ([value for _, _, value in values_of(sink)], exemplars_of(sink)) == ([1], [])
    assert "exemplar filter" in capsys.readouterr().err


# Collection


def test_records_hold_at_most_250_points_of_one_scope(provider: MeterProvider, sink: MemorySink) -> None:
    first = provider.get_meter("first")
    counter, other = first.create_counter("wide"), first.create_counter("narrow")
    for number in range(600):
        counter.add(1, {"id": number})
    other.add(1)
    provider.get_meter("second").create_counter("alone").add(1)
    provider.collect()
    assert [entry.items for entry in sink.entries] == [250, 250, 101, 1]
    assert len(values_of(sink)) == 602


def test_metrics_share_a_record_until_it_is_big(sink: MemorySink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickspan.providers.collection.MAX_BYTES", 10)
    appended: list[tuple[bytes, int]] = []

    class Records:
        def append(self, record: bytes, items: int = 1) -> None:
            appended.append((record, items))

    batch = Batch(Records())
    for metric in (b"12345", b"678901", b"2", b"3"):
        batch.add(metric, 1)
    batch.hand_over()
    batch.hand_over()
    assert appended == [(b"12345678901", 2), (b"23", 2)]


def test_a_collection_that_is_late_keeps_the_rest_for_the_next(
    make: Callable[..., MeterProvider], sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = make()
    counter = provider.get_meter("scope").create_counter("wide")
    for number in range(600):
        counter.add(1, {"id": number})
    with monkeypatch.context() as patched:
        patched.setattr("tickspan.providers.collection.Collection.is_late", True)
        late = (provider.collect(), len(values_of(sink)))
    assert (late, provider.collect(), len(values_of(sink))) == ((False, 250), True, 600)


def test_a_collection_waits_for_another_no_longer_than_it_may(
    provider: MeterProvider, sink: MemorySink
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def slow(_options: CallbackOptions) -> Iterable[Observation]:
        begun.set()
        may_end.wait(10)
        return [Observation(1)]

    provider.get_meter("scope").create_observable_gauge("depth", [slow])
    thread = threading.Thread(target=provider.collect)
    thread.start()
    begun.wait(10)
    impatient = provider.collect(timeout_millis=1)
    may_end.set()
    thread.join()
    assert (impatient, values_of(sink)) == (False, [("depth", {}, 1)])


def test_the_report_names_who_has_too_many_attribute_sets(
    provider: MeterProvider, sink: MemorySink, capsys: pytest.CaptureFixture[str]
) -> None:
    meter = provider.get_meter("scope")
    meter.create_counter("fine").add(1, {"side": "buy"})
    wide = meter.create_counter("wide")
    for number in range(2_100):
        wide.add(1, {"order": number, "side": "buy"})
    provider.collect()
    provider.collect()
    assert provider.cardinality() == (
        Cardinality("scope", "wide", 2_001, 2_000, 100, "order", 2_000),
        Cardinality("scope", "fine", 1, 2_000, 0, "side", 1),
    )
    assert capsys.readouterr().err == (
        "tickspan: metric 'wide' of 'scope' has reached its limit of 2000 attribute sets; more are added up"
        " under otel.metric.overflow. Attribute 'order' has 2000 values\n"
    )
    overflows = [value for _, attributes, value in values_of(sink) if "otel.metric.overflow" in attributes]
    assert overflows == [100, 100]


def test_the_collector_collects_by_itself(
    make: Callable[..., MeterProvider], sink: MemorySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "10")
    provider = make()
    seen = threading.Event()

    def observed(_options: CallbackOptions) -> Iterable[Observation]:
        seen.set()
        return [Observation(1)]

    provider.get_meter("scope").create_observable_gauge("depth", [observed])
    assert seen.wait(10)
    provider.shutdown()
    assert values_of(sink)[0] == ("depth", {}, 1)


def test_a_changed_resource_is_told_from_then_on(provider: MeterProvider, sink: MemorySink) -> None:
    provider.get_meter("scope").create_counter("orders").add(1)
    provider.collect()
    provider._update_resource(Resource({"c": "d"}))
    provider.collect()
    assert [metric.resource for metric in sink.telemetry().metrics] == [{"a": "b"}, {"a": "b", "c": "d"}]


# The end


def test_shutdown_collects_a_last_time_and_ends_recording(provider: MeterProvider, sink: MemorySink) -> None:
    counter = provider.get_meter("scope").create_counter("orders")
    counter.add(1)
    provider.shutdown()
    counter.add(10)
    provider.collect()
    assert values_of(sink) == [("orders", {}, 1)] * 2
    assert isinstance(provider.get_meter("scope"), api.NoOpMeter)


def test_closing_collects_a_last_time_and_recording_goes_on(
    provider: MeterProvider, sink: MemorySink
) -> None:
    counter = provider.get_meter("scope").create_counter("orders")
    counter.add(1)
    provider.close()
    counter.add(10)
    first = values_of(sink)
    provider.collect()
    assert (first, values_of(sink)) == ([("orders", {}, 1)], [("orders", {}, 11)])


def test_force_flush_collects_and_flushes_the_sink(provider: MeterProvider, sink: MemorySink) -> None:
    provider.get_meter("scope").create_counter("orders").add(1)
    assert (provider.force_flush(), values_of(sink)) == (True, [("orders", {}, 1)])


def test_a_sink_that_does_not_get_rid_of_it_in_time_is_no_flush(make: Callable[..., MeterProvider]) -> None:
    class Stuck(MemorySink):
        def force_flush(self, timeout_s: float) -> bool:
            return False

    assert not make(sink=Stuck()).force_flush()


def test_recording_needs_no_sdk_measurement() -> None:
    """What makes it fast: the class that the SDK makes for each measurement is not touched."""
    sink = MemorySink()
    provider = MeterProvider(sink=sink, shutdown_on_exit=False)
    counter = provider.get_meter("scope").create_counter("orders")
    counter.add(1, {"a": 1})
    entered: list[str] = []

    def note(frame: Any, event: str, _argument: Any) -> None:
        if event == "call":
            entered.append(frame.f_globals["__name__"])

    sys.setprofile(note)
    counter.add(1, {"a": 1})
    sys.setprofile(None)
    provider.shutdown()
    assert {name for name in entered if name.startswith("opentelemetry")} == set()

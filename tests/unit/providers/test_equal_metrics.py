"""The same program on our meter provider and on the stock SDK: equal messages on the wire, not similar."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from opentelemetry import metrics as api
from opentelemetry.exporter.otlp.proto.common._internal.metrics_encoder import OTLPMetricExporterMixin
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.sdk import metrics as sdk
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import (
    DefaultAggregation,
    DropAggregation,
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    LastValueAggregation,
    SumAggregation,
    View,
)
from opentelemetry.sdk.resources import Resource
from tickspan_spool.entries import export_request

from tickspan.providers import MeterProvider
from tickspan.testing.sink import MemorySink

RESOURCE = Resource({"service.name": "bot", "n": 1, "tags": ["a", "b"]}, "https://schema/1")
KINDS = ("counter", "up_down", "histogram", "gauge", "o_counter", "o_up_down", "o_gauge")
METHODS = {"counter": "add", "up_down": "add", "histogram": "record", "gauge": "set"}
CLASSES: Mapping[str, type] = {
    "counter": sdk.Counter,
    "up_down": sdk.UpDownCounter,
    "histogram": sdk.Histogram,
    "o_counter": sdk.ObservableCounter,
    "o_gauge": sdk.ObservableGauge,
}


@dataclass(frozen=True)
class Measure:
    instrument: int
    value: float
    attributes: dict[str, Any] | None


@dataclass(frozen=True)
class Collect:
    observed: Mapping[int, Sequence[tuple[float, dict[str, Any]]]]
    """By instrument."""


@dataclass(frozen=True)
class Program:
    """What a test does on both sides. A view is a tuple of arguments, since each side has its own objects."""

    kinds: Sequence[str]
    views: Sequence[dict[str, Any]]
    temporality: str
    aggregation: str
    steps: Sequence[Measure | Collect]
    scopes: int = 2

    @property
    def environment(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": self.temporality,
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": self.aggregation,
        }


@pytest.fixture(autouse=True, scope="module")
def _silence() -> Generator[None]:
    """The SDK tells of each measurement that it refuses."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


def run(program: Program, provider: sdk.MeterProvider, collect: Callable[[], bytes]) -> list[bytes]:
    """The messages of each collection."""
    observed: dict[int, Sequence[tuple[float, dict[str, Any]]]] = {}
    instruments = [
        _create(
            provider.get_meter(f"scope{number % program.scopes}", "1", "https://scope", {"s": 1}),
            kind,
            number,
            observed,
        )
        for number, kind in enumerate(program.kinds)
    ]
    messages: list[bytes] = []
    for step in program.steps:
        if isinstance(step, Collect):
            observed.clear()
            observed.update(step.observed)
            messages.append(collect())
        else:
            method = METHODS.get(program.kinds[step.instrument])
            if method is not None:
                getattr(instruments[step.instrument], method)(step.value, step.attributes)
    return messages


def _create(
    meter: api.Meter, kind: str, number: int, observed: dict[int, Sequence[tuple[float, dict[str, Any]]]]
) -> Any:
    def callback(_options: CallbackOptions) -> list[Observation]:
        return [Observation(value, attributes) for value, attributes in observed.get(number, ())]

    name = f"{kind}.{number}"
    make: Mapping[str, Callable[[], Any]] = {
        "counter": lambda: meter.create_counter(name, "1", "a counter"),
        "up_down": lambda: meter.create_up_down_counter(name),
        "histogram": lambda: meter.create_histogram(
            name, "s", explicit_bucket_boundaries_advisory=[-1.5, 0, 2, 100.25] if number % 2 else None
        ),
        "gauge": lambda: meter.create_gauge(name, "By"),
        "o_counter": lambda: meter.create_observable_counter(name, [callback]),
        "o_up_down": lambda: meter.create_observable_up_down_counter(name, [callback]),
        "o_gauge": lambda: meter.create_observable_gauge(name, [callback]),
    }
    return make[kind]()


def ours(program: Program) -> list[bytes]:
    sink = MemorySink()
    provider = MeterProvider(
        resource=RESOURCE, shutdown_on_exit=False, views=[View(**view) for view in program.views], sink=sink
    )

    def collect() -> bytes:
        sink.entries.clear()
        assert provider.collect()
        return export_request(sink.entries)

    return run(program, provider, collect)


@contextmanager
def lost_sdk_rejected() -> Generator[None]:
    """After an interval of zeros the SDK's own merge may raise: there is nothing to compare with."""
    try:
        yield
    except Exception as error:
        if str(error) != "Incorrect merge scale":
            raise
        reject()


def stock(program: Program) -> list[bytes]:
    exporter = OTLPMetricExporterMixin()
    reader = InMemoryMetricReader(exporter._get_temporality({}), exporter._get_aggregation({}))
    provider = sdk.MeterProvider(
        [reader], RESOURCE, shutdown_on_exit=False, views=[View(**view) for view in program.views]
    )

    def collect() -> bytes:
        with lost_sdk_rejected():
            data = reader.get_metrics_data()
        return b"" if data is None else encode_metrics(data).SerializeToString()

    return run(program, provider, collect)


@dataclass
class Reader:
    """Messages as values: times by what they mean, metrics by name, buckets without empty margins."""

    scale_of: Callable[[str, int], int] = lambda _series, own: own
    times: list[int] = field(default_factory=list[int])
    scales: dict[str, int] = field(default_factory=dict[str, int])

    def read(self, messages: Sequence[bytes]) -> list[Any]:
        return [self._collection(number, message) for number, message in enumerate(messages)]

    def _collection(self, number: int, message: bytes) -> Any:
        request = ExportMetricsServiceRequest.FromString(message)
        self.number = number
        self.time: int | None = None
        told = [
            (
                group.resource.SerializeToString(),
                group.schema_url,
                sorted(
                    (scope.scope.SerializeToString(), scope.schema_url, self._metrics(scope.metrics))
                    for scope in group.scope_metrics
                ),
            )
            for group in request.resource_metrics
        ]
        self.times.append(-number - 1 if self.time is None else self.time)
        return told

    def _metrics(self, metrics: Sequence[Metric]) -> list[Any]:
        named: dict[str, list[Metric]] = {}
        for metric in metrics:
            named.setdefault(metric.name, []).append(metric)  # views may give several the same name
        told = (self._metric(metric, place) for same in named.values() for place, metric in enumerate(same))
        return sorted(told, key=repr)

    def _metric(self, metric: Metric, place: int) -> Any:
        kind = metric.WhichOneof("data")
        assert kind is not None
        data: Any = getattr(metric, kind)
        points = [
            self._point(f"{metric.name} {place} {number}", point)
            for number, point in enumerate(data.data_points)
        ]
        del data.data_points[:]
        return (metric.name, metric.SerializeToString(deterministic=True), points)

    def _point(self, series: str, point: Any) -> Any:
        assert self.time is None or self.time == point.time_unix_nano
        assert point.start_time_unix_nano <= point.time_unix_nano
        self.time = point.time_unix_nano
        start = point.start_time_unix_nano
        point.time_unix_nano = 0
        point.start_time_unix_nano = 0
        buckets = None
        if "scale" in point.DESCRIPTOR.fields_by_name:
            buckets = self._buckets(f"{self.number} {series}", point)
            point.ClearField("scale")
            point.ClearField("positive")
            point.ClearField("negative")
        if "min" in point.DESCRIPTOR.fields_by_name and point.min > point.max:
            point.ClearField("min")  # the SDK writes infinities for a view that asks for no extremes
            point.ClearField("max")
        born = "never" if start == 0 else self.times.index(start) if start in self.times else "own"
        return (born, str(point), buckets)

    def _buckets(self, series: str, point: Any) -> Any:
        self.scales[series] = point.scale
        scale = self.scale_of(series, point.scale)
        steps = point.scale - scale
        assert steps >= 0
        return (scale, _collapsed(point.positive, steps), _collapsed(point.negative, steps))


def _collapsed(buckets: Any, steps: int) -> dict[int, int]:
    assert len(buckets.bucket_counts) <= 160
    counts: dict[int, int] = {}
    for place, count in enumerate(buckets.bucket_counts):
        index = (buckets.offset + place) >> steps
        counts[index] = counts.get(index, 0) + count
    return {index: count for index, count in counts.items() if count}


def assert_equal(program: Program) -> None:
    """Our buckets may be finer than the SDK's, whose scale an interval of zeros spoils: they collapse."""
    with mock.patch.dict(os.environ, program.environment):
        expected, found = Reader(), stock(program)
        told = expected.read(found)
        mine = Reader(scale_of=lambda series, own: min(own, expected.scales.get(series, own)))
        assert mine.read(ours(program)) == told


texts = st.sampled_from(["buy", "sell", "", "ü€"])
values = st.one_of(
    texts,
    st.booleans(),
    st.integers(-1, 2),
    st.sampled_from([0.0, 1.0, 2.5]),
    st.lists(texts, max_size=2),
    st.lists(st.integers(0, 1), max_size=2),
    st.just((True, False)),
)
attributes = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["side", "venue", "n"]), values, max_size=3)
)
numbers = st.one_of(
    st.integers(-3, 20),
    st.integers(-(2**40), 2**40),
    st.floats(-1e6, 1e6, allow_nan=False),
    st.sampled_from([float("nan"), float("inf"), 0.0, 5e-324, 1e-300, 1e300, 2.0**-3, 1024.0]),
)
finite = st.one_of(st.integers(-5, 2**40), st.floats(-1e6, 1e6, allow_nan=False))
bounds = st.sampled_from([None, (), (1,), (-2.5, 0, 10), (0.1, 0.2, 0.3)])
aggregations = st.one_of(
    st.none(),
    st.builds(DefaultAggregation),
    st.builds(DropAggregation),
    st.builds(SumAggregation),
    st.builds(LastValueAggregation),
    st.builds(ExplicitBucketHistogramAggregation, bounds, st.booleans()),
)
exponentials = st.builds(
    ExponentialBucketHistogramAggregation,
    st.sampled_from([2, 5, 160]),
    st.sampled_from([20, 3, 0, -2]),
    st.booleans(),
)


@st.composite
def views(draw: st.DrawFn, kinds: Sequence[str]) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(CLASSES)))
    arguments: dict[str, Any] = {
        "attribute_keys": draw(st.sampled_from([None, {"side"}, {"side", "n"}, set[str]()])),
        "description": draw(st.sampled_from([None, "told by a view"])),
    }
    if kind in {"counter", "histogram"} and draw(st.booleans()):
        return {**arguments, "instrument_type": CLASSES[kind], "aggregation": draw(exponentials)}
    arguments["aggregation"] = draw(aggregations)
    how = draw(st.integers(0, 3))
    if how == 0:
        return {**arguments, "instrument_type": CLASSES[kind]}
    if how == 1:
        return {**arguments, "instrument_name": draw(st.sampled_from(["*", "c*", "*GAUGE*", "?*.1"]))}
    if how == 2:
        return {
            **arguments,
            "meter_name": "scope1",
            "instrument_unit": draw(st.sampled_from([None, "s", ""])),
        }
    number = draw(st.integers(0, len(kinds) - 1))
    return {
        **arguments,
        "instrument_name": f"{kinds[number]}.{number}",
        "name": draw(st.sampled_from([None, "renamed"])),
    }


@st.composite
def programs(draw: st.DrawFn) -> Program:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    which = st.integers(0, len(kinds) - 1)
    observed = st.dictionaries(
        which, st.lists(st.tuples(finite, attributes.map(lambda given: given or {})), max_size=3)
    )
    steps = st.one_of(
        st.builds(Measure, which, numbers, attributes),
        st.builds(Measure, which, numbers, attributes),
        st.builds(Measure, which, numbers, attributes),
        st.builds(Collect, observed),
    )
    return Program(
        kinds,
        draw(st.lists(views(kinds), max_size=2)),
        draw(st.sampled_from(["cumulative", "delta", "lowmemory"])),
        draw(st.sampled_from(["explicit_bucket_histogram", "base2_exponential_bucket_histogram"])),
        [*draw(st.lists(steps, max_size=25)), Collect(draw(observed))],
    )


@settings(max_examples=400, deadline=None)
@given(programs())
def test_a_program_of_metrics_is_the_sdks_on_the_wire(program: Program) -> None:
    assert_equal(program)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["cumulative", "delta"]),
    st.lists(
        st.lists(
            st.one_of(
                st.floats(min_value=5e-324, max_value=1.7e308),
                st.integers(1, 10**9),
                st.integers(-1000, 1000).map(lambda power: 2.0**power),
            ),
            min_size=1,
            max_size=40,
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([2, 3, 10, 160]),
)
def test_exponential_buckets_are_the_sdks_one_by_one(
    temporality: str, intervals: list[list[float]], size: int
) -> None:
    steps: list[Measure | Collect] = []
    for interval in intervals:
        steps += [Measure(0, value, None) for value in interval]
        steps.append(Collect({}))
    views = [{"instrument_name": "*", "aggregation": ExponentialBucketHistogramAggregation(size)}]
    program = Program(["histogram"], views, temporality, "explicit_bucket_histogram", steps)
    with mock.patch.dict(os.environ, program.environment):
        assert Reader().read(ours(program)) == Reader().read(stock(program))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=30), min_size=1, max_size=3)
)
def test_exponential_buckets_of_negative_numbers_are_the_sdks(intervals: list[list[float]]) -> None:
    steps: list[Measure | Collect] = []
    for interval in intervals:
        steps += [Measure(0, value, None) for value in interval]
    steps.append(Collect({}))
    views = [{"instrument_name": "*", "aggregation": ExponentialBucketHistogramAggregation()}]
    assert_equal(Program(["up_down"], views, "cumulative", "explicit_bucket_histogram", steps))


def test_exponential_buckets_survive_an_interval_of_zeros_in_which_the_sdk_is_lost() -> None:
    steps = [Measure(0, 0, None), Collect({}), Measure(0, 1000.0, None), Measure(0, -7.5, None), Collect({})]
    views = [{"instrument_name": "*", "aggregation": ExponentialBucketHistogramAggregation()}]
    messages = ours(Program(["up_down"], views, "cumulative", "explicit_bucket_histogram", steps))
    request = ExportMetricsServiceRequest.FromString(messages[1])
    ((metric,),) = [scope.metrics for group in request.resource_metrics for scope in group.scope_metrics]
    (point,) = metric.exponential_histogram.data_points
    assert (point.count, point.zero_count, point.sum, point.scale, point.min, point.max) == (
        3,
        1,
        992.5,
        20,
        -7.5,
        1000.0,
    )
    assert (list(point.positive.bucket_counts), list(point.negative.bucket_counts)) == ([1], [1])

"""Export requests as rules read them: values, kinds, senders, and points that come by parts."""

from __future__ import annotations

from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from tickspan.alerts.otlp import MetricReader, occurrences_of, readings_of
from tickspan.analysis.rules.model import Signal
from tickspan.analysis.rules.readings import (
    ExplicitBuckets,
    ExponentialBuckets,
    HistogramPoint,
    Occurrence,
    PointKind,
    Sender,
    Worst,
)

DELTA, CUMULATIVE = 1, 2
S = 10**9


def metrics(**attributes: str) -> tuple[Any, Any]:
    """A request, and its scope for metrics."""
    request = ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    for name, value in {"service.name": "bot", "service.instance.id": "one", **attributes}.items():
        group.resource.attributes.add(key=name).value.string_value = value
    return request, group.scope_metrics.add()


def counter(value: int, at_s: int, temporality: int = CUMULATIVE, start_s: int = 100) -> Any:
    request, scope = metrics()
    metric = scope.metrics.add(name="orders")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = temporality, True
    metric.sum.data_points.add(
        as_int=value, time_unix_nano=at_s * S, start_time_unix_nano=start_s * S
    ).attributes.add(key="side").value.string_value = "buy"
    return request


def test_a_counter_is_read_with_its_sender_start_and_attributes():
    (reading,) = readings_of(counter(7, 120))
    assert (reading.metric, reading.kind, reading.value, reading.start_s) == (
        "orders",
        PointKind.COUNTER,
        7.0,
        100.0,
    )
    assert dict(reading.attributes) == {"side": "buy"}
    assert (reading.sender.job, reading.sender.instance) == ("bot", "one")


def test_parts_of_a_counter_are_added_up_since_the_first_of_them():
    reader = MetricReader()
    parts = [(5, 110, 100), (2, 120, 110), (4, 130, 120)]
    found = [
        (timed.time_s, timed.reading.value, timed.reading.start_s)
        for value, at_s, start_s in parts
        for timed in reader.read(counter(value, at_s, DELTA, start_s), 0.0)
    ]
    assert found == [(110.0, 5.0, 100.0), (120.0, 7.0, 100.0), (130.0, 11.0, 100.0)]


def test_a_request_that_is_repeated_counts_once():
    reader = MetricReader()
    request = counter(5, 110, DELTA)
    assert [len(list(reader.read(request, 0.0))) for _ in range(2)] == [1, 0]


def test_a_series_is_known_by_its_resource_however_that_is_ordered():
    reader = MetricReader(most_series=1)
    one, scope = metrics(zone="a")
    other, _ = metrics(zone="a")
    attributes = list(other.resource_metrics[0].resource.attributes)
    del other.resource_metrics[0].resource.attributes[:]
    other.resource_metrics[0].resource.attributes.extend(reversed(attributes))
    for request, at_s in ((one, 1), (other, 2)):
        metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="cash")
        metric.gauge.data_points.add(as_double=at_s, time_unix_nano=at_s * S)
    del scope
    senders = [timed.reading.sender for request in (one, other) for timed in reader.read(request, 0.0)]
    assert len(senders) == 2
    assert senders[0] is senders[1]
    assert reader.refused == 0


def test_series_are_bounded_and_what_is_too_much_is_counted():
    reader = MetricReader(most_series=2)
    request, scope = metrics()
    metric = scope.metrics.add(name="cash")
    for number in range(5):
        point = metric.gauge.data_points.add(as_double=number, time_unix_nano=S)
        point.attributes.add(key="book").value.int_value = number
    assert [timed.reading.value for timed in reader.read(request, 0.0)] == [0.0, 1.0]
    assert (reader.series, reader.refused) == (2, 3)
    reader.forget(901.0)
    assert (reader.series, len(list(reader.read(request, 901.0)))) == (0, 2)


def test_what_goes_up_and_down_is_a_gauge():
    request, scope = metrics()
    metric = scope.metrics.add(name="open")
    metric.sum.aggregation_temporality = CUMULATIVE
    metric.sum.data_points.add(as_int=3, time_unix_nano=S)
    assert [(one.kind, one.value) for one in readings_of(request)] == [(PointKind.GAUGE, 3.0)]


def histogram(at_s: int, counts: list[int], temporality: int = DELTA) -> Any:
    request, scope = metrics()
    metric = scope.metrics.add(name="wait")
    metric.histogram.aggregation_temporality = temporality
    metric.histogram.data_points.add(
        count=sum(counts),
        sum=float(sum(counts)),
        explicit_bounds=[0.1, 1.0],
        bucket_counts=counts,
        time_unix_nano=at_s * S,
    )
    return request


def test_parts_of_a_histogram_are_added_up_bucket_by_bucket():
    reader = MetricReader()
    parts = ((1, [1, 2, 0]), (2, [0, 1, 4]))
    found = [
        timed.reading.value for at_s, counts in parts for timed in reader.read(histogram(at_s, counts), 0.0)
    ]
    bounds = (0.1, 1.0)
    assert found == [
        HistogramPoint(3, 3.0, ExplicitBuckets(bounds, (1, 2, 0))),
        HistogramPoint(8, 8.0, ExplicitBuckets(bounds, (1, 3, 4))),
    ]


def exponential(at_s: int, scale: int, offset: int, counts: list[int]) -> Any:
    request, scope = metrics()
    metric = scope.metrics.add(name="wait")
    metric.exponential_histogram.aggregation_temporality = DELTA
    point = metric.exponential_histogram.data_points.add(
        count=sum(counts), scale=scale, time_unix_nano=at_s * S
    )
    point.positive.offset = offset
    point.positive.bucket_counts.extend(counts)
    return request


def test_parts_of_two_scales_are_added_up_at_the_coarser_one():
    reader = MetricReader()
    parts = (exponential(1, 1, -1, [1, 2, 4, 8]), exponential(2, 0, 0, [16, 32]))
    found = [timed.reading.value for part in parts for timed in reader.read(part, 0.0)]
    assert found == [
        HistogramPoint(15, 0.0, ExponentialBuckets(1, 0, {-1: 1, 0: 2, 1: 4, 2: 8}, {})),
        HistogramPoint(63, 0.0, ExponentialBuckets(0, 0, {-1: 1, 0: 22, 1: 40}, {})),
    ]


def test_the_largest_exemplar_with_a_trace_is_the_worst_measurement():
    request = histogram(1, [3, 0, 0])
    point = request.resource_metrics[0].scope_metrics[0].metrics[0].histogram.data_points[0]
    point.exemplars.add(as_double=9.0)
    point.exemplars.add(as_double=0.5, trace_id=b"\1" * 16, span_id=b"\2" * 8)
    point.exemplars.add(as_double=0.7, trace_id=b"\3" * 16, span_id=b"\4" * 8)
    assert [one.worst for one in readings_of(request)] == [Worst(0.7, "03" * 16, "04" * 8)]


def test_points_without_a_value_and_summaries_are_left_out():
    request, scope = metrics()
    scope.metrics.add(name="cash").gauge.data_points.add(flags=1, time_unix_nano=S)
    scope.metrics.add(name="old").summary.data_points.add(count=1, time_unix_nano=S)
    scope.metrics.add(name="empty")
    assert list(readings_of(request)) == []


def test_only_metrics_that_are_asked_for_are_read():
    reader = MetricReader(is_wanted=lambda name: name == "other")
    assert list(reader.read(counter(1, 1), 0.0)) == []
    assert reader.series == 0


def test_spans_and_log_events_are_occurrences():
    spans = ExportTraceServiceRequest()
    group = spans.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "bot"
    span = group.scope_spans.add().spans.add(
        name="submit",
        trace_id=b"\1" * 16,
        span_id=b"\2" * 8,
        start_time_unix_nano=S,
        end_time_unix_nano=S + S // 4,
    )
    span.status.code = Status.STATUS_CODE_ERROR
    span.attributes.add(key="retries").value.int_value = 3
    span.attributes.add(key="path").value.array_value.values.add().string_value = "x"
    group.scope_spans[0].spans.add(name="other")
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add(event_name="halt")
    bot = Sender.of({"service.name": "bot"})
    assert list(occurrences_of(spans, {"submit"})) == [
        Occurrence(bot, Signal.SPAN, "submit", {"retries": 3}, "error", 0.25, "01" * 16, "02" * 8)
    ]
    assert list(occurrences_of(logs)) == [Occurrence(Sender.of({}), Signal.LOG, "halt", {})]

"""What is kept of log records, orders and metrics, and what a search finds of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from tickspan_desk.store import LogFilter, OrderEntry, Store, Window

from tickspan.received import decode_logs, decode_metrics
from tickspan.semconv.trading import (
    EVENT_ORDER_ACK,
    EVENT_ORDER_FILL,
    INSTRUMENT_SYMBOL,
    ORDER_CLIENT_ID,
    ORDER_ORIGINAL_CLIENT_ID,
    ORDER_SIDE,
    ORDER_STATUS,
    ORDER_VENUE_ID,
    SPAN_ORDER,
    SPAN_ORDER_EVENT,
    SPAN_ORDER_LIFECYCLE,
    VENUE_NAME,
)

ONE, TWO = "01" * 16, "02" * 16
EVERYTHING = Window(0, 1 << 62)


def some_logs(requests: Any) -> list[Any]:
    noon = requests.noon_ns
    return [
        requests.logs(
            {"body": "Order accepted", "event": EVENT_ORDER_ACK, "trace": ONE},
            {"body": "slow venue", "severity": 13, "attributes": {VENUE_NAME: "binance"}},
        ),
        requests.logs({"body": "ORDER lost", "severity": 17, "time": noon + 1}, service="keeper"),
        requests.logs({"body": "Zu spät", "severity": 17, "time": 0, "attributes": {"code": 404}}),
    ]


@pytest.mark.parametrize(
    ("wanted", "bodies"),
    [
        (LogFilter(), ["Zu spät", "ORDER lost", "slow venue", "Order accepted"]),
        (LogFilter(service="keeper"), ["ORDER lost"]),
        (LogFilter(min_severity=13), ["Zu spät", "ORDER lost", "slow venue"]),
        (LogFilter(event=EVENT_ORDER_ACK), ["Order accepted"]),
        (LogFilter(text="order"), ["ORDER lost", "Order accepted"]),
        (LogFilter(text="SPÄT"), ["Zu spät"]),
        (LogFilter(trace_id=ONE), ["Order accepted"]),
        (LogFilter(trace_id="no id"), []),
        (LogFilter(attribute=f"{VENUE_NAME}=binance"), ["slow venue"]),
        (LogFilter(attribute="code=404"), ["Zu spät"]),
        (LogFilter(attribute="404", min_severity=18), []),
    ],
)
def test_a_filter_lets_through_records_that_are_so(
    kept: Callable[..., Store], requests: Any, wanted: LogFilter, bodies: list[str]
) -> None:
    entries = kept(*some_logs(requests)).logs(wanted, EVERYTHING)
    assert [entry.record.body for entry in entries] == bodies


def test_records_are_those_that_came_and_are_paged_by_number(
    kept: Callable[..., Store], requests: Any
) -> None:
    batches = some_logs(requests)
    every = [record for batch in batches for record in decode_logs(batch.message)]
    store, told, before = kept(*batches), list[Any](), 0
    for _ in range(4):
        entry = store.logs(LogFilter(), EVERYTHING, limit=1, before=before)[0]
        before = entry.number
        told.append(entry.record)
    assert told == every[::-1]


def test_the_latest_events_are_those_of_the_names(kept: Callable[..., Store], requests: Any) -> None:
    store = kept(*some_logs(requests), requests.logs({"event": EVENT_ORDER_FILL, "body": "filled"}))
    found = store.latest([EVENT_ORDER_ACK, EVENT_ORDER_FILL], EVERYTHING)
    assert [entry.record.body for entry in found] == ["filled", "Order accepted"]


def order_of(**changed: Any) -> dict[str, str]:
    told = {VENUE_NAME: "binance", INSTRUMENT_SYMBOL: "BTC/USDT", ORDER_SIDE: "buy", **changed}
    return {key: value for key, value in told.items() if value}


def an_order(requests: Any, name: str = "c-1", venue_id: str = "77", at_ns: int = 0) -> list[Any]:
    start, named = requests.noon_ns + at_ns, {ORDER_CLIENT_ID: name, ORDER_VENUE_ID: venue_id}
    return [
        requests.logs(
            {"time": start, "trace": ONE, "attributes": order_of(**{ORDER_CLIENT_ID: name})},
            {"time": start + 5, "trace": ONE, "attributes": order_of(**named, **{ORDER_STATUS: "new"})},
        ),
        requests.spans(
            {
                "name": f"{SPAN_ORDER_EVENT} filled",
                "trace": TWO,
                "start": start + 8,
                "end": start + 9,
                "attributes": order_of(**{ORDER_VENUE_ID: venue_id, ORDER_STATUS: "filled"}),
            }
        ),
        requests.spans(
            {
                "name": f"{SPAN_ORDER}.submit binance",
                "start": start,
                "end": start + 12,
                "attributes": order_of(**named, **{ORDER_STATUS: "new"}),
            }
        ),
    ]


def test_an_order_is_one_whoever_tells_of_it(kept: Callable[..., Store], requests: Any) -> None:
    noon = requests.noon_ns
    store = kept(*an_order(requests))
    whole = OrderEntry(
        "c-1",
        ("77",),
        "binance",
        "BTC/USDT",
        "buy",
        "filled",
        "bot",
        noon,
        noon + 12,
        ONE,
        (ONE, TWO),
    )
    assert [store.order("c-1"), store.order("77"), store.order("78")] == [whole, whole, None]
    assert [store.orders(EVERYTHING, text) for text in ("", "-1", "buy", "new")] == [
        [whole],
        [whole],
        [whole],
        [],
    ]


def test_its_lifecycle_is_where_an_orders_story_is(kept: Callable[..., Store], requests: Any) -> None:
    life = requests.spans(
        {
            "trace": TWO,
            "name": SPAN_ORDER_LIFECYCLE,
            "attributes": order_of(**{ORDER_CLIENT_ID: "c-1"}),
        }
    )
    entry = kept(*an_order(requests), life).order("c-1")
    assert entry is not None
    assert entry.trace_id == TWO


def test_a_venue_that_numbers_anew_makes_no_two_orders_one(kept: Callable[..., Store], requests: Any) -> None:
    store = kept(*an_order(requests), *an_order(requests, name="c-2", at_ns=100))
    assert [(entry.order_id, entry.other_ids) for entry in store.orders(EVERYTHING)] == [
        ("c-2", ("77",)),
        ("c-1", ("77",)),
    ]
    newest = store.order("77")
    assert newest is not None
    assert newest.order_id == "c-2"


def test_an_order_that_was_known_by_its_venues_id_alone_gets_its_name(
    kept: Callable[..., Store], requests: Any
) -> None:
    early, late = an_order(requests)[1], an_order(requests)[2]
    assert [entry.order_id for entry in kept(early).orders(EVERYTHING)] == ["77"]
    assert [(entry.order_id, entry.status) for entry in kept(late).orders(EVERYTHING)] == [("c-1", "filled")]


def test_a_replaced_order_is_found_by_both_names(kept: Callable[..., Store], requests: Any) -> None:
    store = kept(
        requests.logs({"attributes": order_of(**{ORDER_CLIENT_ID: "c-1"})}),
        requests.logs({"attributes": order_of(**{ORDER_CLIENT_ID: "c-2"})}),
        requests.logs({"attributes": order_of(**{ORDER_CLIENT_ID: "c-2", ORDER_ORIGINAL_CLIENT_ID: "c-1"})}),
    )
    assert [(entry.order_id, entry.other_ids) for entry in store.orders(EVERYTHING)] == [("c-1", ("c-2",))]


def test_a_series_is_one_whatever_requests_its_points_came_in(
    kept: Callable[..., Store], requests: Any
) -> None:
    noon = requests.noon_ns
    store = kept(
        requests.gauge("lag", (noon + 2, 2.0), channel="user"),
        requests.gauge("lag", (noon + 1, float("nan")), (noon + 3, float("inf")), channel="user"),
        requests.gauge("lag", (noon, 9.0), channel="trades"),
    )
    assert store.metric_names() == [("lag", "ms", "gauge", 2)]
    series = store.series("lag", Window(noon, noon + 3), {"channel": "user"})
    assert [
        (
            one.name,
            one.unit,
            one.description,
            dict(one.attributes),
            [str(point.value) for point in one.points],
        )
        for one in series
    ] == [("lag", "ms", "How long.", {"channel": "user"}, ["nan", "2.0"])]
    assert store.services() == ["bot"]


def test_distributions_keep_every_bucket(kept: Callable[..., Store], requests: Any) -> None:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    plain = metrics.add(name="plain").histogram
    plain.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
    plain.data_points.add(
        count=3, sum=1.5, min=0.1, max=1, explicit_bounds=[0.5], bucket_counts=[2, 1], time_unix_nano=5
    )
    powers = metrics.add(name="powers").exponential_histogram
    powers.aggregation_temporality = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    point = powers.data_points.add(
        count=4, sum=2, scale=3, zero_count=1, time_unix_nano=5, attributes=requests.pairs({"a": "b"})
    )
    point.positive.offset = -2
    point.positive.bucket_counts.extend([1, 2])
    summary = metrics.add(name="summary").summary
    summary.data_points.add(count=2, sum=3.0, time_unix_nano=5)
    store = kept(requests.batch(request, 3))
    for metric in decode_metrics(request):
        series = store.series(metric.name, EVERYTHING)
        assert [(one.kind, one.temporality, one.points) for one in series] == [
            (metric.kind, metric.temporality, metric.points)
        ]


def test_a_search_finds_ids_names_and_values_best_first(kept: Callable[..., Store], requests: Any) -> None:
    store = kept(*an_order(requests), requests.gauge("lag", (1, 1.0)))
    assert [
        [(match.kind, match.path.partition("#")[0]) for match in store.search(text, EVERYTHING)]
        for text in (TWO, "c-1", "lag", f"{SPAN_ORDER_EVENT} filled", f"{ORDER_STATUS}=filled", "nothing")
    ] == [
        [("trace", f"/traces/{TWO}")],
        [("order", "/orders/c-1"), ("span", f"/traces/{ONE}")]
        + [("log", f"/logs/{1 << 24 | place}") for place in (1, 0)],
        [("metric", "/metrics/lag")],
        [("operation", "/operations?service=bot"), ("span", f"/traces/{TWO}")],
        [("span", f"/traces/{TWO}")],
        [],
    ]

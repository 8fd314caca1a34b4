"""Rows of orders, operations, records and matches, as values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from order_words import EPOCH_NS, MS, TRACE, at, log, named, one_order, order_entry, span
from tickspan_desk.store import LogEntry, LogFilter, Match, Operation, Window
from tickspan_desk.views.logs import Attribute, Bucket, Record, logs_of, record_of
from tickspan_desk.views.operations import Example, OperationRow, Operations, operations_of
from tickspan_desk.views.orders import OrderRow, Orders, orders_of
from tickspan_desk.views.records import SEVERITIES, address, severity_of, trace_path
from tickspan_desk.views.search import Group, exact_of, found_of

from tickspan.semconv import common, trading

MINUTE = 60_000_000_000
INFO = severity_of(9)


def test_orders_have_their_durations_in_a_row() -> None:
    shown = [order_entry("c-1", "v-1"), order_entry("c/2", status="rejected", trace_ids=())]
    counted = [*shown, order_entry("c-3", status="unknown")]
    assert orders_of(shown, counted, {TRACE: one_order()}, "BTC/USDT", counted_up_to=9) == Orders(
        rows=(
            OrderRow(
                "c-1", "sim", "BTC/USDT", "buy", "filled", "ok", "bot", at(10),
                10 * MS, 20 * MS, 10 * MS, 20 * MS, 50 * MS, 40 * MS, 1, "/orders/c-1",
            ),
            OrderRow(
                "c/2", "sim", "BTC/USDT", "buy", "rejected", "bad", "bot", at(10),
                None, None, None, None, None, None, 0, "/orders/c%2F2",
            ),
        ),
        found=3,
        filled=1,
        rejected=1,
        unknown=1,
        tick_to_ack_ns=40 * MS,
        measured=1,
        text="BTC/USDT",
        has_any=True,
        counted_up_to=9,
    )  # fmt: skip


def test_two_orders_of_one_trace_have_their_own_durations() -> None:
    submit = {trading.ORDER_OPERATION: "submit"}
    life = {trading.LATENCY_DECISION_TO_WIRE: 0.5}
    other = [
        span(20, f"{trading.SPAN_ORDER}.submit sim", 0, 9, 1, attributes=named("c-2", more=submit)),
        span(21, trading.SPAN_ORDER_LIFECYCLE, 0, 9, 20, attributes=named("c-2", more=life)),
    ]
    entries = [order_entry("c-1", "v-1"), order_entry("c-2")]
    rows = orders_of(entries, entries, {TRACE: [*one_order(), *other]}).rows
    assert [row.submit_ns for row in rows] == [20 * MS, 500 * MS]


def operation(name: str, calls: int, errors: int = 0, p50: int = 1, **known: Any) -> Operation:
    quantiles: Mapping[float, int] = {0.5: p50, 0.99: known.get("p99", 2), 0.999: 3}
    minutes = known.get("minutes", ((0, 0, 0), (calls, errors, 2)))
    return Operation("bot", name, "client", calls, errors, quantiles, minutes, ((9, TRACE), (8, "ab")))


def test_operations_have_rates_since_the_first_call_and_lead_to_their_traces() -> None:
    window = Window(EPOCH_NS // MINUTE * MINUTE, EPOCH_NS // MINUTE * MINUTE + 2 * MINUTE)
    found = operations_of(
        [operation("GET <x>", 120, 6)], window, ("bot", "web"), "bot", "calls", {"range": "900", "since": ""}
    )
    assert found == Operations(
        rows=(
            OperationRow(
                "bot", "GET <x>", "client", 120, 2.0, 6, 0.05, 1, 2, 3, (0, 120), (0, 6), (0, 2),
                (Example(9, f"/traces/{TRACE}"), Example(8, "/traces/ab")),
                f"/traces/{TRACE}",
                "/traces?name=GET+%3Cx%3E&service=bot&range=900",
            ),
        ),
        calls=120,
        errors=6,
        services=("bot", "web"),
        service="bot",
        sort="calls",
        left_out=0,
    )  # fmt: skip


def test_rates_of_a_window_that_is_longer_than_its_minutes_are_of_these() -> None:
    found = operations_of([operation("a", 60)], Window(0, EPOCH_NS // MINUTE * MINUTE))
    assert found.rows[0].rate == 1.0


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("time", "bac"),
        ("name", "abc"),
        ("calls", "cba"),
        ("errors", "abc"),
        ("p50", "abc"),
        ("p99", "cba"),
        ("nonsense", "bac"),
    ],
)
def test_operations_are_sorted_by_a_column(sort: str, names: str) -> None:
    given = [
        operation("a", 1, 1, p50=100, p99=200),
        operation("b", 50, p50=10, p99=300),
        operation("c", 90, p50=1, p99=400),
    ]
    found = operations_of(given, Window(0, MINUTE), sort=sort)
    assert "".join(row.name for row in found.rows) == names


def test_a_record_is_told_with_the_way_to_its_span() -> None:
    entry = LogEntry(
        7, log(1, "e", "hello", 13, within=2, attributes=named(more={common.ERROR_TYPE: ("a", 1)}))
    )
    assert record_of(entry) == Record(
        7, at(1), severity_of(13), "", "bot", "7", "e", "tests", "hello", "", 5,
        (Attribute(common.ERROR_TYPE, '["a", 1]'), Attribute(trading.ORDER_CLIENT_ID, "c-1")),
        (),
        TRACE,
        f"{2:016x}",
        trace_path(TRACE, f"{2:016x}"),
        "/logs/7",
        "/orders/c-1",
        "",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("length", "shown", "whole"),
    [
        (240, "x" * 240, ""),
        (241, "x" * 240 + "… (1 more)", "x" * 241),
        (4001, "x" * 240 + "… (3,761 more)", ""),
    ],
)
def test_a_long_body_is_cut_and_may_be_seen_whole(length: int, shown: str, whole: str) -> None:
    entry = LogEntry(7, log(1, body="x" * length))
    record = record_of(entry)
    assert (record.body, record.whole, record.length) == (shown, whole, length)
    assert record_of(entry, is_whole=True).body == "x" * length


def test_records_are_counted_over_time_by_severity() -> None:
    records = [log(0, severity=9), log(30_000, severity=17), log(59_999, severity=21), log(59_999)]
    entries = [LogEntry(number, record) for number, record in enumerate(records, 1)]
    wanted = LogFilter(service="bot", min_severity=9)
    found = logs_of(entries, entries, wanted, Window(EPOCH_NS, EPOCH_NS + MINUTE), has_older=True)
    second = MINUTE // 60
    link = "/logs?service=bot&severity=info&since={}&until={}"
    assert [bucket for bucket in found.buckets if any(bucket.counts)] == [
        Bucket(
            EPOCH_NS + at_s * second,
            EPOCH_NS + (at_s + 1) * second,
            counts,
            link.format(EPOCH_NS + at_s * second, EPOCH_NS + (at_s + 1) * second),
        )
        for at_s, counts in (
            (0, (0, 0, 0, 1, 0, 0, 0)),
            (30, (0, 1, 0, 0, 0, 0, 0)),
            (59, (1, 0, 0, 1, 0, 0, 0)),
        )
    ]
    assert (len(found.buckets), found.totals, found.before) == (60, (1, 1, 0, 2, 0, 0, 0), 4)


def test_when_only_the_newest_are_counted_the_picture_begins_with_the_oldest_of_them() -> None:
    entries = [LogEntry(1, log(30_000)), LogEntry(2, log(40_000))]
    found = logs_of((), entries, LogFilter(), Window(0, EPOCH_NS + MINUTE), counted_up_to=2)
    assert (found.buckets[0].since_ns, found.before) == (at(30_000), 0)


def test_severities_have_words_and_signs() -> None:
    words = [severity_of(number).word for number in (24, 21, 17, 13, 9, 5, 1, 0, -3)]
    assert words == [
        "fatal",
        "fatal",
        "error",
        "warn",
        "info",
        "debug",
        "trace",
        "unspecified",
        "unspecified",
    ]
    assert all(severity.sign for severity in SEVERITIES)


ORDER = Match("order", "c-1", "filled", "/orders/c-1", 5)
SPAN = Match("span", "GET", "bot", "/traces/ab#span-cd", 6)


def test_what_was_found_is_told_by_kind() -> None:
    odd = Match("curve", "c", "", "/c", 1)
    window = Window(0, 9)
    found = found_of("x", None, [SPAN, odd, ORDER], window, 3, 3)
    assert found.groups == (
        Group("order", "Orders", (ORDER,)),
        Group("span", "Spans", (SPAN,)),
        Group("other", "Others", (odd,)),
    )
    assert (found.count, found.is_cut, found.window, found.kept_since_ns) == (3, True, window, 3)


def test_an_order_with_that_id_is_the_exact_hit() -> None:
    exact = exact_of("v-1", order_entry("c/1", "v-1"), [SPAN])
    assert exact == Match("order", "c/1", "buy BTC/USDT filled", "/orders/c%2F1", at(10))


def test_a_trace_or_span_with_that_id_is_the_exact_hit() -> None:
    trace = Match("trace", "tick", "", f"/traces/{TRACE}", 1)
    assert exact_of(TRACE.upper(), None, [SPAN, trace]) == trace
    assert exact_of("00000000000000cd", None, [SPAN]) == SPAN
    assert exact_of("GET", None, [SPAN, trace]) is None
    assert exact_of("00000000000000cd", None, [SPAN, SPAN]) is None


def test_addresses_leave_out_what_is_empty() -> None:
    assert address("/logs", {"a": "", "b": "x&y", "c": 0, "d": None}) == "/logs?b=x%26y"
    assert address("/logs", {}) == "/logs"

"""Transactions that arrived are compared with those that were recorded."""

from __future__ import annotations

from dataclasses import replace

from opentelemetry.trace import SpanKind

from tickspan.cli.bench.timing import Timing
from tickspan.cli.bench.transactions import NAMES, NUMBER, Told, differing, figure
from tickspan.received import ReceivedSpan, ReceivedStatus


def span(trace: str, number: int, name: str, parent: str | None) -> ReceivedSpan:
    return ReceivedSpan(
        name=name,
        kind=SpanKind.INTERNAL,
        trace_id=trace,
        span_id=f"{trace}-{name}",
        parent_span_id=parent,
        start_ns=1,
        end_ns=2,
        attributes={NUMBER: number} if parent is None else {},
        events=(),
        links=(),
        status=ReceivedStatus(),
        scope="bench",
        resource={},
    )


def transaction(number: int, trace: str = "") -> list[ReceivedSpan]:
    trace = trace or f"t{number}"
    root, *inner = NAMES
    return [
        span(trace, number, root, None),
        *(span(trace, number, name, f"{trace}-{root}") for name in inner),
    ]


def test_all_that_was_recorded_has_arrived():
    assert differing([*transaction(1), *transaction(0)], 2) == 0


def test_a_missing_transaction_differs():
    assert differing(transaction(0), 2) == 1


def test_a_transaction_that_misses_a_span_differs_and_is_none():
    assert differing([*transaction(0), *transaction(1)[:2]], 2) == 2


def test_a_transaction_that_arrived_twice_differs():
    assert differing([*transaction(0), *transaction(0, "again")], 1) == 1


def test_a_span_under_another_parent_differs():
    root, first, second = transaction(0)
    assert differing([root, first, replace(second, parent_span_id=first.span_id)], 1) == 2


def test_what_nobody_recorded_differs():
    assert differing([*transaction(0), *transaction(7)], 1) == 1


def test_the_target_is_of_latency_and_rate():
    told = Told(Timing(1_000, 20_000.0, 0.00002, 0.0001), 1_000, 0.5, is_delivered=True)
    slow = replace(told, timing=replace(told.timing, p99_s=0.002))
    few = replace(told, timing=replace(told.timing, per_second=9_999.0))
    assert [figure(one).is_met for one in (told, slow, few)] == [True, False, False]
    assert "took 0.5 s, 2,000 a second" in figure(told).limit

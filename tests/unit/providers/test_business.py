"""Metrics by name and in one call: what arrives, and what is ignored and counted."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tickspan.providers import MeterProvider
from tickspan.providers.business import MOST_WAITING, Business
from tickspan.recording import diagnostics
from tickspan.testing.sink import MemorySink


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def provider(sink: MemorySink) -> MeterProvider:
    return MeterProvider(sink=sink, shutdown_on_exit=False)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What tickspan says on its own logger."""
    said: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    handler = Keeper()
    diagnostics.addHandler(handler)
    yield said
    diagnostics.removeHandler(handler)


@pytest.fixture
def business(provider: MeterProvider) -> Business:
    return Business(lambda: provider)


def told(provider: MeterProvider, sink: MemorySink) -> dict[tuple[str, str, str], Any]:
    """(name, kind, unit) to the points: attributes and value, or count and sum."""
    sink.entries.clear()
    provider.collect()
    return {
        (metric.name, metric.kind, metric.unit): [
            (dict(point.attributes), point.value if point.value is not None else (point.count, point.sum))
            for point in metric.points
        ]
        for metric in sink.telemetry().metrics
    }


def test_each_kind_becomes_what_it_says(
    provider: MeterProvider, sink: MemorySink, business: Business
) -> None:
    for _ in range(2):
        business.record("desk.trades", 3, "rate", "{trade}", {"book": "eq"})
        business.record("desk.orders", 1, "counter")
        business.record("desk.pnl", -12.5, unit="USD")
        business.record("desk.latency", 0.02, "histogram", "s")
    assert told(provider, sink) == {
        ("desk.trades", "sum", "{trade}"): [({"book": "eq"}, 6)],
        ("desk.orders", "sum", ""): [({}, 2)],
        ("desk.pnl", "gauge", "USD"): [({}, -12.5)],
        ("desk.latency", "histogram", "s"): [({}, (2, 0.04))],
    }


def test_a_name_with_two_kinds_is_told_once_and_both_are_kept(
    provider: MeterProvider, sink: MemorySink, business: Business, warnings: list[str]
) -> None:
    for _ in range(3):
        business.record("desk.x", 2, "counter", "{trade}")
        business.record("desk.x", 5, "gauge")
        business.record("desk.x", 7, "counter", "By")
    assert told(provider, sink) == {
        ("desk.x", "sum", "{trade}"): [({}, 6)],
        ("desk.x", "gauge", ""): [({}, 5)],
        ("desk.x", "sum", "By"): [({}, 21)],
    }
    assert warnings == [
        (
            "metric 'desk.x' is a counter of unit '{trade}' and also a gauge of unit ''; both are kept, under"
            " one name"
        )
    ]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("counter", math.nan, "not_a_number"),
        ("gauge", math.nan, "not_a_number"),
        ("histogram", math.inf, "not_a_number"),
        ("gauge", "12", "not_a_number"),
        ("gauge", None, "not_a_number"),
        ("counter", -1, "negative"),
        ("rate", -0.5, "negative"),
    ],
)
def test_what_is_no_measurement_is_ignored_and_counted(
    provider: MeterProvider, sink: MemorySink, business: Business, kind: Any, value: Any, reason: str
) -> None:
    business.record("desk.x", value, kind)
    assert told(provider, sink) == {
        ("tickspan.measurements.ignored", "sum", "{measurement}"): [
            ({"tickspan.metric.name": "desk.x", "tickspan.ignored.reason": reason}, 1)
        ]
    }


def test_a_histogram_takes_what_is_negative(
    provider: MeterProvider, sink: MemorySink, business: Business
) -> None:
    business.record("desk.profit", -3, "histogram", "USD")
    assert "tickspan.measurements.ignored" not in {name for name, _, _ in told(provider, sink)}


def test_decimals_and_attributes_that_are_lists_are_taken(
    provider: MeterProvider, sink: MemorySink, business: Business
) -> None:
    business.record("desk.x", Decimal("1.5"), "counter", attributes={"legs": ["a", "b"]})  # pyright: ignore[reportArgumentType] - what programs do
    business.record("desk.x", Decimal(2), "counter", attributes={"legs": ["a", "b"]})  # pyright: ignore[reportArgumentType] - the same
    assert told(provider, sink) == {("desk.x", "sum", ""): [({"legs": ("a", "b")}, 3.5)]}


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("no name", "gauge", "metric 'no' cannot be the name or unit of a metric: Exception"),
        ("x", "gague", "metric 'x' expected a kind of counter, rate, gauge, histogram, got 'gague'; ignored"),
    ],
)
def test_a_mistake_of_the_program_is_told_once_and_raises_nothing(
    provider: MeterProvider,
    sink: MemorySink,
    business: Business,
    warnings: list[str],
    name: str,
    kind: Any,
    said: str,
) -> None:
    business.record(name, 1, kind)
    business.record(name, 1, kind)
    assert (told(provider, sink), warnings) == ({}, [said])


def test_what_is_measured_before_telemetry_runs_is_not_lost(
    provider: MeterProvider, sink: MemorySink
) -> None:
    found: list[MeterProvider] = []
    business = Business(lambda: found[0] if found else None)
    business.record("desk.trades", 2, "counter")
    business.record("desk.pnl", 7)
    found.append(provider)
    business.flush()
    business.record("desk.trades", 3, "counter")
    assert told(provider, sink) == {
        ("desk.trades", "sum", ""): [({}, 5)],
        ("desk.pnl", "gauge", ""): [({}, 7)],
    }


def test_what_waits_is_bounded() -> None:
    business = Business(lambda: None)
    for number in range(MOST_WAITING + 5):
        business.record("desk.x", number)
    assert repr(business) == f"<Business 0 metrics, {MOST_WAITING} measurements wait>"


def test_a_second_measurement_of_a_series_finds_it_at_hand(business: Business) -> None:
    business.record("desk.x", 1, attributes={"book": "eq"})
    at_hand = dict(business._series)
    business.record("desk.x", 2, attributes={"book": "eq"})
    assert business._series == at_hand
    assert len(at_hand) == 1


def test_the_facade_offers_it() -> None:
    import tickspan
    from tickspan.providers.business import record_metric

    assert tickspan.record_metric is record_metric

"""How often a planted fault was told, out of telemetry."""

from __future__ import annotations

from typing import Any

import pytest

from tickspan.demo.signals import Signal, tell
from tickspan.received import ReceivedLog, ReceivedMetric, ReceivedPoint, Telemetry


def event(name: str, **attributes: Any) -> ReceivedLog:
    return ReceivedLog(
        body=None,
        severity_number=13,
        severity_text="WARN",
        event_name=name,
        time_ns=1,
        observed_ns=1,
        attributes={f"trading.{key.replace('__', '.')}": value for key, value in attributes.items()},
        trace_id=None,
        span_id=None,
        scope="tickspan_ccxt",
        resource={},
    )


def counter(name: str, *values: float, channel: str = "ticker") -> ReceivedMetric:
    """A cumulative counter, exported once for each value."""
    points = tuple(
        ReceivedPoint({"trading.feed.channel": channel}, 0, time_ns, value)
        for time_ns, value in enumerate(values, 1)
    )
    return ReceivedMetric(
        name=name,
        unit="1",
        description="",
        kind="sum",
        temporality="cumulative",
        is_monotonic=True,
        points=points,
        scope="tickspan_ccxt",
        resource={},
    )


def outcome(signal: Signal, telemetry: Telemetry, *planted: Signal) -> tuple[int, int, bool]:
    told = next(one for one in tell(planted, telemetry) if one.signal is signal)
    return told.planted, told.told, told.is_right


def test_every_signal_has_its_way_to_be_told():
    assert [one.signal for one in tell((), Telemetry())] == list(Signal)


@pytest.mark.parametrize(("events", "is_right"), [(0, False), (1, True), (2, False)])
def test_an_event_must_come_as_often_as_its_fault(events: int, *, is_right: bool):
    logs = (event("trading.order.unsafe_retry"),) * events
    assert outcome(Signal.UNSAFE_RETRY, Telemetry(logs=logs), Signal.UNSAFE_RETRY) == (1, events, is_right)


def test_what_was_not_planted_is_never_right():
    assert outcome(Signal.GAP, Telemetry()) == (0, 0, False)


def test_one_events_reasons_are_signals_of_their_own():
    logs = (
        event("trading.feed.stale", feed__stale_reason="silent", feed__channel="ticker"),
        event("trading.feed.stale", feed__stale_reason="decision", feed__channel="ticker"),
    )
    told = [outcome(one, Telemetry(logs=logs), one) for one in (Signal.MUTE, Signal.STALE_DECISION)]
    assert told == [(1, 1, True), (1, 1, True)]


def test_a_counters_newest_value_counts_of_the_channel_that_is_meant():
    metrics = (
        counter("trading.feed.conflated", 3, 7),
        counter("trading.feed.conflated", 5, channel="trades"),
    )
    assert outcome(Signal.CONFLATED, Telemetry(metrics=metrics), Signal.CONFLATED) == (1, 7, True)

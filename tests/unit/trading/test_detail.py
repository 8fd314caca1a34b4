"""Full detail: each message that reaches its consumer is a span."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tickspan.testing.capture import Capture
from tickspan.trading import TickKind, TickRef, detail

SLOT = TickRef.__dict__["delivered_ns"]


@pytest.fixture
def _full(telemetry: Capture) -> Iterator[None]:
    stop = detail.trace_every_tick(telemetry.tracer_provider.get_tracer("desk"))
    yield
    stop()


@pytest.mark.usefixtures("_full")
def test_a_tick_that_nothing_follows_is_a_span_from_receipt_to_delivery(telemetry: Capture) -> None:
    tick = TickRef("house", 1_000, instrument="BTC/USDT", channel="trades")
    tick.delivered_ns = 3_500
    (span,) = telemetry.spans()
    assert (span.name, span.end_ns - span.start_ns) == ("trading.feed.message", 2_500)
    assert tick.delivered_ns == 3_500
    assert tick.span_context is not None


@pytest.mark.usefixtures("_full")
def test_a_tick_is_told_once(telemetry: Capture) -> None:
    tick = TickRef("house", 1_000)
    tick.delivered_ns = 2_000
    tick.delivered_ns = 3_000
    assert len(telemetry.spans()) == 1


@pytest.mark.usefixtures("_full")
def test_reports_of_orders_are_told_as_such_only(telemetry: Capture) -> None:
    TickRef("house", 1_000, kind=TickKind.ORDER).delivered_ns = 2_000
    assert telemetry.spans() == []


def test_without_it_a_tick_is_a_slot(telemetry: Capture) -> None:
    TickRef("house", 1_000).delivered_ns = 2_000
    assert telemetry.spans() == []
    assert TickRef.__dict__["delivered_ns"] is SLOT

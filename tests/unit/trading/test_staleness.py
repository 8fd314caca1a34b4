"""Orders that were decided on old data."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tickspan.config import TradingSettings
from tickspan.instrumentation import Workbench
from tickspan.testing.capture import Capture
from tickspan.trading import OrderOperation, OrderRequest, TickKind, TickRef, orders_of, tick_scope
from tickspan.trading.staleness import stale_age_s

SECOND = 1_000_000_000
NOW = 1_000 * SECOND
SETTINGS = TradingSettings(stale_decision_s=1.0)


class Stream:
    """A stream that says how long it has been silent."""

    def __init__(self, silence_ns: int | None) -> None:
        self._silence_ns = silence_ns

    def delivered(self, queued_ns: int) -> None:
        raise AssertionError("nobody asks it to count")

    def silence_ns(self, now_ns: int) -> int | None:
        assert now_ns == NOW
        return self._silence_ns


def tick(age_s: float, kind: TickKind = TickKind.MARKET, feed: Stream | None = None) -> TickRef:
    return TickRef("sim", NOW - round(age_s * SECOND), channel="trades", kind=kind, feed=feed)


@pytest.mark.parametrize(
    ("data", "age_s"),
    [
        pytest.param(None, None, id="no data"),
        pytest.param(tick(0.9), None, id="young"),
        pytest.param(tick(1.1), 1.1, id="old"),
        pytest.param(tick(1.1, TickKind.POLL), 1.1, id="old, and asked for"),
        pytest.param(tick(60, TickKind.ORDER), None, id="a fill"),
        pytest.param(tick(0.5, feed=Stream(None)), None, id="young, of a living stream"),
        pytest.param(tick(0.5, feed=Stream(7 * SECOND)), 7.0, id="young, of a silent stream"),
    ],
)
def test_data_is_too_old_by_its_age_or_by_its_streams_silence(
    data: TickRef | None, age_s: float | None
) -> None:
    assert stale_age_s(data, NOW, SETTINGS) == age_s


@pytest.fixture
def bench(telemetry: Capture) -> Generator[Workbench]:
    made = Workbench(
        "test",
        telemetry.tracer_provider.get_tracer("test"),
        telemetry.meter_provider.get_meter("test"),
        telemetry.logger_provider.get_logger("test"),
        {"lifecycle_delay_s": 3600},
    )
    yield made
    made.undo()


@pytest.mark.parametrize(("age_s", "told"), [(0.2, 0), (2.0, 1)])
def test_an_order_on_old_data_says_so_on_its_span_and_beside_it(
    bench: Workbench, telemetry: Capture, age_s: float, told: int
) -> None:
    orders = orders_of(bench)
    received_ns = orders.clock.monotonic_ns() - round(age_s * SECOND)
    with tick_scope(TickRef("sim", received_ns, channel="trades")):
        orders.begin(OrderRequest(OrderOperation.SUBMIT, "sim", "test")).acknowledge()
    (submit,) = [span for span in telemetry.spans() if span.name.startswith("trading.order.submit")]
    events = telemetry.events("trading.feed.stale")
    assert len(events) == told
    assert ("trading.feed.age" in submit.attributes) is bool(told)
    assert [event.span_id for event in events] == [submit.span_id] * told
    assert [event.attributes["trading.feed.stale_reason"] for event in events] == ["decision"] * told

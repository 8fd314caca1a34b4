"""What a program says itself; the helpers use the global providers, which a test replaces."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import pytest
from opentelemetry import metrics, trace

from tickspan.testing.capture import Capture
from tickspan.trading import (
    OrderCall,
    OrderOperation,
    OrderRequest,
    Point,
    TickRef,
    decision,
    manual,
    order_span,
    own_orders,
    risk_check,
    strategy,
    tick_scope,
    transaction,
)

REQUEST = OrderRequest(OrderOperation.SUBMIT, "house", "own code", client_id="c-1")


@pytest.fixture(autouse=True)
def _global(telemetry: Capture, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    def tracer(name: str) -> trace.Tracer:
        return telemetry.tracer_provider.get_tracer(name)

    def meter(name: str) -> metrics.Meter:
        return telemetry.meter_provider.get_meter(name)

    monkeypatch.setattr(manual.trace, "get_tracer", tracer)
    monkeypatch.setattr(manual.metrics, "get_meter", meter)
    own_orders.cache_clear()
    yield
    own_orders().close()
    own_orders.cache_clear()


def test_a_decision_without_an_order_leaves_nothing(telemetry: Capture) -> None:
    with decision("rebalance"):
        pass
    assert telemetry.spans() == []


def test_a_decision_is_told_once_above_its_orders(telemetry: Capture) -> None:
    with decision("rebalance", strategy="mm-1"):
        for _ in range(2):
            with order_span(REQUEST):
                pass
    assert telemetry.tree() == "rebalance\n  trading.order.submit house\n  trading.order.submit house"
    assert {span.attributes["trading.strategy.id"] for span in telemetry.spans()} == {"mm-1"}


def test_a_decision_that_is_kept_is_always_a_span(telemetry: Capture) -> None:
    with decision("look", keep=True):
        pass
    assert telemetry.tree() == "look"


def test_a_decision_within_a_tick_replaces_the_automatic_one(telemetry: Capture) -> None:
    now_ns = own_orders().clock.monotonic_ns()
    with tick_scope(TickRef("house", now_ns)), decision("quote"), order_span(REQUEST):
        pass
    assert telemetry.tree() == "trading.feed.message\n  quote\n    trading.order.submit house"


def test_decorated_functions_keep_their_results_and_kinds(telemetry: Capture) -> None:
    @decision("plan", keep=True)
    def plan(size: int) -> int:
        return 2 * size

    @transaction("settle", book="eu")
    async def settle(size: int) -> int:
        return 3 * size

    assert (plan(2), plan(3), asyncio.run(settle(2))) == (4, 6, 6)
    assert [span.name for span in telemetry.spans()] == ["plan", "plan", "settle"]
    assert telemetry.spans()[2].attributes == {"book": "eu"}


def test_a_check_rejects_by_false_by_word_and_by_exception(telemetry: Capture) -> None:
    @risk_check("size")
    def small(size: int) -> bool:
        return size < 10

    @risk_check("credit", reject_on=(PermissionError,))
    def credit() -> None:
        raise PermissionError

    assert (small(5), small(50)) == (True, False)
    with pytest.raises(PermissionError):
        credit()
    with risk_check("word") as check:
        check.reject()
    outcomes = [span.attributes["trading.risk.check.outcome"] for span in telemetry.spans()]
    assert outcomes == ["pass", "reject", "reject", "reject"]
    assert {span.status for span in telemetry.spans()} == {"unset"}


def test_another_exception_in_a_check_is_an_error_without_its_text(telemetry: Capture) -> None:
    with pytest.raises(KeyError), risk_check("limits"):
        raise KeyError("the key of account DU123")
    (span,) = telemetry.spans()
    assert (span.name, span.status, span.attributes["error.type"]) == (
        "trading.risk.check limits",
        "error",
        "KeyError",
    )
    assert "DU123" not in repr(span)


def test_a_strategy_names_the_orders_of_its_context(telemetry: Capture) -> None:
    with strategy("mm-1"), order_span(REQUEST):
        pass
    with order_span(REQUEST):
        pass
    named = [span.attributes.get("trading.strategy.id") for span in telemetry.spans()]
    assert named == ["mm-1", None]


def test_an_order_of_ones_own_fails_with_its_block(telemetry: Capture) -> None:
    with pytest.raises(OSError, match="gone"), order_span(REQUEST):
        raise OSError("gone")
    with pytest.raises(OSError, match="gone"), order_span(REQUEST) as call:
        lose(call)
    assert [span.attributes["trading.order.status"] for span in telemetry.spans()] == ["rejected", "unknown"]


def lose(call: OrderCall) -> None:
    """The connection breaks after the order was sent."""
    call.mark(Point.SENT)
    raise OSError("gone")


def test_wrong_use_fails_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="risk_check: name must be a non-empty str, got None"):
        risk_check(None)  # pyright: ignore[reportArgumentType] - the point of the test

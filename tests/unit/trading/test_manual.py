"""What a program says itself; the helpers use the global providers, which a test replaces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

import pytest
from opentelemetry import _logs, metrics, trace

from tickspan.testing.capture import Capture
from tickspan.trading import (
    OrderCall,
    OrderOperation,
    OrderRequest,
    Point,
    TickRef,
    annotate_order,
    decision,
    kill_switch,
    manual,
    order_span,
    own_orders,
    record_slippage,
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

    def logger(name: str) -> _logs.Logger:
        return telemetry.logger_provider.get_logger(name)

    monkeypatch.setattr(manual.trace, "get_tracer", tracer)
    monkeypatch.setattr(manual.metrics, "get_meter", meter)
    monkeypatch.setattr(manual._logs, "get_logger", logger)
    manual.forget_providers()
    yield
    own_orders().close()
    manual.forget_providers()


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


def lose_after_a_warning(call: OrderCall) -> None:
    """A check says no, the program sends the order all the same, and loses it."""
    with risk_check("size") as check:
        check.reject()
    lose(call)


def test_wrong_use_fails_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="risk_check: name must be a non-empty str, got None"):
        risk_check(None)  # pyright: ignore[reportArgumentType] - the point of the test


def test_the_time_of_a_check_is_measured_by_its_name_and_outcome(telemetry: Capture) -> None:
    with strategy("mm-1"), risk_check("size") as check:
        check.reject()
    (point,) = telemetry.points("trading.risk.check.duration")
    assert (dict(point.attributes), point.count) == (
        {
            "trading.risk.check.name": "size",
            "trading.risk.check.outcome": "reject",
            "trading.strategy.id": "mm-1",
        },
        1,
    )


class TooBigError(Exception):
    """What a check of the program's own raises."""


def test_an_order_that_a_check_inside_its_call_refuses_is_refused_by_the_client(telemetry: Capture) -> None:
    with pytest.raises(TooBigError), order_span(REQUEST), risk_check("size", reject_on=(TooBigError,)):
        raise TooBigError
    submit = next(span for span in telemetry.spans() if span.kind == "client")
    assert submit.attributes["trading.order.status"] == "rejected"
    assert submit.attributes["trading.order.reject.origin"] == "client_risk"
    assert submit.attributes["trading.order.reject.reason"] == "risk"
    assert submit.attributes["trading.order.reject.code"] == "size"
    (point,) = telemetry.points("trading.order.rejects")
    assert point.attributes["trading.order.reject.origin"] == "client_risk"


def test_an_order_that_fails_after_it_was_sent_is_not_the_checks_doing(telemetry: Capture) -> None:
    with pytest.raises(OSError, match="gone"), order_span(REQUEST) as call:
        lose_after_a_warning(call)
    submit = next(span for span in telemetry.spans() if span.kind == "client")
    assert submit.attributes["trading.order.status"] == "unknown"


def test_what_is_said_of_an_order_stands_on_its_span(telemetry: Capture) -> None:
    annotate_order(signal="breakout", score=3)
    annotate_order(score=4)
    with order_span(REQUEST):
        annotate_order(late=True)
    with order_span(REQUEST):
        pass
    first, second = (span.attributes for span in telemetry.spans())
    assert (first["signal"], first["score"], first["late"]) == ("breakout", 4, True)
    assert {"signal", "score", "late"} & second.keys() == set()


def test_a_cancel_does_not_take_what_is_said_of_the_next_order(telemetry: Capture) -> None:
    annotate_order(signal="breakout")
    with order_span(OrderRequest(OrderOperation.CANCEL, "house", "own code", venue_id="v-1")):
        pass
    with order_span(REQUEST):
        pass
    assert [span.attributes.get("signal") for span in telemetry.spans()] == [None, "breakout"]


def test_what_is_said_of_an_order_tells_no_price_and_no_odd_object(telemetry: Capture) -> None:
    annotate_order(**{"trading.order.price": "50000"}, model=object())
    with order_span(REQUEST):
        pass
    (submit,) = telemetry.spans()
    assert "trading.order.price" not in submit.attributes
    assert isinstance(submit.attributes["model"], str)


def test_a_kill_switch_is_an_event_in_the_trace_that_pulled_it(telemetry: Capture) -> None:
    with strategy("mm-1"), transaction("guard"):
        kill_switch("drawdown above 5 %")
    (event,) = telemetry.events()
    (span,) = telemetry.spans()
    assert (event.name, event.severity, event.span_id) == ("trading.kill_switch", "WARN", span.span_id)
    assert event.attributes == {
        "trading.kill_switch.reason": "drawdown above 5 %",
        "trading.strategy.id": "mm-1",
    }
    assert event.body == "Trading is stopped: drawdown above 5 %"


def test_slippage_counts_for_the_venue_of_the_order_or_of_the_tick(telemetry: Capture) -> None:
    with order_span(REQUEST):
        record_slippage(2.5, benchmark="arrival")
    with tick_scope(TickRef("other", 1)):
        record_slippage(-1, benchmark="arrival")
    record_slippage(float("nan"), benchmark="arrival")
    told = [
        (point.attributes["trading.venue.name"], point.attributes["trading.slippage.direction"], point.value)
        for point in telemetry.points("trading.slippage")
    ]
    assert told == [("house", "adverse", 2.5), ("other", "favorable", 1)]


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (annotate_order, "annotate_order: needs at least one attribute, got none"),
        (lambda: kill_switch(""), "kill_switch: reason must be a non-empty str, got ''"),
        (
            lambda: record_slippage(1, benchmark=""),
            "record_slippage: benchmark must be a non-empty str, got ''",
        ),
        (lambda: strategy(""), "strategy: name must be a non-empty str, got ''"),
    ],
    ids=["annotate_order", "kill_switch", "record_slippage", "strategy"],
)
def test_wrong_use_of_a_helper_fails_where_it_is_written(use: Callable[[], object], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        use()

"""Switching off: what hangs on kernels comes off, and a program goes on as if we had never been there."""

from __future__ import annotations

from typing import Any

import pytest
from tickspan.recording import strict
from tickspan.testing.capture import Capture
from tickspan.trading import current_tick
from tickspan_nautilus import NautilusInstrumentor

pytestmark = pytest.mark.filterwarnings("ignore:.*utcnow is deprecated")


def test_a_node_trades_on_after_undo_and_its_engines_have_their_endpoints_back(
    told: Capture, bot: Any
) -> None:
    async def trade(session: Any) -> None:
        await session.trade("OrderFilled")
        NautilusInstrumentor().uninstrument()
        told.clear()
        await session.trade("OrderFilled")
        kernel = session.node.kernel
        engines = {"RiskEngine": kernel.risk_engine, "ExecEngine": kernel.exec_engine}
        for endpoint in kernel.msgbus.endpoints():
            engine, _, method = endpoint.partition(".")
            if engine in engines:
                handler = getattr(engines[engine], method)
                kernel.msgbus.deregister(endpoint, handler)  # raises if another handler is there
                kernel.msgbus.register(endpoint, handler)
        topics = [subscription.topic for subscription in kernel.msgbus.subscriptions()]
        assert ("data.*" in topics, max(s.priority for s in kernel.msgbus.subscriptions())) == (False, 10)
        assert [name for name in vars(kernel) if "tickspan" in name] == []
        assert [name for name in vars(kernel.exec_engine) if "tickspan" in name] == []

    bot.run({1: bot.buy, 2: bot.buy}, trade)
    assert (bot.spans(), current_tick()) == ([], None)


def test_orders_under_way_at_undo_are_told_as_unanswered(told: Capture, bot: Any) -> None:
    async def nothing(venue: Any, command: Any) -> None:
        venue.submitted(command.order)

    async def trade(session: Any) -> None:
        await session.trade("OrderSubmitted")
        NautilusInstrumentor().uninstrument()

    bot.run({1: bot.buy}, trade, {"SubmitOrder": nothing})
    [submit] = bot.named("trading.order.submit")
    assert submit.attributes["error.type"] == "unanswered"


def test_an_engine_that_was_made_before_runs_untold_after_undo(told: Capture, lab: Any) -> None:
    engine = lab.engine(lab.strategy(40), lab.quotes(200))
    NautilusInstrumentor().uninstrument()
    engine.run()
    assert len(lab.orders(engine)) == 6
    engine.dispose()
    assert told.spans() == []


def test_a_run_under_way_at_undo_is_told_as_broken_off(told: Capture, lab: Any) -> None:
    engine = lab.engine(lab.strategy(40), lab.quotes(200))
    engine.run(streaming=True)
    NautilusInstrumentor().uninstrument()
    engine.end()
    engine.dispose()
    assert [span.attributes["trading.backtest.complete"] for span in told.spans()] == [False]


@pytest.mark.parametrize("settings", [{"backtest_traces": True}])
def test_a_fault_of_ours_neither_stops_a_backtest_nor_changes_it(
    request: pytest.FixtureRequest, lab: Any, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("ours")

    bare = lab.run(600, 7)
    request.getfixturevalue("told")
    for name in ("submit", "cancel_many"):
        monkeypatch.setattr(f"tickspan_nautilus.describe.{name}", fail)
    monkeypatch.setattr("tickspan_nautilus.read.update_of", fail)
    monkeypatch.setattr("tickspan_nautilus.market.instrument_of", fail)
    with strict(value=False):
        assert lab.run(600, 7) == bare

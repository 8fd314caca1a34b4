"""What a refused, lost or broken order call leaves behind; and what it must never leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

pytestmark = pytest.mark.integration

MakeVenue = Callable[..., VenueSimulator]

REFUSED = {
    "error.type": "ib:201",
    "trading.order.reject.code": "201",
    "trading.order.reject.reason": "market_closed",
    "trading.order.reject.origin": "venue",
    "trading.order.reject.message": "Order rejected - reason:Exchange is closed.",
    "trading.order.status": "rejected",
}


def test_a_refused_order_ends_its_span_with_the_venues_code(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(ib: Any) -> None:
        venue.next(Fault.REJECT)
        placed = await bot.trade(ib)
        await bot.until(lambda: placed.orderStatus.status == "Inactive")

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert bot.named("trading.order.event") == []
    assert (submit.status, submit.description, submit.events) == ("error", None, ())
    assert {name: submit.attributes.get(name) for name in REFUSED} == REFUSED
    assert {name: life.attributes.get(name) for name in REFUSED} == REFUSED
    assert (life.status, life.attributes["trading.order.complete"]) == ("error", True)


@pytest.mark.parametrize(
    ("order", "code", "reason"),
    [
        ({"quantity": 90_000}, "201", "funds"),
        ({"price": 150.001}, "110", "price"),
        ({"quantity": 0.0001, "price": 150}, "201", "quantity"),
    ],
)
def test_a_refusal_says_why(
    told: Capture, make_venue: MakeVenue, bot: Any, order: Any, code: str, reason: str
) -> None:
    async def trade(ib: Any) -> None:
        ib.placeOrder(await bot.contract(ib), bot.limit(**order))
        await bot.until(lambda: bot.named("trading.order.submit"))

    bot.run(make_venue(), trade)
    submit = bot.named("trading.order.submit")[0].attributes
    assert (submit["trading.order.reject.code"], submit["trading.order.reject.reason"]) == (code, reason)


def test_an_order_for_an_unknown_contract_is_refused(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    async def trade(ib: Any) -> None:
        placed = ib.placeOrder(bot.library.Stock("TSLA", "SMART", "USD"), bot.limit())
        await bot.until(placed.isDone)

    bot.run(make_venue(), trade)
    submit = bot.named("trading.order.submit")[0].attributes
    assert (submit["error.type"], submit["trading.order.reject.reason"]) == ("ib:200", "symbol")


def test_an_order_that_is_inactive_before_its_refusal_comes_is_refused(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    async def trade(ib: Any) -> None:
        placed = ib.placeOrder(await bot.contract(ib), bot.limit())
        number = placed.order.orderId
        ib.wrapper.orderStatus(number, "Inactive", 0, 10, 0, 99, 0, 0, 7, "", 0)
        ib.wrapper.error(number, 201, "Order rejected - reason:Exchange is closed.", "")
        ib.wrapper.orderStatus(number, "Cancelled", 0, 10, 0, 99, 0, 0, 7, "", 0)

    bot.run(make_venue(ack_delay_s=60), trade)
    submit, life = bot.spans()
    assert {name: submit.attributes.get(name) for name in REFUSED} == REFUSED
    assert {name: life.attributes.get(name) for name in REFUSED} == REFUSED


def test_an_order_that_is_refused_after_its_acknowledgement_is_rejected_not_canceled(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    async def trade(ib: Any) -> None:
        placed = await bot.place(ib, bot.limit(150))
        number, perm_id = placed.order.orderId, placed.order.permId
        ib.wrapper.error(number, 201, "Order rejected - reason:Exchange is closed.", "")
        ib.wrapper.orderStatus(number, "Cancelled", 0, 10, 0, perm_id, 0, 0, 7, "", 0)

    bot.run(make_venue(), trade)
    submit, event, life = bot.spans()
    assert (submit.status, event.name, event.status, life.status) == (
        "unset",
        "trading.order.event rejected",
        "error",
        "error",
    )
    assert {name: life.attributes.get(name) for name in REFUSED} == REFUSED


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (399, "Order Message: your order will not be placed at the exchange until 09:30:00 US/Eastern"),
        (404, "Shares for this order are not immediately available for short sale."),
        (2109, "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored"),
        (10349, "Order TIF was set to DAY based on order preset."),
    ],
)
def test_a_notice_is_no_error(told: Capture, make_venue: MakeVenue, bot: Any, code: int, text: str) -> None:
    venue = make_venue(ack_delay_s=0.02, fill_delay_s=60)

    async def trade(ib: Any) -> None:
        placed = ib.placeOrder(await bot.contract(ib), bot.limit())
        ib.wrapper.error(placed.order.orderId, code, text, "")
        await bot.until(lambda: placed.order.permId)
        ib.wrapper.error(placed.order.orderId, code, text, "")

    bot.run(venue, trade)
    submit, life = bot.spans()
    assert (submit.status, submit.attributes["trading.order.status"]) == ("unset", "new")
    assert (life.status, life.attributes["trading.order.status"]) == ("unset", "new")


def test_a_change_that_is_refused_leaves_the_order_alone(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(ib: Any) -> None:
        placed = await bot.place(ib, bot.limit(150))
        venue.next(Fault.REJECT)
        placed.order.lmtPrice = 151
        ib.placeOrder(placed.contract, placed.order)
        await bot.until(lambda: bot.named("trading.order.replace"))

    bot.run(venue, trade)
    replace, life = bot.named("trading.order.replace")[0], bot.named("trading.order.lifecycle")
    assert (replace.status, replace.attributes["error.type"]) == ("error", "ib:201")
    assert [one.attributes["trading.order.status"] for one in life] == ["new"]
    assert venue.orders[0].price == 150


@pytest.mark.parametrize(
    ("number", "error_type", "reason"),
    [(None, "ib:10148", "other"), (4_711, "ib:10147", "not_found")],
)
def test_a_refused_cancel_leaves_the_order_alone(
    told: Capture, make_venue: MakeVenue, bot: Any, number: int | None, error_type: str, reason: str
) -> None:
    venue = make_venue()

    async def trade(ib: Any) -> None:
        placed = await bot.place(ib)
        await bot.until(placed.isDone)
        ib.client.cancelOrder(number or placed.order.orderId)
        await bot.until(lambda: bot.named("trading.order.cancel"))

    bot.run(venue, trade)
    cancel, life = bot.named("trading.order.cancel")[0], bot.named("trading.order.lifecycle")[0]
    assert (cancel.status, cancel.attributes["error.type"]) == ("error", error_type)
    assert cancel.attributes["trading.order.reject.reason"] == reason
    assert (life.status, life.attributes["trading.order.status"]) == ("unset", "filled")


def test_an_order_without_a_connection_was_never_sent(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    async def trade(ib: Any) -> None:
        contract = await bot.contract(ib)
        ib.disconnect()
        for order in (bot.limit(), bot.limit(orderId=4_711)):
            with pytest.raises(ConnectionError):
                ib.placeOrder(contract, order)

    bot.run(make_venue(), trade)
    submits = bot.named("trading.order.submit")
    assert [
        (
            span.status,
            span.attributes["error.type"],
            span.attributes["trading.order.reject.origin"],
            span.attributes["trading.order.status"],
        )
        for span in submits
    ] == [("error", "ConnectionError", "client_library", "rejected")] * 2


# --- no answer


@pytest.fixture
def impatient(settings: dict[str, Any]) -> None:
    """Answers are waited for no longer than this."""
    settings["ack_deadline_s"] = 0.1


@pytest.mark.usefixtures("impatient")
def test_an_order_without_an_answer_is_unknown_until_its_reports_come(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.3)

    async def trade(ib: Any) -> None:
        venue.next(Fault.ACCEPT_THEN_504)
        placed = await bot.trade(ib)
        await bot.until(placed.isDone)

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert (submit.status, submit.attributes["error.type"]) == ("error", "timeout")
    assert submit.attributes["trading.order.status"] == "unknown"
    assert "trading.order.reject.reason" not in submit.attributes
    assert life.attributes["trading.order.status"] == "filled"
    assert [span.trace_id for span in bot.named("trading.order.event filled")] == [1]


@pytest.mark.usefixtures("impatient")
def test_an_order_that_is_held_inactive_is_no_lost_one(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    async def trade(ib: Any) -> None:
        placed = ib.placeOrder(await bot.contract(ib), bot.limit())
        ib.wrapper.orderStatus(placed.order.orderId, "Inactive", 0, 10, 0, 99, 0, 0, 7, "locate", 0)
        await bot.until(lambda: bot.named("trading.order.submit"))

    bot.run(make_venue(ack_delay_s=60), trade)
    submit = bot.named("trading.order.submit")[0]
    assert (submit.status, submit.attributes["trading.order.status"]) == ("unset", "new")
    assert submit.attributes["trading.order.venue_id"] == "99"


@pytest.mark.usefixtures("impatient")
def test_a_change_without_an_answer_is_an_error_and_still_one_order(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(ib: Any) -> None:
        placed = await bot.place(ib, bot.limit(150))
        venue.next(Fault.ACCEPT_THEN_504)
        placed.order.lmtPrice = 151
        ib.placeOrder(placed.contract, placed.order)
        await bot.until(lambda: bot.named("trading.order.replace"))

    bot.run(venue, trade)
    replace, life = bot.named("trading.order.replace")[0], bot.named("trading.order.lifecycle")
    assert (replace.status, replace.attributes["error.type"]) == ("error", "timeout")
    assert [one.attributes["trading.order.status"] for one in life] == ["new"]


@pytest.mark.usefixtures("impatient")
def test_a_cancel_without_an_answer_is_an_error(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(mute_s=0.3, tick_interval_s=0)

    async def trade(ib: Any) -> None:
        placed = await bot.place(ib, bot.limit(150))
        venue.next(Fault.MUTE)
        venue.tick()
        ib.cancelOrder(placed.order)
        await bot.until(lambda: bot.named("trading.order.cancel"))

    bot.run(venue, trade)
    cancel = bot.named("trading.order.cancel")[0]
    assert (cancel.status, cancel.attributes["error.type"]) == ("error", "timeout")


@pytest.mark.usefixtures("impatient")
def test_a_message_too_many_leaves_its_order_unknown_and_is_counted(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue()

    async def trade(ib: Any) -> None:
        contract = await bot.contract(ib)
        venue.next(Fault.RATE_LIMIT_429)
        ib.placeOrder(contract, bot.limit())
        await bot.until(lambda: bot.named("trading.order.submit"))

    bot.run(venue, trade)
    submit = bot.named("trading.order.submit")[0]
    assert submit.attributes["trading.order.status"] == "unknown"
    assert [point.value for point in told.points("trading.rate_limit.hits")] == [1]
    assert len(told.events("trading.rate_limit.exhausted")) == 1


def test_an_order_whose_connection_breaks_is_unknown_until_the_next_one(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    venue = make_venue(fill_delay_s=0.05)

    async def trade(ib: Any) -> None:
        venue.next(Fault.ACCEPT_THEN_RESET)
        await bot.trade(ib)
        await bot.until(lambda: not ib.isConnected())
        await bot.until(lambda: venue.executions)
        await bot.connect(ib, venue)

    bot.run(venue, trade)
    submit, life = bot.named("trading.order.submit")[0], bot.named("trading.order.lifecycle")[0]
    assert (submit.status, submit.attributes["error.type"]) == ("error", "ConnectionError")
    assert submit.attributes["trading.order.status"] == "unknown"
    assert (life.attributes["trading.order.status"], life.attributes["trading.order.executions"]) == (
        "filled",
        1,
    )


# --- connections


def test_a_break_behind_tws_is_told_of_the_streams(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(tick_interval_s=0)

    async def watch(ib: Any) -> list[float]:
        ticker = ib.reqMktData(await bot.contract(ib))
        await bot.until(ticker.hasBidAsk)
        seen = [point.value for point in told.points("trading.stream.connected")]
        ib.wrapper.error(-1, 1100, "Connectivity between IBKR and Trader Workstation has been lost.", "")
        seen += [point.value for point in told.points("trading.stream.connected")]
        ib.wrapper.error(-1, 1102, "Connectivity … has been restored - data maintained.", "")
        return [*seen, *(point.value for point in told.points("trading.stream.connected"))]

    assert bot.run(venue, watch) == [1, 1, 0, 0, 1, 1]
    assert {
        point.attributes["trading.feed.channel"]: point.value
        for point in told.points("trading.stream.reconnects")
    } == {"ticks": 1, "orders": 1}


def test_streams_of_a_program_that_has_left_are_watched_no_longer(
    told: Capture, make_venue: MakeVenue, bot: Any
) -> None:
    async def watch(ib: Any) -> list[set[str]]:
        contract = await bot.contract(ib)
        ticker = ib.reqMktData(contract)
        await bot.until(ticker.hasBidAsk)
        seen = [channels(told)]
        ib.cancelMktData(contract)
        seen.append(channels(told))
        ib.disconnect()
        return [*seen, channels(told)]

    assert bot.run(make_venue(), watch) == [{"orders", "ticks"}, {"orders"}, set()]


def channels(told: Capture) -> set[str]:
    """Of the streams that are open."""
    return {point.attributes["trading.feed.channel"] for point in told.points("trading.stream.connected")}


# --- secrets


@pytest.fixture
def salted(settings: dict[str, Any]) -> None:
    """Accounts are recognised by their hash."""
    settings["salt"] = "pepper"


@pytest.mark.usefixtures("salted", "impatient")
@pytest.mark.parametrize("account", ["DU4815162", "U23421337"])
def test_no_account_number_leaves(told: Capture, make_venue: MakeVenue, bot: Any, account: str) -> None:
    venue = make_venue(api_key=account, fill_delay_s=0.01)

    async def trade(ib: Any) -> None:
        placed = await bot.trade(ib, bot.limit(account=account))
        await bot.until(placed.isDone)
        for fault in (Fault.REJECT, Fault.ACCEPT_THEN_504, Fault.RATE_LIMIT_429):
            venue.next(fault)
            ib.placeOrder(placed.contract, bot.limit(150))
        refused = ib.placeOrder(placed.contract, bot.limit(150))
        ib.wrapper.error(
            refused.order.orderId, 201, f"Order rejected - reason:Account {account} is not allowed.", ""
        )
        await bot.until(lambda: len(bot.named("trading.order.submit")) == 5)

    bot.run(venue, trade)
    hashes = {span.attributes.get("trading.account.hash") for span in bot.named("trading.order.submit")}
    messages = [span.attributes.get("trading.order.reject.message", "") for span in bot.spans()]
    assert "Order rejected - reason:Account … is not allowed." in messages
    assert (len(hashes), None in hashes) == (1, False)
    assert account.lstrip("DU") not in f"{told.received()}{told.sink.entries}{told.sink.pending}"


def test_paper_and_live_are_told_apart(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    bot.run(make_venue(api_key="U23421337", fill_delay_s=60), bot.place)
    assert bot.spans()[0].attributes["trading.venue.environment"] == "live"


def test_quantities_leave_only_when_asked_for(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    async def trade(ib: Any) -> None:
        placed = await bot.place(ib, bot.limit(price=321.45, quantity=12.375))
        await bot.until(placed.isDone)

    bot.run(make_venue(fill_delay_s=0.01), trade)
    assert [form for form in ("12.375", "321.45", "200.") if form in repr(told.spans())] == []


def test_the_venue_never_gets_a_trace_context(told: Capture, make_venue: MakeVenue, bot: Any) -> None:
    venue = make_venue(fill_delay_s=60)
    tracer = told.tracer_provider.get_tracer("the bot")

    async def trade(ib: Any) -> None:
        with tracer.start_as_current_span("rebalance"):
            await bot.place(ib)

    bot.run(venue, trade)
    trace_ids = {f"{span.trace_id:032x}" for span in told.spans()}
    sent = repr(venue.requests).lower()
    assert [needle for needle in ("traceparent", "baggage", *trace_ids) if needle in sent] == []

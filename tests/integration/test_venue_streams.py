"""The simulated venue's streams, WebSocket API, knobs and faults, as the real ccxt.pro sees them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import ccxt.pro
import pytest

from tickspan.testing.venue import Behaviour, Fault, Status, Unimplemented, VenueSimulator

pytestmark = pytest.mark.integration

DEADLINE_S = 20.0
QUICK = Behaviour(fill_delay_s=0.01, partials=(0.4, 0.6), tick_interval_s=0.01)
SYMBOL = "BTC/USDT"
Scenario = Callable[[VenueSimulator, Any], Awaitable[Any]]


def play(scenario: Scenario, behaviour: Behaviour = QUICK) -> Any:
    """Run `scenario` against a venue, with a ccxt.pro exchange that has loaded its markets."""

    async def run(venue: VenueSimulator) -> Any:
        exchange: Any = venue.connect.ccxt(ccxt.pro.binance({"enableRateLimit": False}))
        try:
            await exchange.load_markets()
            return await asyncio.wait_for(scenario(venue, exchange), DEADLINE_S)
        finally:
            await exchange.close()

    with VenueSimulator(seed=7, behaviour=behaviour) as venue:
        return asyncio.run(run(venue))


async def take(watch: Callable[[], Awaitable[list[Any]]], count: int) -> list[Any]:
    """The first `count` updates that `watch` brings."""
    taken: list[Any] = []
    while len(taken) < count:
        taken += await watch()
    return taken


async def listening(exchange: Any, count: int) -> asyncio.Task[list[tuple[str, float]]]:
    """A task that collects the next execution reports: their types and cumulative quantities.

    `watch_orders` shows the newest state of an order only, so each message is noted as it comes in.
    """
    told: list[tuple[str, float]] = []
    handle = exchange.handle_order_update

    def note(client: Any, message: Any) -> None:
        told.append((message["x"], float(message["z"])))
        handle(client, message)

    exchange.handle_order_update = note
    await exchange.authenticate({"type": "spot"})

    async def collect() -> list[tuple[str, float]]:
        while len(told) < count:
            await exchange.watch_orders(SYMBOL)
        return told[:count]

    task = asyncio.create_task(collect())
    await asyncio.sleep(0)
    return task


# --- market data


def test_tickers_follow_the_market():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        ticker = await exchange.watch_ticker(SYMBOL, {"name": "ticker"})
        return ticker, (await exchange.watch_tickers([SYMBOL, "ETH/USDT"])).popitem()[1]

    ticker, mini = play(scenario)
    assert ticker["bid"] < ticker["ask"]
    assert ticker["low"] <= ticker["last"] <= ticker["high"]
    assert mini["last"] > 0


def test_best_bids_and_asks_follow_the_market():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        return (await exchange.watch_bids_asks([SYMBOL]))[SYMBOL]

    best = play(scenario)
    assert 0 < best["ask"] - best["bid"] < 10


@pytest.mark.parametrize("name", ["trade", "aggTrade"])
def test_trades_arrive_with_ids_without_a_gap(name: str):
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        return await take(lambda: exchange.watch_trades(SYMBOL, None, None, {"name": name}), 20)

    ids = [int(trade["id"]) for trade in play(scenario)]
    assert ids == list(range(ids[0], ids[0] + len(ids)))


def test_an_order_book_kept_by_its_changes_is_the_venues_book():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        watched = await exchange.watch_order_book(SYMBOL)
        for _ in range(50):
            venue.tick()
            watched = await exchange.watch_order_book(SYMBOL)
        return watched, await exchange.fetch_order_book(SYMBOL)

    watched, fetched = play(scenario, replace(QUICK, tick_interval_s=0))
    assert watched["nonce"] == fetched["nonce"]
    assert [list(level) for level in watched["bids"]] == fetched["bids"]
    assert [list(level) for level in watched["asks"]] == fetched["asks"]


def test_candles_grow_with_the_trades():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        candles = await take(lambda: exchange.watch_ohlcv(SYMBOL, "1s"), 1)
        while len(candles) < 40:
            candles += await exchange.watch_ohlcv(SYMBOL, "1s")
        return candles

    candles = play(scenario)
    assert all(low <= close <= high for _, _, high, low, close, _ in candles)
    assert {opened % 1_000 for opened, *_ in candles} == {0}


def test_an_unsubscribed_stream_falls_silent():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        await exchange.watch_trades(SYMBOL)
        await exchange.un_watch_trades(SYMBOL)
        return [request.path for request in venue.requests if request.method == "WS"]

    assert play(scenario) == ["SUBSCRIBE", "UNSUBSCRIBE"]


# --- orders


def test_an_order_by_rest_is_told_on_the_user_data_stream_until_it_is_filled():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        told = await listening(exchange, 3)
        order = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return order["status"], await told

    assert play(scenario) == ("open", [("NEW", 0.0), ("TRADE", 0.004), ("TRADE", 0.01)])


def test_my_trades_are_the_venues_executions():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        await exchange.authenticate({"type": "spot"})
        watching = asyncio.create_task(take(lambda: exchange.watch_my_trades(SYMBOL), 2))
        await asyncio.sleep(0)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        told = await watching
        return (
            [(trade["id"], trade["amount"], trade["price"], trade["fee"]["cost"]) for trade in told],
            [
                (str(fill.execution_id), float(fill.quantity), float(fill.price), float(fill.fee))
                for fill in venue.executions
            ],
        )

    told, true = play(scenario)
    assert told == true


def test_orders_are_placed_edited_and_canceled_by_the_websocket_api():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        first = await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, 50_000)
        second = await exchange.edit_order_ws(first["id"], SYMBOL, "limit", "buy", 0.02, 51_000)
        seen = await exchange.fetch_order_ws(second["id"], SYMBOL)
        open_ids = [order["id"] for order in await exchange.fetch_open_orders_ws(SYMBOL)]
        canceled = await exchange.cancel_order_ws(second["id"], SYMBOL)
        orders = venue.orders
        return seen["status"], open_ids == [second["id"]], canceled["status"], orders

    seen, is_only_one, canceled, orders = play(scenario)
    assert (seen, is_only_one, canceled) == ("open", True, "canceled")
    assert [(order.via, order.status, order.replaces) for order in orders] == [
        ("ws_api", Status.CANCELED, None),
        ("ws_api", Status.CANCELED, orders[0].order_id),
    ]


def test_the_websocket_api_answers_account_and_history():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        await exchange.create_order_ws(SYMBOL, "market", "buy", 0.01)
        balance = await exchange.fetch_balance_ws()
        trades = await exchange.fetch_my_trades_ws(SYMBOL)
        orders = await exchange.fetch_orders_ws(SYMBOL)
        owned = {row["asset"]: row["free"] for row in balance["info"]["balances"]}
        return owned["BTC"], len(trades), [order["status"] for order in orders]

    at_once = replace(QUICK, fill_delay_s=0.0, fill_gap_s=0.0)
    assert play(scenario, at_once) == ("100.00999000", 2, ["closed"])


def test_a_wrong_order_by_the_websocket_api_has_the_venues_error():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        with pytest.raises(ccxt.InsufficientFunds):
            await exchange.create_order_ws(SYMBOL, "limit", "buy", 1_000, 60_000)
        exchange.secret = "not the secret"
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, 50_000)

    play(scenario)


def test_a_cancel_is_told_with_its_own_id_and_the_orders():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        told = await listening(exchange, 2)
        order = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
        await exchange.cancel_order(order["id"], SYMBOL)
        await told
        last = exchange.orders[-1]
        return last["info"]["x"], last["clientOrderId"] == order["clientOrderId"], last["info"]["c"]

    kind, is_same, own_id = play(scenario)
    assert (kind, is_same) == ("CANCELED", True)
    assert own_id.startswith("cancel")


def test_balances_are_told_after_each_fill():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        await exchange.authenticate({"type": "spot"})
        watching = asyncio.create_task(exchange.watch_balance())
        await asyncio.sleep(0)
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
        return (await watching)["USDT"]

    assert play(scenario) == {"free": 9_999_500.0, "used": 500.0, "total": 10_000_000.0}


def test_the_listen_key_stream_of_older_clients_tells_the_same_events():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        key = (await exchange.publicPostUserDataStream())["listenKey"]
        await exchange.publicPutUserDataStream({"listenKey": key})
        url = f"{exchange.urls['api']['ws']['spot']}/{key}"
        watching = asyncio.ensure_future(exchange.watch(url, "orders", None, "spot"))
        await asyncio.sleep(0.2)
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
        return [order["info"]["x"] for order in await watching]

    assert play(scenario) == ["NEW"]


# --- knobs and faults


def test_fills_come_before_the_acknowledgement_with_a_negative_fill_delay():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        told = await listening(exchange, 3)
        placing = asyncio.create_task(exchange.create_order(SYMBOL, "market", "buy", 0.01))
        await told
        was_acknowledged = placing.done()
        return was_acknowledged, (await placing)["status"]

    slow_ack = replace(QUICK, ack_delay_s=0.3, fill_delay_s=-0.3)
    assert play(scenario, slow_ack) == (False, "closed")


def test_fill_before_ack_once():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.FILL_BEFORE_ACK)
        return [(await exchange.create_order(SYMBOL, "market", "buy", 0.01))["status"] for _ in range(2)]

    assert play(scenario) == ["closed", "open"]


def test_the_acknowledgement_takes_as_long_as_the_behaviour_says():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return loop.time() - started

    assert 0.25 <= play(scenario, replace(QUICK, ack_delay_s=0.25)) < 5


def test_a_rejected_order_never_existed():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.REJECT)
        with pytest.raises(ccxt.InvalidOrder, match="-2010"):
            await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return venue.orders

    assert play(scenario) == ()


@pytest.mark.parametrize("call", ["create_order", "create_order_ws"])
def test_an_order_accepted_with_a_504_lives_at_the_venue_and_a_retry_doubles_it(call: str):
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.ACCEPT_THEN_504)
        with pytest.raises(ccxt.RequestTimeout, match="-1007"):
            await getattr(exchange, call)(SYMBOL, "market", "buy", 0.01)
        held = len(venue.orders)
        await getattr(exchange, call)(SYMBOL, "market", "buy", 0.01)
        return held, len(venue.orders)

    assert play(scenario) == (1, 2)


def test_ccxts_own_retry_doubles_an_order_that_was_accepted():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        exchange.options["maxRetriesOnFailure"] = 1
        venue.next("accept_then_504")
        order = await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return order["id"], [str(held.order_id) for held in venue.orders]

    # The id is the same, but a client id is refused only while its first order is open.
    seen, held = play(scenario, replace(QUICK, fill_delay_s=0.0, fill_gap_s=0.0))
    assert len(held) == 2
    assert seen == held[1]


@pytest.mark.parametrize("call", ["create_order", "create_order_ws"])
def test_an_order_accepted_before_the_connection_breaks_lives_at_the_venue(call: str):
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.ACCEPT_THEN_RESET)
        with pytest.raises(ccxt.NetworkError):
            await getattr(exchange, call)(SYMBOL, "market", "buy", 0.01)
        return len(venue.orders)

    assert play(scenario) == 1


def test_a_late_fill_is_told_after_the_order_was_filled():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.LATE_FILL)
        told = await listening(exchange, 3)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return await told

    assert play(scenario) == [("NEW", 0.0), ("TRADE", 0.01), ("TRADE", 0.004)]


def test_a_late_fill_is_told_after_the_order_was_canceled():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.LATE_FILL)
        told = await listening(exchange, 3)
        order = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
        canceled = await exchange.cancel_order(order["id"], SYMBOL)
        return canceled["filled"], await told

    assert play(scenario) == (0.005, [("NEW", 0.0), ("CANCELED", 0.005), ("TRADE", 0.005)])


def test_a_duplicate_event_tells_the_same_execution_twice():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.DUPLICATE_EVENT)
        told = await listening(exchange, 4)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return await told, len(venue.executions)

    told, booked = play(scenario)
    assert told == [("NEW", 0.0), ("TRADE", 0.004), ("TRADE", 0.004), ("TRADE", 0.01)]
    assert booked == 2


def test_a_reordered_event_arrives_after_the_one_that_follows_it():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.REORDER)
        told = await listening(exchange, 3)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return await told

    assert play(scenario) == [("NEW", 0.0), ("TRADE", 0.01), ("TRADE", 0.004)]


def test_a_lost_event_is_booked_and_never_told():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.LOST_EVENT)
        told = await listening(exchange, 2)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return await told, len(venue.executions)

    assert play(scenario) == ([("NEW", 0.0), ("TRADE", 0.01)], 2)


def test_events_can_be_duplicated_at_a_rate():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        told = await listening(exchange, 5)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return await told

    always = replace(QUICK, rates={Fault.DUPLICATE_EVENT: 1.0})
    assert [kind for kind, _ in play(scenario, always)] == ["NEW", "TRADE", "TRADE", "TRADE", "TRADE"]


def test_a_rate_limit_turns_a_burst_of_requests_away():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.RATE_LIMIT_429)
        return [await _outcome(exchange.fetch_time()) for _ in range(4)]

    refused = "binance 429"
    assert play(scenario, replace(QUICK, rate_limit_burst=3)) == [refused, refused, refused, "answered"]


def test_a_ban_is_http_418():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        venue.next(Fault.BAN_418)
        return await _outcome(exchange.fetch_time()), exchange.last_response_headers["Retry-After"]

    assert play(scenario) == ("binance 418", "120")


async def _outcome(call: Awaitable[Any]) -> str:
    try:
        await call
    except ccxt.DDoSProtection as error:
        return str(error)[:11]
    return "answered"


def test_a_sequence_gap_breaks_the_order_book():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        await exchange.watch_order_book(SYMBOL)
        await exchange.watch_order_book(SYMBOL)
        venue.next(Fault.SEQUENCE_GAP)
        with pytest.raises(ccxt.ChecksumError):
            await take(lambda: exchange.watch_order_book(SYMBOL), 10_000)

    play(scenario)


def test_a_muted_stream_stays_connected_and_silent_then_speaks_again():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        loop = asyncio.get_running_loop()
        await exchange.watch_trades(SYMBOL)
        venue.next(Fault.MUTE)
        gaps: list[float] = []
        for _ in range(40):
            started = loop.time()
            await exchange.watch_trades(SYMBOL)
            gaps.append(loop.time() - started)
        return max(gaps)

    assert play(scenario, replace(QUICK, mute_s=0.6)) > 0.5


def test_a_disconnect_breaks_every_stream_without_a_handshake():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        await exchange.watch_trades(SYMBOL)
        watching = asyncio.create_task(take(lambda: exchange.watch_trades(SYMBOL), 10_000))
        venue.next(Fault.DISCONNECT)
        with pytest.raises(ccxt.NetworkError):
            await watching
        return len(await exchange.watch_trades(SYMBOL)) > 0

    assert play(scenario) is True


def test_an_unknown_fee_asset_reaches_the_client():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        trades = await exchange.fetch_my_trades(SYMBOL)
        return {trade["fee"]["currency"] for trade in trades}

    behaviour = replace(QUICK, fee_asset="XYZ", fill_delay_s=0.0, fill_gap_s=0.0)
    assert play(scenario, behaviour) == {"XYZ"}


def test_an_unknown_fee_asset_ends_ccxts_receive_loop_while_the_socket_stays_open():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        broken: asyncio.Queue[BaseException] = asyncio.Queue()
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: broken.put_nowait(context["exception"])
        )
        await exchange.authenticate({"type": "spot"})
        watching = asyncio.create_task(take(lambda: exchange.watch_my_trades(SYMBOL), 3))
        await asyncio.sleep(0)
        watching_orders = asyncio.create_task(exchange.watch_orders(SYMBOL))
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        error = await broken.get()
        is_open = not exchange.clients[exchange.urls["api"]["ws"]["ws-api"]["spot"]].closed()
        watching.cancel()
        watching_orders.cancel()
        return repr(error), is_open

    assert play(scenario, replace(QUICK, fee_asset="XYZ")) == ("KeyError('XYZ')", True)


def test_the_venue_gives_out_its_own_ids_when_told_to():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        order = await exchange.create_order(SYMBOL, "market", "buy", 0.01, None, {"newClientOrderId": "mine"})
        return order["clientOrderId"], venue.orders[0].client_id

    told, held = play(scenario, replace(QUICK, server_assigned_ids=True))
    assert told == held != "mine"


def test_a_burst_sends_ticks_back_to_back():
    async def scenario(_: VenueSimulator, exchange: Any) -> Any:
        trades = await take(lambda: exchange.watch_trades(SYMBOL), 20)
        return len({trade["timestamp"] for trade in trades})

    assert play(scenario, replace(QUICK, tick_burst=10, tick_interval_s=0.2)) < 10


def test_an_address_of_another_market_is_refused_and_written_down():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        url = exchange.urls["api"]["ws"]["linear"]
        with pytest.raises(ccxt.NetworkError):
            await exchange.watch(url, "x", {}, "x")
        return venue.unimplemented

    assert play(scenario) == (Unimplemented("WS", "/linear/ws"),)


def test_the_handshake_of_a_websocket_is_written_down_with_its_headers():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        await exchange.watch_trades(SYMBOL)
        return [request for request in venue.requests if request.path.startswith("/ws/")]

    (handshake,) = play(scenario)
    assert ("Upgrade", "websocket") in handshake.headers
    assert "traceparent" not in {name.lower() for name, _ in handshake.headers}


def test_ccxt_asks_for_nothing_that_the_venue_does_not_have():
    async def scenario(venue: VenueSimulator, exchange: Any) -> Any:
        await exchange.watch_trades(SYMBOL)
        await listening(exchange, 1)
        await exchange.create_order(SYMBOL, "market", "buy", 0.01)
        return venue.unimplemented

    assert play(scenario) == ()

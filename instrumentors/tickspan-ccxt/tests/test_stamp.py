"""With `stamp_client_id`, an order that neither the program nor ccxt has named leaves under an id of ours."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import ccxt
import ccxt.async_support
import pytest
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator
from tickspan_ccxt import CcxtInstrumentor

pytestmark = pytest.mark.integration

OURS = re.compile("[0-9a-f]{32}")
SYMBOL = "BTC/USDT"


class Bybit(ThreadingHTTPServer):
    """The part of Bybit's v5 API that takes orders: one name, one order; the first answer may be lost."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.names: list[str] = []
        """What each request for an order was called, in the order in which they came."""
        self.held: dict[str, str] = {}
        """Order ids by name."""
        self.is_losing = False

    def place(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """The answer; None: taken, and the connection breaks."""
        name = str(asked.get("orderLinkId", ""))
        self.names.append(name)
        if name in self.held:
            return {"retCode": 110072, "retMsg": "OrderLinkedID is duplicate", "result": {}}
        order_id = str(len(self.names))
        self.held[name or order_id] = order_id
        if self.is_losing:
            self.is_losing = False
            return None
        return {"retCode": 0, "retMsg": "OK", "result": {"orderId": order_id, "orderLinkId": name}}


class _Answering(BaseHTTPRequestHandler):
    @property
    def _venue(self) -> Bybit:
        return cast("Bybit", self.server)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/create-batch"):
            answers = [self._venue.place(one) or {} for one in asked["request"]]
            answer = {"retCode": 0, "result": {"list": [one["result"] for one in answers]}}
            answer |= {"retExtInfo": {"list": [{"code": 0, "msg": "OK"} for _ in answers]}}
        else:
            placed = self._venue.place(asked)
            if placed is None:
                self.close_connection = True
                return
            answer = placed
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Says nothing."""


@pytest.fixture
def bybit() -> Generator[Bybit]:
    """Answers on loopback until the test is over."""
    with Bybit() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def stamping(telemetry: Capture) -> Generator[Capture]:
    """ccxt instrumented, with the setting."""
    CcxtInstrumentor().instrument(
        tracer_provider=telemetry.tracer_provider,
        meter_provider=telemetry.meter_provider,
        logger_provider=telemetry.logger_provider,
        settings={"stamp_client_id": True, "environment": "simulated"},
    )
    yield telemetry
    CcxtInstrumentor().uninstrument()


def connected(server: Bybit, kind: Any = ccxt.bybit, **options: Any) -> Any:
    """A client of the server that knows one market."""
    exchange = kind({"apiKey": "k", "secret": "s", "enableRateLimit": False, "options": options})
    address = f"http://127.0.0.1:{server.server_address[1]}"
    exchange.urls["api"] = dict.fromkeys(exchange.urls["api"], address)
    exchange.options = {**exchange.options, "enableUnifiedMargin": False, "enableUnifiedAccount": True}
    market = {
        "id": "BTCUSDT",
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "type": "spot",
        "spot": True,
        "contract": False,
        "active": True,
        "precision": {"amount": 1e-6, "price": 0.01},
        "limits": {},
    }
    exchange.set_markets([exchange.safe_market_structure(market)])
    return exchange


def test_an_order_without_a_name_gets_one_that_venue_and_span_share(stamping: Capture, bybit: Bybit) -> None:
    params: dict[str, Any] = {}
    order = connected(bybit).create_order(SYMBOL, "limit", "buy", 0.01, 60_000, params)
    (name,) = bybit.names
    assert OURS.fullmatch(name)
    assert (order["clientOrderId"], stamping.spans()[0].attributes["trading.order.client_id"]) == (name, name)
    assert params == {}


def test_an_order_that_ccxt_sends_again_is_not_doubled(stamping: Capture, bybit: Bybit) -> None:
    bybit.is_losing = True
    exchange = connected(bybit, maxRetriesOnFailure=1, maxRetriesOnFailureDelay=1)
    with pytest.raises(ccxt.ExchangeError):
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, 60_000)
    submit = stamping.spans()[0].attributes
    assert bybit.names == [submit["trading.order.client_id"]] * 2
    assert list(bybit.held) == bybit.names[:1]
    assert (submit["trading.order.attempt"], submit["trading.order.retry.safe"]) == (2, True)
    assert stamping.events("trading.order.unsafe_retry") == []


def test_a_coroutine_stamps_as_the_plain_call_does(stamping: Capture, bybit: Bybit) -> None:
    async def trade() -> None:
        exchange = connected(bybit, ccxt.async_support.bybit)
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, 60_000)
        await exchange.close()

    asyncio.run(trade())
    assert OURS.fullmatch(bybit.names[0])


def test_each_order_of_a_batch_has_a_name_of_its_own(stamping: Capture, bybit: Bybit) -> None:
    one = {"symbol": SYMBOL, "type": "limit", "side": "buy", "amount": 0.01, "price": 60_000}
    orders = [one, {**one, "params": {"clientOrderId": "mine"}}, one]
    connected(bybit).create_orders(orders)
    first, second, third = bybit.names
    assert [bool(OURS.fullmatch(name)) for name in bybit.names] == [True, False, True]
    assert (second, first == third) == ("mine", False)
    assert orders == [one, {**one, "params": {"clientOrderId": "mine"}}, one]


@pytest.mark.parametrize("field", ["clientOrderId", "orderLinkId"])
def test_a_name_of_the_programs_own_is_kept(stamping: Capture, bybit: Bybit, field: str) -> None:
    connected(bybit).create_order(SYMBOL, "limit", "buy", 0.01, 60_000, {field: "mine"})
    assert bybit.names == ["mine"]


def test_an_order_that_ccxt_names_keeps_that_name(
    stamping: Capture, make_venue: Callable[..., VenueSimulator]
) -> None:
    venue = make_venue()
    exchange = venue.connect.ccxt(ccxt.binance({"enableRateLimit": False}))
    exchange.load_markets()
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, 50_000)
    (order,) = venue.orders
    assert order.client_id.startswith("x-")


def test_without_the_setting_nothing_is_added(told: Capture, bybit: Bybit) -> None:
    connected(bybit).create_order(SYMBOL, "limit", "buy", 0.01, 60_000)
    assert bybit.names == [""]

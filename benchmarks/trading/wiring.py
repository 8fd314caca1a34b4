"""Turns of what goes over the wire, each in a child of the nursery: a client of its own for each library.

All of tickspan is on, the members of the plain HTTP libraries below those of the exchange clients too. The
program has a span and baggage of its own, and logs what goes wrong with its traceback.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from urllib.parse import urlencode

from benchmarks.trading import switching
from benchmarks.trading.alarming import headers_of, signed
from benchmarks.trading.frames import SYMBOL

CLIENTS: Final = (
    "ccxt",
    "ccxt, asynchronous",
    "ccxt.pro, WebSocket",
    "python-binance",
    "python-binance, WebSocket",
    "alpaca-py",
    "requests",
    "httpx",
    "aiohttp",
)
LOGGED: Final = "order %s went wrong"
_LOGGER: Final = logging.getLogger("program")
_PROPAGATED: Final = frozenset({"traceparent", "tracestate", "baggage"})
_RESTING: Final = 10_000
_OPERATIONS: Final[Mapping[tuple[str, str], str]] = {
    ("POST", "/api/v3/order"): "submit",
    ("GET", "/api/v3/order"): "query",
    ("DELETE", "/api/v3/order"): "cancel",
    ("WS", "order.place"): "submit",
    ("WS", "order.status"): "query",
    ("WS", "order.cancel"): "cancel",
    ("POST", "/v2/orders"): "submit",
    ("GET", "/v2/orders/"): "query",
    ("DELETE", "/v2/orders/"): "cancel",
}
Order = Callable[[str, bool], object]
"""Submits an order under a name; if all is well it is asked for, and canceled, when that is wished."""


def orders(client: str, times: int) -> dict[str, Any]:
    """So many orders by a client, some of which go wrong, and what the venue has got."""
    from opentelemetry import baggage, context, trace

    from tickspan.providers.handler import OTLPHandler
    from tickspan.testing.reconciliation import signatures_in
    from tickspan.testing.venue import Behaviour, Fault, VenueSimulator

    is_alpaca = client == "alpaca-py"
    behaviour = Behaviour(
        symbols=("AAPL/USD=190",) if is_alpaca else (SYMBOL,),
        balances={"USD": "100000000", "USDT": "100000000", "BTC": "1000"},
        order_limit_10s=100_000,
    )
    with VenueSimulator(dialect="alpaca" if is_alpaca else "binance", seed=1, behaviour=behaviour) as venue:
        is_plain = client in ("requests", "httpx", "aiohttp")
        hosts = (f"127.0.0.1:{venue.address[1]}=binance/simulated",) if is_plain else ()
        switching.begin(hosts=hosts)
        with (
            _OPENED[client](venue) as order,
            trace.get_tracer("program").start_as_current_span("strategy"),
        ):
            _LOGGER.addHandler(OTLPHandler())
            _LOGGER.propagate = False
            logged = 0
            token = context.attach(baggage.set_baggage("book", "eu"))
            for number in range(times):
                if number % 4 == 1:
                    venue.next(Fault.REJECT)
                if number % 4 == 2 and not is_alpaca:  # which would send the order again by itself
                    venue.next(Fault.ACCEPT_THEN_504)
                logged += _told(order, f"mine-{number}", is_left=number % 4 in (1, 2))
            context.detach(token)
        truth = venue.truth()
    switching.end()
    return {
        "requests": dict(operations_of(truth.requests)),
        "propagated": sum(
            name.lower() in _PROPAGATED for request in truth.requests for name, _ in request.headers
        ),
        "sent": len(truth.requests),
        "logged": logged,
        "secrets": sorted({venue.connect.api_key, venue.connect.secret, *signatures_in(truth)}),
    }


def _told(order: Order, name: str, *, is_left: bool) -> bool:
    """One order; the program logs what goes wrong, as programs do: whether it did."""
    try:
        order(name, is_left)
    except Exception:
        _LOGGER.exception(LOGGED, name)
        return True
    return False


def operations_of(requests: Any) -> Counter[str]:
    """Order requests among what a venue has got, by operation."""
    found: Counter[str] = Counter()
    for request in requests:
        path = request.path
        if path.startswith("/v2/orders/"):
            path = "/v2/orders/"
        operation = _OPERATIONS.get((request.method, path))
        if operation is not None:
            found[operation] += 1
    return found


@contextmanager
def _ccxt(venue: Any) -> Generator[Order]:
    import ccxt

    exchange = venue.connect.ccxt(ccxt.binance(_settings()))
    exchange.load_markets()

    def order(name: str, is_left: bool) -> None:
        made = exchange.create_order(SYMBOL, "limit", "buy", 0.01, _RESTING, {"clientOrderId": name})
        if not is_left:
            exchange.fetch_order(made["id"], SYMBOL)
            exchange.cancel_order(made["id"], SYMBOL)

    yield order


def _ccxt_by(flavour: str, suffix: str = "") -> Callable[[Any], AbstractContextManager[Order]]:
    @contextmanager
    def opened(venue: Any) -> Generator[Order]:
        import importlib

        library: Any = importlib.import_module(flavour)

        async def made() -> Any:
            exchange = venue.connect.ccxt(library.binance(_settings()))
            await exchange.load_markets()
            return exchange

        async def trade(name: str, is_left: bool) -> None:
            create, fetch, cancel = (
                getattr(exchange, verb + suffix) for verb in ("create_order", "fetch_order", "cancel_order")
            )
            order = await create(SYMBOL, "limit", "buy", 0.01, _RESTING, {"clientOrderId": name})
            if not is_left:
                await fetch(order["id"], SYMBOL)
                await cancel(order["id"], SYMBOL)

        with asyncio.Runner() as runner:
            exchange = runner.run(made())
            yield lambda name, is_left: runner.run(trade(name, is_left))
            runner.run(exchange.close())

    return opened


def _settings() -> Any:
    return {"enableRateLimit": False}


def _python_binance(prefix: str) -> Callable[[Any], AbstractContextManager[Order]]:
    @contextmanager
    def opened(venue: Any) -> Generator[Order]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of websockets, at the library's import
            import binance

        async def trade(name: str, is_left: bool) -> None:
            submit, get, cancel = (
                getattr(client, f"{prefix}{verb}_order") for verb in ("create", "get", "cancel")
            )
            made = await submit(**_order(), newClientOrderId=name)
            if not is_left:
                await get(symbol="BTCUSDT", orderId=made["orderId"])
                await cancel(symbol="BTCUSDT", orderId=made["orderId"])

        with venue.connect.python_binance() as account, asyncio.Runner() as runner:
            client: Any = runner.run(binance.AsyncClient.create(**account))
            yield lambda name, is_left: runner.run(trade(name, is_left))
            runner.run(client.close_connection())

    return opened


@contextmanager
def _alpaca(venue: Any) -> Generator[Order]:
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import LimitOrderRequest

    client: Any = TradingClient(**venue.connect.alpaca(TradingClient))

    def order(name: str, is_left: bool) -> None:
        made = client.submit_order(
            LimitOrderRequest(
                symbol="AAPL",
                side=OrderSide.BUY,
                qty=1,
                limit_price=10,
                time_in_force=TimeInForce.DAY,
                client_order_id=name,
            )
        )
        if not is_left:
            client.get_order_by_id(made.id)
            client.cancel_order_by_id(made.id)

    yield order
    client._session.close()  # noqa: SLF001 - it has no other way


@contextmanager
def _requests(venue: Any) -> Generator[Order]:
    import requests

    with requests.Session() as session:

        def send(method: str, url: str, body: str | None) -> None:
            answer = session.request(method, url, headers=headers_of(venue), data=body, timeout=5)
            answer.raise_for_status()

        yield _plain_order(venue, send)


@contextmanager
def _httpx(venue: Any) -> Generator[Order]:
    import httpx

    with httpx.Client() as client:

        def send(method: str, url: str, body: str | None) -> None:
            answer = client.request(method, url, headers=headers_of(venue), content=body)
            answer.raise_for_status()

        yield _plain_order(venue, send)


@contextmanager
def _aiohttp(venue: Any) -> Generator[Order]:
    import aiohttp

    async def ask(method: str, url: str, body: str | None) -> None:
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.request(method, url, headers=headers_of(venue), data=body) as answer,
        ):
            await answer.read()

    with asyncio.Runner() as runner:
        yield _plain_order(venue, lambda method, url, body: runner.run(ask(method, url, body)))


def _plain_order(venue: Any, send: Callable[[str, str, str | None], None]) -> Order:
    def order(name: str, is_left: bool) -> None:
        url = f"{venue.url}/api/v3/order"
        send("POST", url, signed(venue, {"newClientOrderId": name, "price": str(_RESTING)}))
        if not is_left:
            for method in ("GET", "DELETE"):
                send(method, f"{url}?{_signed_query(venue, name)}", None)

    return order


def _signed_query(venue: Any, name: str) -> str:
    from tickspan.testing.venue.credentials import Credentials

    fields = {"symbol": "BTCUSDT", "origClientOrderId": name, "timestamp": str(time.time_ns() // 1_000_000)}
    query = urlencode(fields)
    return f"{query}&signature={Credentials(venue.connect.api_key, venue.connect.secret).sign(query)}"


def _order() -> dict[str, str]:
    return {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": str(_RESTING),
    }


_OPENED: Final[Mapping[str, Callable[[Any], AbstractContextManager[Order]]]] = {
    "ccxt": _ccxt,
    "ccxt, asynchronous": _ccxt_by("ccxt.async_support"),
    "ccxt.pro, WebSocket": _ccxt_by("ccxt.pro", "_ws"),
    "python-binance": _python_binance(""),
    "python-binance, WebSocket": _python_binance("ws_"),
    "alpaca-py": _alpaca,
    "requests": _requests,
    "httpx": _httpx,
    "aiohttp": _aiohttp,
}


def classes() -> dict[str, int]:
    """Every exchange class of ccxt in its three flavours: built, wrapped, built, unwrapped, compared."""
    import ccxt
    import ccxt.async_support
    import ccxt.pro
    from tickspan_ccxt import CcxtInstrumentor

    from tickspan.testing.capture import capture

    flavours: tuple[Any, ...] = (ccxt, ccxt.async_support, ccxt.pro)

    def build() -> None:
        for flavour in flavours:
            for name in flavour.exchanges:
                getattr(flavour, name)()

    build()  # ccxt binds second names to its methods when a class is first built
    before = _entries(ccxt)
    with capture() as told:
        CcxtInstrumentor().instrument(tracer_provider=told.tracer_provider)
        build()
        during = _entries(ccxt)
        CcxtInstrumentor().uninstrument()
    after = _entries(ccxt)
    return {
        "exchanges": len(ccxt.exchanges),
        "classes": len({cls for cls, _ in before}),
        "entries": len(before),
        "wrapped": sum(during.get(key) is not value for key, value in before.items()),
        "wrapped_classes": len({key[0] for key, value in before.items() if during[key] is not value}),
        "different": sum(after.get(key) is not value for key, value in before.items())
        + len(after.keys() ^ before.keys()),
    }


def _entries(ccxt: Any) -> dict[tuple[type, str], Any]:
    """Every attribute of every class of ccxt's, as the object that stands in its `__dict__`."""
    base = next(cls for cls in reversed(ccxt.Exchange.__mro__) if cls is not object)
    found: set[type] = set()
    pending = [base]
    while pending:
        cls = pending.pop()
        found.add(cls)
        pending += [below for below in cls.__subclasses__() if below.__module__.startswith("ccxt.")]
    return {(cls, name): value for cls in found for name, value in vars(cls).items()}

"""Turns of the alarms, each in a child of the nursery: streams that fall silent or die, doubled orders.

Clients are real, and so is the venue, on loopback. What comes back is what happened and when, by the bot's
own eyes; what was told of it is for the back end to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlencode

from benchmarks.trading import switching
from benchmarks.trading.frames import SYMBOL

STALE_S: Final = 1.0
"""The threshold: a stream that is silent for longer is stale."""
GRACE_S: Final = 1.0
"""How long after its threshold an alarm may come."""
_WAIT_S: Final = STALE_S + GRACE_S + 0.6
_TICK_S: Final = 0.05
_TICKS: Final = 8
_SETTLE_S: Final = 1.2
"""Until a batch of log records has left."""
_PRICE: Final = 90_000
Trouble = dict[str, int]
"""When it began, and from when on no alarm counts as its own; Unix nanoseconds."""


def streams(kind: str, times: int) -> list[Trouble]:
    """A stream gets into trouble so many times, of a new exchange object each time."""
    switching.begin(feed_stale_s=STALE_S)
    done = [asyncio.run(_trouble(kind, number)) for number in range(times)]
    switching.end(_SETTLE_S)
    return done


async def _trouble(kind: str, number: int) -> Trouble:
    """The bot watches; then it happens; then there is time enough for an alarm."""
    import ccxt
    import ccxt.pro

    from tickspan.testing.venue import Behaviour, VenueSimulator

    behaviour = Behaviour(tick_interval_s=_TICK_S, mute_s=_WAIT_S + 2, symbols=(SYMBOL,))
    with VenueSimulator(seed=number, behaviour=behaviour) as venue:
        exchange = venue.connect.ccxt(ccxt.pro.binance({"enableRateLimit": False}))
        asyncio.get_running_loop().set_exception_handler(_unheard)
        # Looks come once a second: troubles begin at any moment between two of them.
        await asyncio.sleep(number * 0.37 % 1)
        for _ in range(_TICKS):
            await exchange.watch_ticker(SYMBOL)
        seen_ns = [time.time_ns()]
        watching = asyncio.create_task(_watch(exchange, seen_ns))
        with suppress(TimeoutError):
            await asyncio.wait_for(_TROUBLES[kind](exchange, venue, seen_ns), _WAIT_S)
        since_ns = seen_ns[-1]
        await asyncio.sleep(max(0.0, _WAIT_S - (time.time_ns() - since_ns) / 1e9))
        until_ns = time.time_ns()
        watching.cancel()
        with suppress(asyncio.CancelledError, ccxt.BaseError):
            await watching
        await exchange.close()
    return {"since_ns": since_ns, "until_ns": until_ns}


async def _watch(exchange: Any, seen_ns: list[int]) -> None:
    while True:
        await exchange.watch_ticker(SYMBOL)
        seen_ns.append(time.time_ns())


async def _mute(exchange: Any, venue: Any, seen_ns: list[int]) -> None:
    """The connection stays, and nothing comes."""
    from tickspan.testing.venue import Fault

    del exchange
    venue.next(Fault.MUTE)
    await _silence(seen_ns)


async def _mute_and_blocked(exchange: Any, venue: Any, seen_ns: list[int]) -> None:
    """The same, and then the program keeps its loop busy."""
    await _mute(exchange, venue, seen_ns)
    time.sleep(_WAIT_S)  # noqa: ASYNC251 - that is the fault


async def _blocked(exchange: Any, venue: Any, seen_ns: list[int]) -> None:
    """The venue speaks, and the program keeps its loop busy: nobody reads."""
    del exchange, venue, seen_ns
    time.sleep(_WAIT_S)  # noqa: ASYNC251 - that is the fault


async def _broken(exchange: Any, venue: Any, seen_ns: list[int]) -> None:
    """The connection breaks, and the bot gives up at ccxt's exception."""
    from tickspan.testing.venue import Fault

    del exchange
    venue.next(Fault.DISCONNECT)
    await _silence(seen_ns)


async def _dead(exchange: Any, venue: Any, seen_ns: list[int]) -> None:
    """A message that ccxt cannot read ends its read loop; the socket stays open."""
    del venue
    raised = asyncio.Event()

    def unreadable(*_: Any) -> None:
        seen_ns.append(time.time_ns())
        raised.set()
        raise KeyError("payload")

    exchange.parse_ws_ticker = unreadable
    await raised.wait()


async def _dead_and_blocked(exchange: Any, venue: Any, seen_ns: list[int]) -> None:
    """The same, and then the program keeps its loop busy."""
    await _dead(exchange, venue, seen_ns)
    time.sleep(_WAIT_S)  # noqa: ASYNC251 - that is the fault


_TROUBLES: Final[dict[str, Callable[[Any, Any, list[int]], Any]]] = {
    "mute": _mute,
    "mute, loop blocked": _mute_and_blocked,
    "loop blocked": _blocked,
    "broken": _broken,
    "dead": _dead,
    "dead, loop blocked": _dead_and_blocked,
}


async def _silence(seen_ns: list[int]) -> None:
    """Until nothing has come for several ticks."""
    while time.time_ns() - seen_ns[-1] < 5 * _TICK_S * 1e9:  # noqa: ASYNC110 - nothing tells of nothing
        await asyncio.sleep(_TICK_S)


def _unheard(*_: Any) -> None:
    """What the read loop died of is not printed."""


def doubled(kind: str, times: int) -> dict[str, Any]:
    """So many calls, each of which leaves two orders at the venue: the client ids of the second ones."""
    from tickspan.testing.venue import Behaviour, VenueSimulator

    dialect = "alpaca" if kind == "alpaca-py" else "binance"
    symbols = ("AAPL/USD=190",) if dialect == "alpaca" else (SYMBOL,)
    balances = {"USD": "100000000", "USDT": "100000000", "BTC": "1000"}
    behaviour = Behaviour(symbols=symbols, balances=balances, order_limit_10s=100_000)
    with VenueSimulator(dialect=dialect, seed=1, behaviour=behaviour) as venue, ExitStack() as stack:
        hosts = (f"127.0.0.1:{venue.address[1]}=binance/simulated",) if kind in _BY_HOST else ()
        switching.begin(hosts=hosts)
        double = stack.enter_context(_DOUBLES[kind](venue))
        second: list[str] = []
        for _ in range(times):
            before = len(venue.orders)
            double()
            made = [order.client_id for order in venue.orders[before:]]
            if len(made) != 2:
                raise AssertionError(f"{kind}: {len(made)} orders of one call; the fault did not strike")
            second.append(made[-1])
    switching.end(_SETTLE_S)
    return {"second": second}


@contextmanager
def _ccxt(venue: Any) -> Generator[Callable[[], object]]:
    """After HTTP 504, ccxt sends an order again, with a new client id."""
    import ccxt

    from tickspan.testing.venue import Fault

    exchange = venue.connect.ccxt(ccxt.binance(_RETRYING))
    exchange.load_markets()

    def double() -> None:
        venue.next(Fault.ACCEPT_THEN_504)
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, _PRICE)

    yield double


@contextmanager
def _ccxt_async(venue: Any) -> Generator[Callable[[], object]]:
    """The same of its asynchronous form."""
    import ccxt.async_support

    from tickspan.testing.venue import Fault

    with asyncio.Runner() as runner:

        async def made() -> Any:
            exchange = venue.connect.ccxt(ccxt.async_support.binance(_RETRYING))
            await exchange.load_markets()
            return exchange

        exchange = runner.run(made())

        def double() -> None:
            venue.next(Fault.ACCEPT_THEN_504)
            runner.run(exchange.create_order(SYMBOL, "limit", "buy", 0.01, _PRICE))

        yield double
        runner.run(exchange.close())


@contextmanager
def _alpaca(venue: Any) -> Generator[Callable[[], object]]:
    """alpaca-py sends an order again after HTTP 504."""
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import LimitOrderRequest

    from tickspan.testing.venue import Fault

    client: Any = TradingClient(**venue.connect.alpaca(TradingClient))
    client._retry_wait = 0.01  # noqa: SLF001 - three seconds teach nothing

    def double() -> None:
        venue.next(Fault.ACCEPT_THEN_504)
        client.submit_order(
            LimitOrderRequest(
                symbol="AAPL", side=OrderSide.BUY, qty=1, limit_price=250, time_in_force=TimeInForce.DAY
            )
        )

    yield double
    client._session.close()  # noqa: SLF001 - it has no other way


@contextmanager
def _requests(venue: Any) -> Generator[Callable[[], object]]:
    """requests, told by urllib3's `Retry` to send again after HTTP 504."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    from tickspan.testing.venue import Fault

    with requests.Session() as session:
        retry = Retry(total=1, status_forcelist=[504], allowed_methods=None, backoff_factor=0)
        session.mount("http://", HTTPAdapter(max_retries=retry))

        def double() -> None:
            venue.next(Fault.ACCEPT_THEN_504)
            session.post(
                f"{venue.url}/api/v3/order", data=signed(venue, {}), headers=headers_of(venue), timeout=5
            )

        yield double


@contextmanager
def _again(venue: Any) -> Generator[Callable[[], object]]:
    """The program itself sends an equal order while nobody knows the fate of the first."""
    import ccxt

    from tickspan.testing.venue import Fault

    settings: Any = {"enableRateLimit": False}
    exchange = venue.connect.ccxt(ccxt.binance(settings))
    exchange.load_markets()
    number = 0

    def double() -> None:
        nonlocal number
        number += 1
        venue.next(Fault.ACCEPT_THEN_504)
        for _ in range(2):
            with suppress(ccxt.NetworkError):
                exchange.create_order(SYMBOL, "limit", "buy", 0.01, _PRICE + number)

    yield double


_RETRYING: Final[Any] = {
    "enableRateLimit": False,
    "options": {"maxRetriesOnFailure": 1, "maxRetriesOnFailureDelay": 10},
}
_BY_HOST: Final = ("requests and urllib3",)
_DOUBLES: Final[dict[str, Callable[[Any], Any]]] = {
    "ccxt": _ccxt,
    "ccxt, asynchronous": _ccxt_async,
    "alpaca-py": _alpaca,
    "requests and urllib3": _requests,
    "the program itself": _again,
}


def signed(venue: Any, fields: dict[str, str]) -> str:
    """The form of a limit order at a simulated Binance, with its signature."""
    from tickspan.testing.venue.credentials import Credentials

    order = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.01",
        "price": str(_PRICE),
    }
    query = urlencode({**order, **fields, "timestamp": str(time.time_ns() // 1_000_000)})
    return f"{query}&signature={Credentials(venue.connect.api_key, venue.connect.secret).sign(query)}"


def headers_of(venue: Any) -> dict[str, str]:
    """Of such a request."""
    return {
        "X-MBX-APIKEY": venue.connect.api_key,
        "Content-Type": "application/x-www-form-urlencoded",
    }

"""A bot in trouble: each thing that costs money and that no exception tells, planted once.

Each scene has a simulated venue of its own that misbehaves in one way. What was planted is printed as lines
of JSON; that it is noticed is not this program's business. Run it: `python -m tickspan.demo.trouble`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import ccxt
import ccxt.pro

import tickspan
from tickspan.demo.signals import Signal
from tickspan.testing.venue import Behaviour, Fault, VenueSimulator
from tickspan.testing.venue.simulator import API_KEY

SYMBOL: Final = "BTC/USDT"
HIGH: Final = 90_000
"""The limit of an order that fills at once."""
LOW: Final = 50_000
"""The limit of an order that rests."""
PATIENCE_S: Final = 10.0
_UNHURRIED: Any = {"enableRateLimit": False}


def main() -> None:
    """Play all scenes."""
    for scene, planted in SCENES:
        scene()
        for signal in planted:
            sys.stdout.write(json.dumps({"planted": signal.value}) + "\n")
        sys.stdout.flush()


def retried() -> None:
    """The answer to an order is lost, the client sends it again, and the venue fills both."""
    with VenueSimulator(seed=1) as venue:
        retries = {"maxRetriesOnFailure": 1, "maxRetriesOnFailureDelay": 300}
        exchange = _blocking(venue, options=retries)
        venue.next(Fault.ACCEPT_THEN_504)
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, HIGH)


def lost() -> None:
    """The answer to an order is lost, and nothing more is heard of it; the same order is sent once more."""
    with VenueSimulator(seed=2) as venue:
        exchange = _blocking(venue)
        venue.next(Fault.ACCEPT_THEN_RESET)
        for _ in range(2):
            with contextlib.suppress(ccxt.NetworkError):
                exchange.create_order(SYMBOL, "limit", "buy", 0.02, LOW)
        time.sleep(1.5)  # longer than it may be unknown


def refused() -> None:
    """Orders that are refused: by the venue, by the client library, by a check of our own."""
    with VenueSimulator(seed=3) as venue:
        exchange = _blocking(venue)
        venue.next(Fault.REJECT)
        with contextlib.suppress(ccxt.BaseError):
            exchange.create_order(SYMBOL, "limit", "buy", 0.01, LOW)
        with contextlib.suppress(ccxt.BaseError):
            exchange.create_order("NO/SUCH", "limit", "buy", 0.01, LOW)
        if is_small_enough(3.0):
            exchange.create_order(SYMBOL, "limit", "buy", 3.0, LOW)


@tickspan.risk_check("largest amount")
def is_small_enough(amount: float) -> bool:
    """A limit of our own."""
    return amount <= 1


def hurried() -> None:
    """Orders faster than the client's own throttle lets go."""
    with VenueSimulator(seed=4) as venue:
        exchange = _blocking(venue)
        exchange.enableRateLimit, exchange.rateLimit = True, 4_000  # milliseconds for one unit of weight
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, LOW)


def greedy() -> None:
    """Requests until the venue's budget is nearly spent, refused, and then banned."""
    with VenueSimulator(seed=5) as venue:
        exchange = _blocking(venue)
        for _ in range(200):
            exchange.public_get_trades({"symbol": "BTCUSDT"})  # each costs 25 of 6,000 a minute
        for fault in (Fault.RATE_LIMIT_429, Fault.BAN_418):
            venue.next(fault)
            with contextlib.suppress(ccxt.BaseError):
                exchange.fetch_ticker(SYMBOL)


def apart() -> None:
    """The venue's clock is two seconds ahead of ours."""
    with VenueSimulator(seed=6, behaviour=Behaviour(clock_skew_s=2.0)) as venue:
        _blocking(venue).load_time_difference()


def mute() -> None:
    """A stream falls silent while connected; an order is decided on what it said last; then it is back."""

    async def play(venue: VenueSimulator, exchange: Any) -> None:
        for _ in range(40):
            await exchange.watch_ticker(SYMBOL)
        venue.next(Fault.MUTE)
        await asyncio.sleep(2.5)
        await exchange.create_order(SYMBOL, "limit", "buy", 0.01, LOW)
        for _ in range(20):
            await exchange.watch_ticker(SYMBOL)
        await asyncio.sleep(1.5)

    _streaming(Behaviour(tick_interval_s=0.02, mute_s=3.5), play)


def gapped() -> None:
    """Messages of a stream are lost on the way."""

    async def play(venue: VenueSimulator, exchange: Any) -> None:
        for _ in range(5):
            await exchange.watch_trades(SYMBOL)
        venue.next(Fault.SEQUENCE_GAP)
        for _ in range(5):
            await exchange.watch_trades(SYMBOL)

    _streaming(Behaviour(tick_interval_s=0.02), play)


def slow() -> None:
    """A strategy that is busy elsewhere while prices come."""

    async def play(_venue: VenueSimulator, exchange: Any) -> None:
        await exchange.watch_ticker(SYMBOL)
        await asyncio.sleep(0.5)
        await exchange.watch_ticker(SYMBOL)

    _streaming(Behaviour(tick_interval_s=0.02), play)


def broken() -> None:
    """A message that the client library cannot digest: its receive loop dies, the socket stays open."""

    def indigestible(*_: Any) -> None:
        raise KeyError("s")

    async def play(_venue: VenueSimulator, exchange: Any) -> None:
        asyncio.get_running_loop().set_exception_handler(_unheard)
        await exchange.watch_ticker(SYMBOL)
        exchange.parse_ws_ticker = indigestible
        await asyncio.sleep(0.3)

    _streaming(Behaviour(tick_interval_s=0.02), play)


def strange() -> None:
    """A fill of an order that nobody here placed."""

    async def play(venue: VenueSimulator, exchange: Any) -> None:
        watching = asyncio.create_task(exchange.watch_orders())
        await _until(lambda: any("userDataStream" in one.path for one in venue.requests))
        await asyncio.sleep(0.2)
        with _untold():
            stranger = venue.connect.ccxt(ccxt.binance(_UNHURRIED))
            await asyncio.to_thread(stranger.create_order, SYMBOL, "limit", "buy", 0.01, LOW)
        await watching

    _streaming(Behaviour(tick_interval_s=0.02), play, api_key="another-account")


SCENES: Final[tuple[tuple[Callable[[], None], tuple[Signal, ...]], ...]] = (
    (retried, (Signal.UNSAFE_RETRY, Signal.RETRIED)),
    (lost, (Signal.UNKNOWN, Signal.DUPLICATE)),
    (refused, (Signal.REFUSED_BY_VENUE, Signal.REFUSED_BY_LIBRARY, Signal.REFUSED_BY_RISK)),
    (hurried, (Signal.THROTTLED,)),
    (greedy, (Signal.BUDGET_NEAR, Signal.BUDGET_SPENT, Signal.BANNED)),
    (apart, (Signal.CLOCK,)),
    (mute, (Signal.MUTE, Signal.STALE_DECISION, Signal.RECOVERED)),
    (gapped, (Signal.GAP,)),
    (slow, (Signal.CONFLATED,)),
    (broken, (Signal.DEAD_LOOP,)),
    (strange, (Signal.UNMATCHED,)),
)


def _blocking(venue: VenueSimulator, **config: Any) -> Any:
    settings: Any = {**_UNHURRIED, **config}
    exchange = venue.connect.ccxt(ccxt.binance(settings))
    exchange.load_markets()
    return exchange


def _streaming(
    behaviour: Behaviour, play: Callable[[VenueSimulator, Any], Awaitable[None]], api_key: str = API_KEY
) -> None:
    async def run(venue: VenueSimulator) -> None:
        exchange = venue.connect.ccxt(ccxt.pro.binance(_UNHURRIED))
        try:
            await play(venue, exchange)
        finally:
            await exchange.close()

    with VenueSimulator(seed=7, behaviour=behaviour, api_key=api_key) as venue:
        asyncio.run(run(venue))


def _untold() -> contextlib.AbstractContextManager[None]:
    """Somebody else's doing: nothing of it is recorded."""
    from tickspan.instrumentation import suppressed  # an application has no reason for it

    return suppressed()


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - the venue runs in another thread
            await asyncio.sleep(0.02)


def _unheard(*_: Any) -> None:
    """Asyncio would print it."""


if __name__ == "__main__":
    main()

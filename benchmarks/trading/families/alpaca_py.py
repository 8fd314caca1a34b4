"""alpaca-py: orders by its blocking client in a thread, replaced, canceled; reports by its trading stream."""

from __future__ import annotations

import asyncio
import importlib
import warnings
from random import Random
from typing import Any, Final

from benchmarks.trading.families.family import Family, settled
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

_SYMBOL: Final = "AAPL"
_ORDERS: Final = 25
_EXECUTION_DIGITS: Final = 12
"""The simulated venue's number is the last part of the UUID."""


def _play(venue: VenueSimulator, told: Capture, seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the older half of websockets, at the import
        importlib.import_module("alpaca.trading.stream")  # and says nothing later
    asyncio.run(_trade(venue, told, Random(seed)))  # noqa: S311 - lots, no secret)


async def _trade(venue: VenueSimulator, told: Capture, lots: Random) -> None:
    from alpaca.trading.client import TradingClient
    from alpaca.trading.stream import TradingStream

    client: Any = TradingClient(**venue.connect.alpaca(TradingClient))
    client._retry_wait = 0.01  # noqa: SLF001 - three seconds teach nothing
    stream: Any = TradingStream(**venue.connect.alpaca(TradingStream))
    stream._reconnect_min_backoff = stream._reconnect_max_backoff = 0.01  # noqa: SLF001 - the same
    stream.subscribe_trade_updates(_heard)
    reading = asyncio.create_task(stream._run_forever())  # noqa: SLF001 - `run` would start a loop
    async with asyncio.timeout(10):
        while not stream._running:  # noqa: ASYNC110, SLF001 - it tells nobody
            await asyncio.sleep(0.002)
    await asyncio.sleep(0.05)  # the venue has heard that it is listened to
    for number in range(_ORDERS):
        await asyncio.to_thread(_act, client, lots, number)
    await settled(venue, told, _number)
    await _stop(reading)
    await stream.close()
    client._session.close()  # noqa: SLF001 - it has no other way


async def _heard(_: Any) -> None:
    """The program has no use for it."""


def _act(client: Any, lots: Random, number: int) -> None:
    """One order, which may be replaced or canceled afterwards; whatever the venue answers."""
    import requests
    from alpaca.common.exceptions import APIError
    from alpaca.trading.enums import OrderSide, TimeInForce
    from alpaca.trading.requests import LimitOrderRequest, ReplaceOrderRequest

    request = LimitOrderRequest(
        symbol=_SYMBOL,
        side=OrderSide.BUY,
        qty=10,
        limit_price=250,
        time_in_force=TimeInForce.DAY,
        client_order_id=f"order {number}",
    )
    try:
        order = client.submit_order(request)
        lot = lots.random()
        if lot < 0.2:
            client.replace_order_by_id(order.id, ReplaceOrderRequest(qty=5, client_order_id=f"next {number}"))
        elif lot < 0.4:
            client.cancel_order_by_id(order.id)
    except (APIError, requests.RequestException):
        pass


async def _stop(reading: asyncio.Task[Any]) -> None:
    """Cancel until it has ended: before Python 3.12 `wait_for` may lose a cancellation."""
    left = {reading}
    while left:
        reading.cancel()
        _, left = await asyncio.wait(left, timeout=0.1)


def _number(execution_id: str) -> str:
    return str(int(execution_id[-_EXECUTION_DIGITS:], 16))


ALPACA: Final = Family(
    "alpaca",
    "tickspan_alpaca:AlpacaInstrumentor",
    _play,
    knobs={
        "symbols": ("AAPL/USD=190",),
        "balances": {"USD": "1000000", "AAPL": "100"},
    },
    more={Fault.RATE_LIMIT_429: 0.05},
    execution_number=_number,
)

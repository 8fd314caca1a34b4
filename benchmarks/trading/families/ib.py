"""ib_async and ib_insync: orders are changed and canceled at a simulated TWS, while connections break."""

from __future__ import annotations

import asyncio
import importlib
from random import Random
from typing import Any, Final

from benchmarks.trading.families.family import Family, Play
from tickspan.testing.capture import Capture
from tickspan.testing.venue import Fault, VenueSimulator

_ORDERS: Final = 25
_CLIENT_ID: Final = 7
_PATIENCE_S: Final = 60.0


def _playing(library: str) -> Play:
    def play(venue: VenueSimulator, told: Capture, seed: int) -> None:
        del told
        module = importlib.import_module(library)
        get_loop: Any = importlib.import_module(f"{library}.util").getLoop
        getattr(get_loop, "cache_clear", _nothing)()  # ib_async keeps the first loop that it meets for ever
        asyncio.run(_trade(module, venue, Random(seed)))  # noqa: S311 - lots, no secret

    return play


def _nothing() -> None:
    """ib_insync keeps none."""


async def _trade(library: Any, venue: VenueSimulator, lots: Random) -> None:
    """Until the venue has taken enough orders; then it is asked for what was not heard of."""
    ib = library.IB()
    bot = _Bot(library, ib, venue, lots)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await bot.connect()
            while len(venue.orders) < _ORDERS:
                await bot.act()
                if lots.random() < 0.05:
                    venue.next(lots.choice((Fault.DISCONNECT, Fault.MUTE)))
            await asyncio.sleep(0.5)  # what is late comes now
            ib.disconnect()
            await asyncio.sleep(0.05)
            await bot.connect()
    finally:
        ib.disconnect()
        await asyncio.sleep(0)


class _Bot:
    def __init__(self, library: Any, ib: Any, venue: VenueSimulator, lots: Random) -> None:
        self._library, self._ib, self._venue, self._lots = library, ib, venue, lots
        self._trades: list[Any] = []

    async def connect(self) -> None:
        await self._ib.connectAsync(*self._venue.connect.ib_address, clientId=_CLIENT_ID)

    async def act(self) -> None:
        """One order, or something about an earlier one."""
        try:
            await self._act()
            await asyncio.sleep(self._lots.choice((0, 0.005, 0.02)))
        except (ConnectionError, TimeoutError):
            self._trades.clear()
        except AssertionError:
            pass  # the library holds an order for done, after it has sent the change

    async def _act(self) -> None:
        ib, lots = self._ib, self._lots
        if not ib.isConnected():
            await self.connect()
        open_ones = [trade for trade in self._trades if trade.order.permId and not trade.isDone()]
        lot = lots.random()
        if open_ones and lot < 0.2:
            ib.cancelOrder(lots.choice(open_ones).order)
        elif open_ones and lot < 0.4:
            trade = lots.choice(open_ones)
            trade.order.lmtPrice = lots.choice((150, 300))
            ib.placeOrder(trade.contract, trade.order)
        else:
            (contract,) = await ib.qualifyContractsAsync(self._library.Stock("AAPL", "SMART", "USD"))
            order = self._library.LimitOrder("BUY", 10, lots.choice((150, 300, 300)))
            self._trades.append(ib.placeOrder(contract, order))


def _number(execution_id: str) -> str:
    """`0000e0d5.004c4b41.01.01`: the simulated venue's number is the second part."""
    return str(int(execution_id.split(".")[1], 16))


def _family(library: str) -> Family:
    return Family(
        "tws",
        "tickspan_ib:IbInstrumentor",
        _playing(library),
        knobs={
            "symbols": ("AAPL/USD=200",),
            "balances": {"USD": "1000000", "AAPL": "1000"},
            "fee_asset": "USD",
            "mute_s": 0.1,
        },
        without=frozenset({Fault.RATE_LIMIT_429}),  # this protocol has no such answer
        more={Fault.LOST_EVENT: 0.05},
        execution_number=_number,
    )


IB_ASYNC: Final = _family("ib_async")
IB_INSYNC: Final = _family("ib_insync")

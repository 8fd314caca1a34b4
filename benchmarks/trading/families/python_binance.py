"""python-binance: spot orders by REST and by WebSocket, and futures; reports by the user's socket."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import suppress
from random import Random
from typing import Any, Final

from benchmarks.trading.families.family import Family, Play, settled
from tickspan.testing.capture import Capture
from tickspan.testing.venue import VenueSimulator

_SYMBOL: Final = "BTCUSDT"
_ORDERS: Final = 20
_SILENCE_S: Final = 0.5
"""How long a socket waits before it looks whether it was closed; ten seconds as installed."""


def _playing(create: str, user_socket: str) -> Play:
    def play(venue: VenueSimulator, told: Capture, seed: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of websockets, at the library's import
            from binance.ws.reconnecting_websocket import ReconnectingWebsocket
        ReconnectingWebsocket.TIMEOUT = _SILENCE_S  # pyright: ignore[reportAttributeAccessIssue]
        with venue.connect.python_binance() as account:
            lots = Random(seed)  # noqa: S311 - no secret
            asyncio.run(_trade(venue, told, lots, account, create, user_socket))

    return play


async def _trade(
    venue: VenueSimulator,
    told: Capture,
    lots: Random,
    account: dict[str, Any],
    create: str,
    user_socket: str,
) -> None:
    import binance

    client = await _created(account)
    # Reports come by another client: a reset of the one that trades would end them too.
    other = await _created(account)
    sockets: Any = binance.BinanceSocketManager(client)
    async with (
        getattr(binance.BinanceSocketManager(other), user_socket)() as user,
        sockets.trade_socket(_SYMBOL) as ticks,
    ):
        listening = asyncio.create_task(_listen(user))
        for _ in range(_ORDERS):
            await _act(client, ticks, create, lots)
        await settled(venue, told)
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
    for one in (client, other):
        await _reconnected(one.ws_api)
        await one.close_connection()


async def _act(client: Any, ticks: Any, create: str, lots: Random) -> None:
    """An order on the next tick; some rest and are canceled."""
    from binance.exceptions import ReadLoopClosed

    with suppress(ReadLoopClosed):  # its queue was full while the bot waited: it goes on without ticks
        await ticks.recv()
    await _reconnected(client.ws_api)  # a request meanwhile connects too, and one connection is left over
    rests = lots.random() < 0.2
    terms = {"symbol": _SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
    cancel = create.replace("create", "cancel")
    with suppress(*_refusals()):
        order = await getattr(client, create)(**terms, price="10000" if rests else "90000")
        if rests:
            await getattr(client, cancel)(symbol=_SYMBOL, orderId=order["orderId"])


async def _listen(user: Any) -> None:
    while True:
        await user.recv()


async def _created(account: dict[str, Any]) -> Any:
    """A client; the first requests may be turned away too."""
    import binance

    async with asyncio.timeout(5):
        while True:
            with suppress(*_refusals()):
                return await binance.AsyncClient.create(**account)


async def _reconnected(socket: Any) -> None:
    """A socket that is closed while it connects again forgets that it was to end: `close` never returns."""
    from binance.ws.constants import WSListenerState

    async with asyncio.timeout(10):
        while (  # noqa: ASYNC110 - the library has no event to wait for
            socket._handle_read_loop is not None  # noqa: SLF001 - the same
            and socket.ws_state is WSListenerState.RECONNECTING
        ):
            await asyncio.sleep(0.01)


def _refusals() -> tuple[type[Exception], ...]:
    import aiohttp
    import binance

    return (
        binance.BinanceAPIException,
        binance.BinanceWebsocketUnableToConnect,
        aiohttp.ServerDisconnectedError,
    )


_INSTRUMENTOR: Final = "tickspan_binance:BinanceInstrumentor"
REST: Final = Family("binance", _INSTRUMENTOR, _playing("create_order", "user_socket"))
WEBSOCKET: Final = Family("binance", _INSTRUMENTOR, _playing("ws_create_order", "user_socket"))
FUTURES: Final = Family("binance", _INSTRUMENTOR, _playing("futures_create_order", "futures_user_socket"))

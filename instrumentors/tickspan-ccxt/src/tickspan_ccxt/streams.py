"""The streams of ccxt.pro's connections, one per connection, channel and instrument: heard, silent, torn."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.trading import Feed, Feeds, feeds_of, open_message

from tickspan_ccxt.describe import LIBRARY, environment_of, exchange_of, venue_of
from tickspan_ccxt.sequences import numbers_in

CONNECTION: Final = "connection"
"""The channel under which a connection itself is told: all its messages, its attempts, its loop."""
ORDER_CHANNELS: Final = frozenset({"orders", "executions"})
_STREAMS: Final = "_tickspan_streams"
_SILENT: Final = "_tickspan_silent"
"""Attributes of ccxt's clients, which are of a plain Python class; the names are ours alone."""
_SIGNS_OF_LIFE: Final = ("PING", "PONG")
_ON_PURPOSE: Final = 1000
_TOPICS: Final[Mapping[str, str]] = {
    "ticker": "ticker",
    "trades": "trades",
    "orderbook": "order_book",
    "ohlcv": "ohlcv",
    "orders": "orders",
    "myTrades": "executions",
}
"""ccxt's words for what a subscription is about, and ours."""

Key = tuple[str, str | None]
_THE_CONNECTION: Final[Key] = (CONNECTION, None)
_NONE: Final[dict[Key, Feed]] = {}
"""What a connection that was never heard has: looked into, never written."""


def streams_of(bench: Workbench) -> Streams:
    """The streams that all rows of one instrumentor share."""
    known = _streams.get(bench)
    if known is None:
        known = _streams[bench] = Streams(feeds_of(bench))
    return known


class Streams:
    """The feeds of all connections. Each connection keeps its own."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds

    def of(self, client: Any, channel: str, instrument: str | None) -> Feed:
        """The stream of `channel` and `instrument` on the connection `client`."""
        known: dict[Key, Feed] = client.__dict__.get(_STREAMS, _NONE)
        feed = known.get((channel, instrument))
        if feed is None:
            known = _known(client)
            exchange = exchange_of(client)
            feed = known[channel, instrument] = self._feeds.feed(
                venue_of(exchange) if exchange is not None else "unknown",
                channel,
                library=LIBRARY,
                environment=environment_of(exchange) if exchange is not None else None,
                key=(id(client), instrument),
                owner=client,
                is_private=channel in ORDER_CHANNELS or channel == CONNECTION,
            )
        return feed

    def connection(self, client: Any) -> Feed:
        """The connection itself."""
        return self.of(client, CONNECTION, None)

    def all_of(self, client: Any) -> tuple[Feed, ...]:
        """Every stream of the connection, and the connection itself."""
        return tuple(_known(client).values())

    def heard(self, client: Any, raw: Any) -> None:
        """A message of a connection was handled, well or not."""
        message = open_message()
        if message is None:
            return
        at_ns, data = message.received_ns, raw.data
        size = len(data) if isinstance(data, str | bytes) else 0
        if message.feed is not None:
            message.feed.bytes += size
        for (channel, instrument), heard in message.streams.items():
            feed = self.of(client, channel, instrument)
            feed.received(at_ns, venue_time_ns=heard.venue_time_ns, size_bytes=size)
            if not heard.is_awaited:
                feed.conflated()
        kind: Any = getattr(raw.type, "name", None)
        if not message.streams and kind in _SIGNS_OF_LIFE:
            for feed in self.all_of(client):
                feed.alive(at_ns)

    def resume(self, client: Any) -> None:
        """The receive loop of a connection has died with its handler: start it again, if that is wished."""
        if self._feeds.settings.resume_receive_loop:
            client.asyncio_loop.call_soon(client.receive_loop)

    def numbered(self, client: Any, content: Any) -> None:
        """A decoded message, for venues whose messages carry numbers."""
        exchange = exchange_of(client)
        told = numbers_in(venue_of(exchange), content) if exchange is not None else None
        if told is not None:
            self.of(client, told.channel, told.symbol).sequenced(told.first, told.last)

    def forgotten(self, exchange: Any, subscription: Any) -> None:
        """The program has unsubscribed: silence is right from now on."""
        if not isinstance(subscription, Mapping):
            return
        channel = _TOPICS.get(str(subscription.get("topic")))
        symbols: frozenset[str | None] = frozenset(subscription.get("symbols") or ())
        clients: Mapping[str, Any] = getattr(exchange, "clients", None) or {}
        for client in tuple(clients.values()):
            for (known_channel, instrument), feed in _known(client).items():
                if known_channel == channel and (not symbols or instrument in symbols):
                    feed.closed()


def _known(client: Any) -> dict[Key, Feed]:
    known: dict[Key, Feed] | None = client.__dict__.get(_STREAMS)
    if known is None:
        known = client.__dict__[_STREAMS] = {}
    return known


def connection_of(bench: Workbench, client: Any, _args: tuple[Any, ...]) -> Feed:
    """The stream that stands for the connection a message came by."""
    known: dict[Key, Feed] = client.__dict__.get(_STREAMS, _NONE)
    return known.get(_THE_CONNECTION) or streams_of(bench).connection(client)


def hearing(original: Any, bench: Workbench) -> Any:
    """`Client.handle_message(message)`, inside of what makes the message the open one."""
    streams, guard = streams_of(bench), bench.guard("Client.handle_message")

    @functools.wraps(original)
    def handle_message(client: Any, message: Any) -> Any:
        if not bench.is_active:
            return original(client, message)
        try:
            return original(client, message)
        except Exception:
            guard.own(streams.resume, client, default=None)
            raise
        finally:
            guard.own(streams.heard, client, message, default=None)

    return handle_message


def dialling(original: Any, bench: Workbench) -> Any:
    """`Client.connect`, in the caller's context: whether the caller wishes silence is known here only."""

    @functools.wraps(original)
    def connect(client: Any, *args: Any, **kwargs: Any) -> Any:
        if bench.is_active:
            client.__dict__[_SILENT] = is_suppressed()
        return original(client, *args, **kwargs)

    return connect


def opening(original: Any, bench: Workbench) -> Any:
    """`Client.open`: one attempt; it catches what goes wrong, and leaves the connection unconnected."""
    streams, guard = streams_of(bench), bench.guard("Client.open")

    @functools.wraps(original)
    async def open_client(client: Any, *args: Any, **kwargs: Any) -> Any:
        if not bench.is_active or client.__dict__.get(_SILENT):
            return await original(client, *args, **kwargs)
        attempt = guard.own(lambda: streams.connection(client).connecting(), default=None)
        try:
            result = await original(client, *args, **kwargs)
        except BaseException as error:
            if attempt is not None:
                guard.own(attempt.failed, error, default=None)
            raise
        if attempt is not None and client.isConnected:
            guard.own(attempt.succeeded, default=None)
        elif attempt is not None:
            guard.own(attempt.failed, client.error or ConnectionError(), default=None)
        return result

    return open_client


def breaking(original: Any, bench: Workbench) -> Any:
    """`Client.on_error(error)`: the connection is torn; its streams stay watched, for their data grow old."""
    return _telling(original, bench, "Client.on_error")


def ending(original: Any, bench: Workbench) -> Any:
    """`Client.on_close(code)`: the venue has ended the connection."""
    return _telling(original, bench, "Client.on_close")


def closing(original: Any, bench: Workbench) -> Any:
    """`Client.close(code=1000)`: by the program, unless the code says that it is the end of a torn one."""
    guard, streams = bench.guard("Client.close"), streams_of(bench)

    def note(client: Any, code: int) -> None:
        if code == _ON_PURPOSE:
            for feed in streams.all_of(client):
                feed.closed()

    @functools.wraps(original)
    async def close(client: Any, code: int = _ON_PURPOSE) -> Any:
        if bench.is_active:
            guard.own(note, client, code, default=None)
        return await original(client, code)

    return close


def numbering(original: Any, _owner: type, bench: Workbench) -> Any:
    """`handle_message(client, message)` of an exchange: what the venue itself says, decoded."""
    guard, streams = bench.guard("handle_message"), streams_of(bench)

    @functools.wraps(original)
    def handle_message(exchange: Any, client: Any, message: Any) -> Any:
        if bench.is_active:
            guard.own(streams.numbered, client, message, default=None)
        return original(exchange, client, message)

    return handle_message


def _telling(original: Any, bench: Workbench, name: str) -> Any:
    streams, guard = streams_of(bench), bench.guard(name)

    def note(client: Any, told: Any) -> None:
        error = told if isinstance(told, BaseException) else None
        for feed in streams.all_of(client):
            feed.disconnected(error)

    @functools.wraps(original)
    def call(client: Any, told: Any) -> Any:
        if bench.is_active:
            guard.own(note, client, told, default=None)
        return original(client, told)

    return call


_streams: Final[weakref.WeakKeyDictionary[Workbench, Streams]] = weakref.WeakKeyDictionary()

"""The streams of ccxt.pro's exchange objects, by address, channel and instrument: heard, silent, torn."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Mapping
from typing import Any, Final

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.trading import ConnectAttempt, Feed, Feeds, Message, RecentTicks, TickRef, feeds_of, orders_of
from tickspan.trading.messages import current_slot, message_slot
from tickspan.trading.patches import tell_reports

from tickspan_ccxt.describe import LIBRARY, address_of, environment_of, exchange_of, venue_of
from tickspan_ccxt.lines import Form, Line
from tickspan_ccxt.sequences import numbers_in

CONNECTION: Final = "connection"
"""The channel under which a connection itself is told: all its messages, its attempts, its loop."""
ORDER_CHANNELS: Final = frozenset({"orders", "executions"})
_CONNECTION: Final = "_tickspan_connection"
"""Attribute of ccxt's clients, which are of a plain Python class; the name is ours alone."""
_SIGNS_OF_LIFE: Final = ("PING", "PONG")
_SIZED: Final = (str, bytes)
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


class Site:
    """One address that an exchange object streams from, whichever connection leads there now.

    ccxt drops a connection that is torn, and makes another one for whoever watches again.
    """

    __slots__ = ("client", "feeds")

    def __init__(self) -> None:
        self.feeds: dict[Key, Feed] = {}
        """By channel and instrument."""
        self.client: weakref.ref[Any] | None = None
        """The newest connection: what becomes of those before it says nothing."""


class Connection:
    """What is known of one connection of ccxt.pro."""

    __slots__ = ("feed", "forms", "is_over", "is_silent", "site")

    def __init__(self) -> None:
        self.site: Site | None = None
        """Where it leads to."""
        self.feed: Feed | None = None
        """The one that stands for the connection itself."""
        self.forms: dict[Any, Form] = {}
        """By the names under which ccxt hands results to whoever waits."""
        self.is_over = False
        """It was torn or closed; what comes of it later is no news."""
        self.is_silent = False
        """Whoever connected has asked for silence."""


def connection_of(client: Any) -> Connection:
    """What is known of the connection `client`."""
    known: Connection | None = getattr(client, _CONNECTION, None)
    if known is None:
        known = Connection()
        setattr(client, _CONNECTION, known)
    return known


class Frame(Message):
    """A message of a connection while ccxt handles it."""

    __slots__ = ("forms", "size_bytes", "unawaited")

    def __init__(self, received_ns: int, feed: Feed, forms: dict[Any, Form], size_bytes: int) -> None:
        super().__init__(received_ns, feed)
        self.forms = forms
        """Those of its connection."""
        self.size_bytes = size_bytes
        self.unawaited: list[Feed] | None = None
        """The streams that it is for, though nobody waits for it there."""

    def tick_of(self, line: Line, recent: RecentTicks, venue_time_ns: int | None) -> TickRef:
        """The tick of all that wait for this message on account of one instrument."""
        ticks, instrument = self.ticks, line.instrument
        tick = ticks.get(instrument)
        if tick is None:
            tick = ticks[instrument] = TickRef(
                line.venue,
                self.received_ns,
                instrument,
                line.channel,
                line.kind,
                venue_time_ns,
                feed=line.feed,
            )
            recent.note(tick)
        return tick


def streams_of(bench: Workbench) -> Streams:
    """The streams that all rows of one instrumentor share."""
    known = _streams.get(bench)
    if known is None:
        known = _streams[bench] = Streams(feeds_of(bench))
    return known


class Streams:
    """The feeds of all exchange objects, which are held weakly. A feed ends with its exchange object."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self._sites: weakref.WeakKeyDictionary[Any, dict[str, Site]] = weakref.WeakKeyDictionary()

    def site(self, client: Any) -> Site:
        """Where the connection `client` leads to; the newest connection stands for it."""
        connection = connection_of(client)
        site = connection.site
        if site is None:
            exchange = exchange_of(client)
            sites = {} if exchange is None else self._sites.setdefault(exchange, {})
            site = connection.site = sites.setdefault(address_of(client), Site())
            site.client = weakref.ref(client)
        return site

    def of(self, client: Any, channel: str, instrument: str | None) -> Feed:
        """The stream of `channel` and `instrument` at the address of the connection `client`."""
        known = self.site(client).feeds
        feed = known.get((channel, instrument))
        if feed is None:
            exchange = exchange_of(client)
            owner = exchange if exchange is not None else client
            feed = known[channel, instrument] = self._feeds.feed(
                venue_of(exchange) if exchange is not None else "unknown",
                channel,
                library=LIBRARY,
                environment=environment_of(exchange) if exchange is not None else None,
                key=(id(owner), address_of(client), instrument),
                owner=owner,
                is_private=channel in ORDER_CHANNELS or channel == CONNECTION,
            )
        return feed

    def connection(self, client: Any) -> Feed:
        """The connection itself."""
        known = connection_of(client)
        if known.feed is None:
            known.feed = self.of(client, CONNECTION, None)
        return known.feed

    def all_of(self, client: Any) -> tuple[Feed, ...]:
        """Every stream of the connection's address, and the connection itself."""
        return tuple(self.site(client).feeds.values())

    def begun(self, client: Any) -> ConnectAttempt:
        """The connection is about to be opened."""
        return self.connection(client).connecting()

    def opened(self, client: Any, attempt: ConnectAttempt) -> None:
        """The connection is open, and may carry what the one before it has carried."""
        connection_of(client).is_over = False
        for feed in self.all_of(client):
            if feed.is_connected is False:
                feed.carried()
        attempt.succeeded()

    def torn(self, client: Any, error: BaseException | None) -> None:
        """The connection is gone: its streams stay watched, for their data grow old."""
        if self._is_news_that_it_is_over(client):
            for feed in self.all_of(client):
                feed.disconnected(error)

    def ended(self, client: Any) -> None:
        """The program has closed the connection."""
        self._is_news_that_it_is_over(client)
        if self._leads(client):
            for feed in self.all_of(client):
                feed.closed()

    def left(self, exchange: Any) -> None:
        """The program has closed the exchange object, and with it what was torn before."""
        for site in tuple(self._sites.get(exchange, {}).values()):
            for feed in tuple(site.feeds.values()):
                feed.closed()

    def _is_news_that_it_is_over(self, client: Any) -> bool:
        connection = connection_of(client)
        was_over, connection.is_over = connection.is_over, True
        return not was_over and self._leads(client)

    def _leads(self, client: Any) -> bool:
        leading = self.site(client).client
        return leading is not None and leading() is client

    def framed(self, client: Any, raw: Any, received_ns: int) -> Frame:
        """What has come out of the socket of a connection, counted."""
        known: Connection | None = getattr(client, _CONNECTION, None)
        if known is None or known.feed is None:
            self.connection(client)
            known = connection_of(client)
        data, feed = raw.data, known.feed
        assert feed is not None
        size_bytes = len(data) if type(data) in _SIZED else 0
        feed.received(received_ns, size_bytes=size_bytes)
        return Frame(received_ns, feed, known.forms, size_bytes)

    def handled(self, client: Any, raw: Any, frame: Frame) -> None:
        """A message was handled, well or not: what nobody awaited is replaced by what comes next."""
        for feed in frame.unawaited or ():
            feed.conflated()
        if getattr(raw.type, "name", None) in _SIGNS_OF_LIFE:
            for feed in self.all_of(client):
                feed.alive(frame.received_ns)

    def failed(self, client: Any, frame: Frame, error: Exception) -> None:
        """A handler has raised: the receive loop has died with it, and starts again if that is wished."""
        if frame.feed is not None:
            frame.feed.handler_failed(error)
        if self._feeds.settings.resume_receive_loop:
            client.asyncio_loop.call_soon(client.receive_loop)

    def numbered(self, exchange: Any, client: Any, content: Any) -> None:
        """A decoded message of a venue that numbers its messages."""
        told = numbers_in(venue_of(exchange), content)
        if told is not None:
            self.of(client, told.channel, told.symbol).sequenced(told.first, told.last)

    def forgotten(self, exchange: Any, subscription: Any) -> None:
        """The program has unsubscribed: silence is right from now on."""
        if not isinstance(subscription, Mapping):
            return
        channel = _TOPICS.get(str(subscription.get("topic")))
        symbols: frozenset[str | None] = frozenset(subscription.get("symbols") or ())
        for site in tuple(self._sites.get(exchange, {}).values()):
            for (known_channel, instrument), feed in tuple(site.feeds.items()):
                if known_channel == channel and (not symbols or instrument in symbols):
                    feed.closed()


def hearing(original: Any, bench: Workbench) -> Any:
    """`Client.handle_message(raw)`: its entry is the receipt (P1), its reports are told when it returns."""
    orders, streams, guard = orders_of(bench), streams_of(bench), bench.guard("Client.handle_message")
    now_ns = orders.clock.monotonic_ns

    @functools.wraps(original)
    def handle_message(client: Any, raw: Any) -> Any:
        if guard.is_disabled or not bench.is_active:
            return original(client, raw)
        try:
            frame, slot = streams.framed(client, raw, now_ns()), current_slot() or message_slot()
        except Exception as error:  # noqa: BLE001 - as the guard's `own`, without its call
            guard.caught(error)
            return original(client, raw)
        before, slot.message = slot.message, frame
        try:
            return original(client, raw)
        except Exception as error:
            guard.own(streams.failed, client, frame, error, default=None)
            raise
        finally:
            slot.message = before
            if frame.unawaited is not None or type(raw.data) is not str:
                guard.own(streams.handled, client, raw, frame, default=None)
            if frame.reports is not None:
                guard.own(tell_reports, orders, frame, default=None)

    return handle_message


def dialling(original: Any, bench: Workbench) -> Any:
    """`Client.connect`, in the caller's context: whether the caller wishes silence is known here only."""
    streams, guard = streams_of(bench), bench.guard("Client.connect")

    def note(client: Any) -> None:
        connection_of(client).is_silent = is_suppressed()
        streams.site(client)

    @functools.wraps(original)
    def connect(client: Any, *args: Any, **kwargs: Any) -> Any:
        if bench.is_active:
            guard.own(note, client, default=None)
        return original(client, *args, **kwargs)

    return connect


def opening(original: Any, bench: Workbench) -> Any:
    """`Client.open`: one attempt; it catches what goes wrong, and leaves the connection unconnected."""
    streams, guard = streams_of(bench), bench.guard("Client.open")

    @functools.wraps(original)
    async def open_client(client: Any, *args: Any, **kwargs: Any) -> Any:
        if not bench.is_active or connection_of(client).is_silent:
            return await original(client, *args, **kwargs)
        attempt = guard.own(streams.begun, client, default=None)
        try:
            result = await original(client, *args, **kwargs)
        except BaseException as error:
            if attempt is not None:
                guard.own(attempt.failed, error, default=None)
            raise
        if attempt is not None and client.isConnected:
            guard.own(streams.opened, client, attempt, default=None)
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
    """`Client.close(code=1000)`: by the program, unless code or error say that the connection was torn."""
    guard, streams = bench.guard("Client.close"), streams_of(bench)

    def note(client: Any, code: int) -> None:
        if code == _ON_PURPOSE and client.error is None:
            streams.ended(client)
        else:
            streams.torn(client, client.error)

    @functools.wraps(original)
    async def close(client: Any, code: int = _ON_PURPOSE) -> Any:
        if not bench.is_active:
            return await original(client, code)
        guard.own(note, client, code, default=None)
        try:
            return await original(client, code)
        finally:
            # Meanwhile ccxt has read what was left in the socket's buffer: no sign of life.
            guard.own(note, client, code, default=None)

    return close


def leaving(original: Any, _owner: type, bench: Workbench) -> Any:
    """`Exchange.close()`, plainly or as a coroutine: also of connections that ccxt has dropped."""
    guard, streams = bench.guard("close"), streams_of(bench)

    def note(exchange: Any) -> None:
        if bench.is_active:
            guard.own(streams.left, exchange, default=None)

    @functools.wraps(original)
    def close(exchange: Any, *args: Any, **kwargs: Any) -> Any:
        note(exchange)
        return original(exchange, *args, **kwargs)

    @functools.wraps(original)
    async def close_async(exchange: Any, *args: Any, **kwargs: Any) -> Any:
        note(exchange)
        try:
            return await original(exchange, *args, **kwargs)
        finally:
            note(exchange)  # what was left in sockets' buffers is no sign of life

    return close_async if inspect.iscoroutinefunction(original) else close


def numbering(original: Any, _owner: type, bench: Workbench) -> Any:
    """A handler of messages that carry numbers, `(client, message)`: decoded, as they came."""
    guard, streams = bench.guard("sequence numbers"), streams_of(bench)

    @functools.wraps(original)
    def handle(exchange: Any, client: Any, message: Any) -> Any:
        if bench.is_active:
            guard.own(streams.numbered, exchange, client, message, default=None)
        return original(exchange, client, message)

    return handle


def _telling(original: Any, bench: Workbench, name: str) -> Any:
    streams, guard = streams_of(bench), bench.guard(name)

    def note(client: Any, told: Any) -> None:
        streams.torn(client, told if isinstance(told, BaseException) else None)

    @functools.wraps(original)
    def call(client: Any, told: Any) -> Any:
        if bench.is_active:
            guard.own(note, client, told, default=None)
        return original(client, told)

    return call


_streams: Final[weakref.WeakKeyDictionary[Workbench, Streams]] = weakref.WeakKeyDictionary()

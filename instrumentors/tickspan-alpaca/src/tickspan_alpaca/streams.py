"""Alpaca's streams: what each message is, which tick its handler works for, and whether it is still heard."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.trading import (
    ConnectAttempt,
    Feed,
    OrderUpdate,
    RecentTicks,
    TickKind,
    TickRef,
    current_tick,
    feeds_of,
    open_call,
    orders_of,
    quiet,
    set_current_tick,
)

from tickspan_alpaca import read
from tickspan_alpaca.arrivals import Arrivals, Pings
from tickspan_alpaca.describe import VENUE, environment_of, library_of, text_of

ORDERS: Final = "orders"
"""The trading stream's channel."""
_UPDATES: Final = "trade_updates"
_NEWS: Final = "news"
_LINK: Final = "_tickspan_link"
"""Attribute of a stream object, by which its link is found fastest: once for each message."""
_LIVELY: Final = frozenset({"trades", "quotes", "orderbooks"})
"""Channels that speak all the time while a market is open; bars, halts and news are silent by nature."""


def streams_of(bench: Workbench) -> Streams:
    """The streams that all rows of one instrumentor share."""
    known = _streams.get(bench)
    if known is None:
        known = _streams[bench] = Streams(bench)
        bench.on_undo(known.forget)
        # A blocking program has one context: what was its tick would outlive us there.
        bench.on_undo(lambda: set_current_tick(None))
    return known


class Link:
    """One stream object: its feeds by channel, and the queue of its present connection."""

    __slots__ = ("__weakref__", "_feed_of", "arrivals", "attempt", "feeds", "owner")

    def __init__(self, owner: object, feed_of: Callable[[str], Feed]) -> None:
        self.owner = owner
        """The streams of one instrumentor: another one does not know this link."""
        self._feed_of = feed_of
        self.feeds: dict[str, Feed] = {}
        self.arrivals: Arrivals | None = None
        self.attempt: ConnectAttempt | None = None

    def feed(self, channel: str) -> Feed:
        """The feed of one channel."""
        feed = self.feeds.get(channel)
        if feed is None:
            feed = self.feeds[channel] = self._feed_of(channel)
        return feed


class Streams:
    """What one instrumentor knows of all streams; their objects are held weakly."""

    def __init__(self, bench: Workbench) -> None:
        self._orders = orders_of(bench)
        self._feeds = feeds_of(bench)
        self._guard = bench.guard("ping")
        self._linked: weakref.WeakSet[Any] = weakref.WeakSet()
        self._now_ns = self._orders.clock.monotonic_ns
        self.recent = RecentTicks()
        """The newest tick of each instrument: Alpaca's data comes by another object than its orders go."""

    def forget(self) -> None:
        """Leave nothing on the stream objects."""
        for stream in tuple(self._linked):
            stream.__dict__.pop(_LINK, None)

    # Connections.

    def starting(self, stream: Any) -> None:
        """A connection is about to be made: one attempt, whatever it will carry."""
        link = self._link(stream)
        channel = next(iter(_channels(stream)), None)
        if channel is not None:
            link.attempt = link.feed(channel).connecting()

    def connected(self, stream: Any) -> None:
        """The socket is open: from now on each message and each answered ping has its moment."""
        socket, link = stream._ws, self._link(stream)  # noqa: SLF001 - it has no public name
        link.arrivals = None
        if type(getattr(socket, "messages", None)) is deque:
            link.arrivals = socket.messages = Arrivals(socket.messages, self._now_ns)
        if type(getattr(socket, "pings", None)) is dict:
            alive = functools.partial(self._alive, weakref.ref(link))
            socket.pings = Pings(socket.pings, functools.partial(self._guard.own, alive, default=None))

    def started(self, stream: Any) -> None:
        """The stream is open and carries what is subscribed to."""
        link = self._link(stream)
        attempt, link.attempt = link.attempt, None
        if attempt is not None:
            attempt.succeeded()
        for channel in _channels(stream):
            feed = link.feed(channel)
            if not feed.is_connected:
                feed.connected()

    def not_started(self, stream: Any, error: BaseException) -> None:
        """The connection could not be made, or was not granted."""
        link = self._link(stream)
        attempt, link.attempt = link.attempt, None
        if attempt is not None:
            attempt.failed(error)
        self._disconnect(link, error)

    def ended(self, stream: Any, error: BaseException) -> None:
        """The reading has ended by an exception: the connection's own, a wish to stop, or a handler's."""
        kinds = {kind.__name__ for kind in type(error).__mro__}
        if "WebSocketException" in kinds:
            self._disconnect(self._link(stream), error)
        elif not isinstance(error, Exception):
            self.stopped(stream, is_stale=False)

    def stopped(self, stream: Any, is_stale: bool) -> None:
        """The reading has ended without one: since nothing came for too long, or as the program wished."""
        link = self._link(stream)
        if is_stale:
            self._disconnect(link, None)
            return
        for feed in link.feeds.values():
            feed.closed()

    def unsubscribed(self, stream: Any, channel: Any, symbols: Any) -> None:
        """Symbols were taken from a channel; without any it is no longer to be watched."""
        del symbols
        link = self._link(stream)
        if channel in link.feeds and channel not in _channels(stream):
            link.feeds[channel].closed()

    # Messages.

    def market_data(self, stream: Any, message: Any) -> TickRef | None:
        """P2 and P3 of one message of a data stream; None of what is no market data."""
        channel = read.CHANNELS.get(message.get("T"))
        if channel is None:
            return None
        link = self._link(stream)
        feed = link.feed(channel)
        now_ns = self._now_ns()
        tick = TickRef(
            VENUE,
            self._received(link, feed, now_ns),
            instrument=message.get("S") if channel != _NEWS else _only_symbol(message),
            channel=channel,
            venue_time_ns=read.message_ns(message),
        )
        feed.received(tick.received_ns, venue_time_ns=tick.venue_time_ns, size_bytes=_taken_bytes(link))
        feed.delivered(now_ns - tick.received_ns)
        tick.delivered_ns = now_ns
        self.recent.note(tick)
        return tick

    def trade_update(self, stream: Any, message: Any) -> TickRef | None:
        """The same of a message of the trading stream; its reports are told before its handler runs."""
        if message.get("stream") != _UPDATES:
            return None
        link = self._link(stream)
        feed = link.feed(ORDERS)
        now_ns = self._now_ns()
        received_ns = self._received(link, feed, now_ns)
        updates = read.trade_updates(stream, message, received_ns)
        at_ns = updates[0].venue_time_ns if updates else None
        feed.received(received_ns, venue_time_ns=at_ns, size_bytes=_taken_bytes(link))
        feed.delivered(now_ns - received_ns)
        return self._reported(updates, received_ns, now_ns)

    def broker_event(self, client: Any, event: Any) -> TickRef:
        """An event of a broker's accounts, as the client hands it out: JSON."""
        now_ns = self._now_ns()
        updates = read.event_updates(client, event, now_ns)
        feed = self._link(client).feed(ORDERS)
        if not feed.is_connected:
            feed.connected()
        at_ns = updates[0].venue_time_ns if updates else None
        feed.received(now_ns, venue_time_ns=at_ns, size_bytes=len(event))
        return self._reported(updates, now_ns, now_ns)

    def no_more_events(self, client: Any) -> None:
        """The broker's client has stopped to ask for events, or the venue to send them."""
        self._link(client).feed(ORDERS).closed()

    def _reported(self, updates: Sequence[OrderUpdate], received_ns: int, now_ns: int) -> TickRef:
        """The registry hears of `updates`; the tick of whoever acts on them."""
        keys = tuple(key for update in updates for key in self._orders.observe(update))
        tick = TickRef(
            VENUE,
            received_ns,
            instrument=updates[0].instrument if updates else None,
            channel=ORDERS,
            kind=TickKind.ORDER,
            venue_time_ns=updates[0].venue_time_ns if updates else None,
            reports=keys,
        )
        tick.delivered_ns = now_ns
        return tick

    def handler_failed(self, stream: Any, tick: TickRef, error: BaseException) -> None:
        """An exception came out of the program's own handler."""
        self._link(stream).feed(tick.channel or ORDERS).handler_failed(error)

    def polled(self, symbol: str | None) -> None:
        """Market data was read by a request, outside of any handler that has a better cause."""
        if open_call() is not None:
            return
        now_ns, current = self._now_ns(), current_tick()
        is_old = (
            current is not None
            and (now_ns - current.received_ns) / 1e9 > self._orders.settings.max_tick_age_s
        )
        if current is None or current.kind is TickKind.POLL or is_old:
            set_current_tick(TickRef(VENUE, now_ns, instrument=symbol, kind=TickKind.POLL))

    # Slots.

    def _link(self, stream: Any) -> Link:
        link = stream.__dict__.get(_LINK)
        if link is None or link.owner is not self:
            library, environment = library_of(stream), environment_of(stream)
            key = weakref.ref(stream)

            def feed_of(channel: str) -> Feed:
                owner = key()
                return self._feeds.feed(
                    VENUE,
                    channel,
                    library=library,
                    environment=environment,
                    key=owner,
                    is_private=channel not in _LIVELY,
                )

            link = stream.__dict__[_LINK] = Link(self, feed_of)
            self._linked.add(stream)
        return link

    def _received(self, link: Link, feed: Feed, now_ns: int) -> int:
        """P1: when the frame came in; now, where nobody has seen it come."""
        arrivals = link.arrivals
        if arrivals is None:
            return now_ns
        feed.backlog(len(arrivals))
        return arrivals.taken_ns if arrivals.taken_ns is not None else now_ns

    def _alive(self, link: weakref.ref[Link]) -> None:
        """The venue has answered a ping."""
        found, now_ns = link(), self._now_ns()
        for feed in tuple(found.feeds.values()) if found is not None else ():
            feed.alive(now_ns)

    def _disconnect(self, link: Link, error: BaseException | None) -> None:
        for feed in link.feeds.values():
            feed.disconnected(error)


def _channels(stream: Any) -> list[str]:
    """What a stream is subscribed to."""
    handlers = getattr(stream, "_handlers", None)
    if handlers is None:
        return [ORDERS]
    return [channel for channel, by_symbol in handlers.items() if by_symbol]


def _only_symbol(message: Any) -> str | None:
    """What a piece of news is about, if it is about one symbol."""
    symbols = message.get("symbols")
    return text_of(symbols[0]) if isinstance(symbols, list) and len(symbols) == 1 else None


def _taken_bytes(link: Link) -> int:
    """The size of the frame, told with its first message only."""
    arrivals = link.arrivals
    if arrivals is None:
        return 0
    size, arrivals.taken_bytes = arrivals.taken_bytes, 0
    return size


def starting(original: Any, bench: Workbench) -> Any:
    """`_start_ws`: connect, prove who we are, and nothing of ours goes with it."""
    streams, guard = streams_of(bench), bench.guard("_start_ws")

    @functools.wraps(original)
    async def start(stream: Any, *args: Any, **kwargs: Any) -> Any:
        if not bench.is_active:
            return await original(stream, *args, **kwargs)
        guard.own(streams.starting, stream, default=None)
        try:
            with quiet():
                result = await original(stream, *args, **kwargs)
        except BaseException as error:
            guard.own(streams.not_started, stream, error, default=None)
            raise
        guard.own(streams.started, stream, default=None)
        return result

    return start


def after(note: Callable[..., None], name: str) -> Callable[[Any, Workbench], Any]:
    """`note(streams, stream, *args)` after each call of a function that has not raised."""

    def make(original: Any, bench: Workbench) -> Any:
        streams, guard = streams_of(bench), bench.guard(name)

        if inspect.iscoroutinefunction(original):

            @functools.wraps(original)
            async def call_async(stream: Any, *args: Any, **kwargs: Any) -> Any:
                result = await original(stream, *args, **kwargs)
                if bench.is_active:
                    guard.own(note, streams, stream, *args, default=None)
                return result

            return call_async

        @functools.wraps(original)
        def call(stream: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(stream, *args, **kwargs)
            if bench.is_active:
                guard.own(note, streams, stream, *args, default=None)
            return result

        return call

    return make


def consuming(original: Any, bench: Workbench) -> Any:
    """`_consume`: reads until the connection, the program or a handler's exception ends it."""
    streams, guard = streams_of(bench), bench.guard("_consume")

    @functools.wraps(original)
    async def consume(stream: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            is_stale = await original(stream, *args, **kwargs)
        except BaseException as error:
            if bench.is_active:
                guard.own(streams.ended, stream, error, default=None)
            raise
        if bench.is_active:
            guard.own(streams.stopped, stream, is_stale is True, default=None)
        return is_stale

    return consume


Note = Callable[[Streams, Any, Any], TickRef | None]


def dispatching(note: Note, name: str) -> Callable[[Any, Workbench], Any]:
    """`_dispatch`: hands a message to its handler, which runs with the message as its tick."""

    def make(original: Any, bench: Workbench) -> Any:
        streams, guard = streams_of(bench), bench.guard(name)

        @functools.wraps(original)
        async def dispatch(stream: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
            tick = guard.own(note, streams, stream, message, default=None) if bench.is_active else None
            if tick is None:
                return await original(stream, message, *args, **kwargs)
            before = current_tick()
            set_current_tick(tick)
            try:
                return await original(stream, message, *args, **kwargs)
            except Exception as error:
                guard.own(streams.handler_failed, stream, tick, error, default=None)
                raise
            finally:
                set_current_tick(before)

        return dispatch

    return make


def broker_events(original: Any, bench: Workbench) -> Any:
    """`BrokerClient.get_trade_events`, a generator: each event is a report, and its consumer's tick."""
    streams, guard = streams_of(bench), bench.guard("get_trade_events")

    @functools.wraps(original)
    def events(client: Any, *args: Any, **kwargs: Any) -> Generator[Any]:
        running = original(client, *args, **kwargs)
        try:
            while True:
                try:
                    with quiet():
                        event = next(running)
                except StopIteration:
                    return
                if bench.is_active:
                    tick = guard.own(streams.broker_event, client, event, default=None)
                    guard.own(set_current_tick, tick, default=None)
                yield event
        finally:
            running.close()
            guard.own(streams.no_more_events, client, default=None)

    return events


_streams: Final[weakref.WeakKeyDictionary[Workbench, Streams]] = weakref.WeakKeyDictionary()

"""Streams of python-binance: each message from its socket by way of a queue to its consumer."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.trading import (
    Feed,
    Feeds,
    OrderCall,
    Orders,
    Point,
    RateLimits,
    RecentTicks,
    TickKind,
    TickRef,
    current_tick,
    feeds_of,
    limits_of,
    open_call,
    orders_of,
    set_current_tick,
)

from tickspan_binance import budgets, read, topics
from tickspan_binance.describe import LIBRARY, Place, place_of
from tickspan_binance.lines import Attempt, Line, Waiting
from tickspan_binance.routes import BINANCE, COIN_M, USD_M, venue_at
from tickspan_binance.topics import USER, WS_API, Stream

_LINE: Final = "_tickspan_line"
"""An attribute of queues, which are of a plain Python class with a `__dict__`; the name is ours alone."""
_OVERFLOW: Final = "BinanceWebsocketQueueOverflow"
_CUT: Final = frozenset(
    {
        "BinanceWebsocketClosed",
        "BinanceWebsocketUnableToConnect",
        "ConnectionClosed",
        "IncompleteReadError",
        "gaierror",
    }
)
"""After these the library connects again, or has given up."""
_CANCELLED: Final = "CancelledError"


def lines_of(bench: Workbench) -> Lines:
    """The lines that all rows of one instrumentor share."""
    known = _lines.get(bench)
    if known is None:
        known = _lines[bench] = Lines(orders_of(bench), feeds_of(bench), limits_of(bench))
        # A blocking program has one context: what was its tick would outlive us there.
        bench.on_undo(lambda: set_current_tick(None))
    return known


_lines: Final[weakref.WeakKeyDictionary[Workbench, Lines]] = weakref.WeakKeyDictionary()


class Lines:
    """What one instrumentor knows of all sockets; sockets, queues and clients are held weakly."""

    def __init__(self, orders: Orders, feeds: Feeds, limits: RateLimits) -> None:
        self._orders = orders
        self._now_ns = orders.clock.monotonic_ns
        self._feeds = feeds
        self._limits = limits
        self._serials = itertools.count(1)
        self._clients: weakref.WeakKeyDictionary[Any, weakref.ref[Any]] = weakref.WeakKeyDictionary()
        self._recent: weakref.WeakKeyDictionary[Any, RecentTicks] = weakref.WeakKeyDictionary()
        self._asked: weakref.WeakKeyDictionary[Any, dict[Any, OrderCall]] = weakref.WeakKeyDictionary()

    def recent(self, client: Any) -> RecentTicks | None:
        """The newest ticks of `client`; None if it never had one."""
        return self._recent.get(client)

    def owned(self, socket: Any, client: Any) -> None:
        """`socket` works for `client`."""
        if socket not in self._clients:
            self._clients[socket] = weakref.ref(client)

    # Requests by WebSocket.

    def asked(self, socket: Any, request_id: Any) -> None:
        """A request is about to be sent: the answer with its id is the open call's."""
        call = open_call()
        if call is not None:
            self._asked.setdefault(socket, {})[request_id] = call

    def no_longer_asked(self, socket: Any, request_id: Any) -> None:
        """The request has come back, one way or the other."""
        self._asked.get(socket, {}).pop(request_id, None)

    # Connections.

    def connecting(self, socket: Any) -> Attempt | None:
        """An attempt to connect begins; None where one is under way around it."""
        line = self._line(socket)
        return None if line.is_attempting else Attempt(line)

    def is_private(self, socket: Any) -> bool:
        """Whether `socket` carries what concerns one account, and may be silent for long."""
        return self._line(socket).is_private

    def heard(self, socket: Any) -> None:
        """A ping or its answer has come: whom the connection serves is alive."""
        now_ns = self._now_ns()
        for line in self._lines_fed_by(socket):
            if not line.is_lost:
                line.main.alive(now_ns)

    def ended(self, socket: Any, error: BaseException) -> None:
        """The read loop of `socket` tells its consumers of an error."""
        for line in self._lines_fed_by(socket):
            self._ended(line, error)
            line.is_lost = line.main.is_connected is False

    def closed(self, socket: Any) -> None:
        """The program has closed `socket`."""
        for feed in self._line(socket).all_feeds():
            feed.closed()

    def failed(self, socket: Any, error: BaseException) -> None:
        """A consumer's callback has raised."""
        self._line(_inner(socket)).main.handler_failed(error)

    # Messages.

    def received(self, socket: Any, message: Any, at_ns: int, size_bytes: int) -> None:
        """P1 was at `at_ns`; `message` is what the library is about to queue, or an envelope of it."""
        line = self._line(socket)
        if line.is_api:
            self._received_by_api(line, socket, message, at_ns, size_bytes)
            return
        if line.is_private:
            self._received_privately(line, message, at_ns, size_bytes)
            return
        told = topics.topic(message, line.streams)
        if told is None:
            return
        stream, instrument, venue_time_ns, sequence = told
        feed = line.feeds.get(stream.name) or self._added(line, stream, socket)
        feed.received(at_ns, venue_time_ns=venue_time_ns, size_bytes=size_bytes)
        if sequence is not None:
            feed.sequenced(*sequence)
        tick = TickRef(
            line.place.venue,
            at_ns,
            instrument=instrument,
            channel=stream.channel,
            venue_time_ns=venue_time_ns,
        )
        line.recent.note(tick)
        line.queued(Waiting(message, tick, feed))

    def delivered(self, socket: Any, message: Any) -> None:
        """P3: the consumer goes on, in its own task, with `message` as its tick."""
        line = self._line(socket)
        if line.delivered[0] is not message:
            waiting = line.taken(message)
            line.delivered = (message, waiting.tick if waiting is not None else None)
            if waiting is not None:
                waiting.tick.delivered_ns = now_ns = self._now_ns()
                waiting.feed.delivered(now_ns - waiting.tick.received_ns)
        if open_call() is None:
            set_current_tick(line.delivered[1])

    def redelivered(self, consumer: Any, message: Any) -> None:
        """`consumer` hands on what it made of the last message of its socket, such as a book."""
        if open_call() is None:
            set_current_tick(self.tick_of(consumer, message))

    def tick_of(self, consumer: Any, message: Any) -> TickRef | None:
        """The tick of what a callback gets: the socket's last message, or what `consumer` made of it."""
        delivered, tick = self._line(_inner(consumer)).delivered
        is_made_of_it = consumer is not _inner(consumer) and not isinstance(message, dict)
        return tick if delivered is message or is_made_of_it else None

    def polled(self, venue: str, instrument: str | None) -> None:
        """Market data was read by a request: the cause of what follows, if there is no better one."""
        if open_call() is None and self._is_cause_wanted():
            now_ns = self._now_ns()
            set_current_tick(TickRef(venue, now_ns, instrument=instrument, kind=TickKind.POLL))

    def _is_cause_wanted(self) -> bool:
        current = current_tick()
        if current is None or current.kind is TickKind.POLL:
            return True
        age_ns = self._now_ns() - current.received_ns
        return age_ns > self._orders.settings.max_tick_age_s * 1e9

    def _received_by_api(self, own: Line, socket: Any, message: Any, at_ns: int, size_bytes: int) -> None:
        own.main.received(at_ns, size_bytes=size_bytes)
        if not isinstance(message, Mapping):
            return
        if "subscriptionId" in message and "event" in message:
            # As the library routes it: to whoever subscribed, else to its own queue.
            queue = _subscribers(socket).get(message["subscriptionId"], _queue(socket))
            self._received_privately(self._line_of(queue) or own, message["event"], at_ns, size_bytes)
            return
        call = self._asked.get(socket, {}).get(message.get("id"))
        if call is not None:
            call.mark(Point.ANSWERED, at_ns)
        self._tell_budgets(own, message)

    def _received_privately(self, line: Line, event: Any, at_ns: int, size_bytes: int) -> None:
        venue_time_ns = topics.event_time_ns(event)
        if not line.is_api:
            line.main.received(at_ns, venue_time_ns=venue_time_ns, size_bytes=size_bytes)
        update = read.report(line.place, event)
        keys = self._orders.observe(replace(update, received_ns=at_ns)) if update is not None else ()
        tick = TickRef(
            line.place.venue,
            at_ns,
            instrument=update.instrument if update is not None else None,
            channel=USER.channel,
            kind=TickKind.ORDER,
            venue_time_ns=venue_time_ns,
            reports=keys,
        )
        line.queued(Waiting(event, tick, line.main))

    def _tell_budgets(self, line: Line, message: Mapping[str, Any]) -> None:
        place = line.place
        known = budgets.budgets_in(message.get("rateLimits"))
        for budget in known:
            self._limits.used(
                place.venue,
                budget.name,
                budget.scope,
                used=budget.used,
                limit=budget.limit,
                library=LIBRARY,
                environment=place.environment,
            )
        refused = budgets.refused(message, known)
        if refused is not None:
            self._limits.refused(
                place.venue,
                refused.name,
                scope=refused.scope,
                is_ban=refused.is_ban,
                library=LIBRARY,
                environment=place.environment,
            )

    def _line(self, socket: Any) -> Line:
        queue = socket._queue  # noqa: SLF001 - it has no public name
        known: Line | None = queue.__dict__.get(_LINE)
        return known if known is not None and known.lines is self else self._made(socket, queue)

    def _line_of(self, queue: Any) -> Line | None:
        known: Line | None = queue.__dict__.get(_LINE)
        return known if known is not None and known.lines is self else None

    def _made(self, socket: Any, queue: Any) -> Line:
        client = self._client_of(socket)
        place = place_of(client, _venue_of(socket))
        recent = RecentTicks() if client is None else self._recent.setdefault(client, RecentTicks())
        is_api, is_private = _is_api(socket), _is_private(socket)
        streams = () if is_private else topics.streams_in(str(getattr(socket, "_path", None) or ""))
        serial = next(self._serials)
        main = self._feed(socket, place, serial, _main_stream(socket, streams))
        line = Line(self, queue, place, recent, streams, main, serial)
        line.is_api, line.is_private = is_api, is_private
        queue.__dict__[_LINE] = line
        if streams:
            line.feeds[streams[0].name] = main
        for stream in streams[1:]:
            self._added(line, stream, socket)
        return line

    def _client_of(self, socket: Any) -> Any:
        held = self._clients.get(socket)
        return getattr(socket, "_client", None) or (held() if held is not None else None)

    def _added(self, line: Line, stream: Stream, socket: Any) -> Feed:
        feed = line.feeds[stream.name] = self._feed(socket, line.place, line.serial, stream)
        return feed

    def _feed(self, socket: Any, place: Place, serial: int, stream: Stream) -> Feed:
        return self._feeds.feed(
            place.venue,
            stream.channel,
            library=LIBRARY,
            environment=place.environment,
            key=(serial, stream.name),
            owner=socket,
            is_private=True if stream.kind is TickKind.ORDER else None,
        )

    def _lines_fed_by(self, socket: Any) -> list[Line]:
        """Of a connection that carries others' subscriptions, theirs too."""
        others = (self._line_of(queue) for queue in tuple(_subscribers(socket).values()))
        return [self._line(socket), *(line for line in others if line is not None)]

    def _ended(self, line: Line, error: BaseException) -> None:
        kinds = {kind.__name__ for kind in type(error).__mro__}
        for feed in line.all_feeds():
            if _CANCELLED in kinds:
                feed.closed()
            elif kinds & _CUT:
                feed.disconnected(error)
        if _OVERFLOW in kinds:
            # `recv` hands out nothing more: what waits is as lost as what found no place.
            line.main.dropped(len(line.waiting))
            line.waiting.clear()
        if not kinds & _CUT and _CANCELLED not in kinds:
            line.main.handler_failed(error)


def _is_api(socket: Any) -> bool:
    """Whether the connection carries requests and their answers."""
    return hasattr(socket, "_responses")


def _is_private(socket: Any) -> bool:
    """Whether it carries what concerns one account."""
    return hasattr(socket, "_keepalive_type") or _is_api(socket)


def _queue(socket: Any) -> Any:
    """What its consumer reads."""
    return socket._queue  # noqa: SLF001 - it has no public name


def _subscribers(socket: Any) -> Mapping[Any, Any]:
    """The queues of those who have subscribed by way of a connection for requests."""
    return getattr(socket, "_subscription_queues", {})


_CONTRACTS: Final = {"futures": USD_M, "coin_futures": COIN_M}


def _venue_of(socket: Any) -> str:
    """Of user data by what it is kept alive for, of anything else by its address."""
    kind = getattr(socket, "_keepalive_type", None)
    return venue_at(str(socket._url)) if kind is None else _CONTRACTS.get(kind, BINANCE)  # noqa: SLF001 - it has no public name


def _main_stream(socket: Any, streams: tuple[Stream, ...]) -> Stream:
    if _is_api(socket):
        return WS_API
    return streams[0] if streams else USER if _is_private(socket) else topics.stream_of("")


def _inner(consumer: Any) -> Any:
    """The socket that a depth cache reads, or the socket itself."""
    return getattr(consumer, "_socket", None) or consumer

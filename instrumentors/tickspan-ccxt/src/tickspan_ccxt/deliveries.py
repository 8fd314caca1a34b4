"""ccxt.pro's deliveries: which message woke which consumer, and the newest tick of each exchange object."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any, Final

from tickspan.instrumentation import Workbench
from tickspan.trading import (
    Message,
    OrderCall,
    Orders,
    Point,
    RecentTicks,
    TickKind,
    TickRef,
    current_tick,
    open_call,
    open_message,
    orders_of,
    set_current_tick,
)
from tickspan.trading.messages import Heard

from tickspan_ccxt.describe import exchange_of, venue_of
from tickspan_ccxt.read import Topic, topic
from tickspan_ccxt.streams import Streams, streams_of

# Attributes of ccxt's futures, which are of a plain Python class with a `__dict__`; the names are ours alone.
_TICK: Final = "_tickspan_tick"
_CALL: Final = "_tickspan_call"
_RACED: Final = "_tickspan_raced"

_PLAIN: Final = (dict, list)
"""What the answer to a query of orders is; a stream of them is one of ccxt's own caches."""


def deliveries_of(bench: Workbench) -> Deliveries:
    """The deliveries that all rows of one instrumentor share."""
    known = _deliveries.get(bench)
    if known is None:
        known = _deliveries[bench] = Deliveries(orders_of(bench), streams_of(bench))
        # A blocking program has one context: what was its tick would outlive us there.
        bench.on_undo(lambda: set_current_tick(None))
    return known


class Deliveries:
    """What one instrumentor knows of all consumers; exchanges are held weakly."""

    def __init__(self, orders: Orders, streams: Streams) -> None:
        self._orders = orders
        self._streams = streams
        self._recent: weakref.WeakKeyDictionary[Any, RecentTicks] = weakref.WeakKeyDictionary()

    def recent(self, exchange: Any) -> RecentTicks | None:
        """The newest ticks of `exchange`; None if it never had one."""
        return self._recent.get(exchange)

    def expected(self, _exchange: Any, future: Any) -> None:
        """A subscription or request was made: inside an order call its future is that call's answer."""
        call = open_call()
        if call is not None and future is not None:
            setattr(future, _CALL, call)

    def resolved(self, client: Any, result: Any, message_hash: Any) -> None:
        """P2: a handler has decoded the message, for whom waits for `message_hash` or for nobody."""
        message, future = open_message(), client.futures.get(message_hash)
        if message is None:
            return
        call: OrderCall | None = getattr(future, _CALL, None)
        if call is not None:
            _answered(message, call)
            return
        told = topic(result)
        if told is None:
            return
        if told.kind is TickKind.ORDER and type(result) in _PLAIN:
            message.is_asked = True
            return
        stream = (told.channel, told.instrument)
        heard = message.streams.get(stream)
        if heard is None:
            heard = message.streams[stream] = Heard(told.venue_time_ns)
        if future is None or future.done():
            return
        heard.is_awaited = True
        exchange = exchange_of(client)
        if exchange is not None:
            setattr(future, _TICK, self._tick(message, client, exchange, told))

    def rejected(self, client: Any, error: Any, message_hash: Any) -> None:
        """The message is an error for whom waits for `message_hash`."""
        if type(error).__name__ == "ChecksumError":
            self._streams.of(client, "order_book", None).checksum_failed()
        message, future = open_message(), client.futures.get(message_hash)
        call: OrderCall | None = getattr(future, _CALL, None)
        if message is not None and call is not None:
            _answered(message, call)

    def raced(self, future: Any, futures: Sequence[Any]) -> None:
        """`future` gets the result of the first of `futures`."""
        setattr(future, _RACED, tuple(futures))

    def delivered(self, future: Any) -> None:
        """P3: the consumer of `future` goes on, in its own task, with the message as its tick."""
        tick = _tick_of(future)
        if tick is None or open_call() is not None:
            return
        if tick.delivered_ns is None:
            tick.delivered_ns = self._orders.clock.monotonic_ns()
            if tick.feed is not None:
                tick.feed.delivered(tick.delivered_ns - tick.received_ns)
        set_current_tick(tick)

    def polled(self, exchange: Any, result: Any) -> None:
        """Market data was read by a request: the cause of what follows, if there is no better one."""
        told = topic(result) if open_call() is None else None
        if told is None or not self._is_cause_wanted():
            return
        now_ns = self._orders.clock.monotonic_ns()
        set_current_tick(TickRef(venue_of(exchange), now_ns, instrument=told.instrument, kind=TickKind.POLL))

    def _is_cause_wanted(self) -> bool:
        current = current_tick()
        if current is None or current.kind is TickKind.POLL:
            return True
        age_ns = self._orders.clock.monotonic_ns() - current.received_ns
        return age_ns > self._orders.settings.max_tick_age_s * 1e9

    def _tick(self, message: Message, client: Any, exchange: Any, told: Topic) -> TickRef:
        known = message.ticks.get(told.instrument)
        if known is not None:
            return known
        tick = message.ticks[told.instrument] = TickRef(
            venue_of(exchange),
            message.received_ns,
            instrument=told.instrument,
            channel=told.channel,
            kind=told.kind,
            venue_time_ns=told.venue_time_ns,
            feed=self._streams.of(client, told.channel, told.instrument),
        )
        recent = self._recent.get(exchange)
        if recent is None:
            recent = self._recent[exchange] = RecentTicks()
        recent.note(tick)
        return tick


def _answered(message: Message, call: OrderCall) -> None:
    message.is_answer = True
    call.mark(Point.ANSWERED, message.received_ns)


def _tick_of(future: Any) -> TickRef | None:
    own: TickRef | None = getattr(future, _TICK, None)
    if own is not None:
        return own
    raced: tuple[Any, ...] = getattr(future, _RACED, ())
    won = (_tick_of(one) for one in raced if one.done() and not one.cancelled())
    return next((tick for tick in won if tick is not None), None)


_deliveries: Final[weakref.WeakKeyDictionary[Workbench, Deliveries]] = weakref.WeakKeyDictionary()

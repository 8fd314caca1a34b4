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
from tickspan.trading.messages import current_slot

from tickspan_ccxt.describe import exchange_of, venue_of
from tickspan_ccxt.lines import OTHER, Line, form_of
from tickspan_ccxt.read import topic
from tickspan_ccxt.streams import Frame, Streams, streams_of

# Attributes of ccxt's futures, which are of a plain Python class with a `__dict__`; the names are ours alone.
_TICK: Final = "_tickspan_tick"
_CALL: Final = "_tickspan_call"
_RACED: Final = "_tickspan_raced"
_MAX_NAMES: Final = 1_000
"""Of one connection, under which ccxt hands on results."""

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

    def resolved(self, client: Any, result: Any, message_hash: Any) -> None:
        """P2: a handler has decoded the message, for whom waits for `message_hash` or for nobody."""
        slot = current_slot()
        frame = slot.message if slot is not None else None
        if type(frame) is not Frame:
            return
        future = client.futures.get(message_hash)
        if future is not None:
            call: OrderCall | None = getattr(future, _CALL, None)
            if call is not None:
                _answered(frame, call)
                return
        form = frame.forms.get(message_hash)
        instrument, milliseconds = OTHER if form is None else form.glance(result)
        line = None if form is None else form.lines.get(instrument)
        if line is None:
            line, milliseconds = self._found(frame, client, result, message_hash)
            if line is None:
                return
        feed, received_ns = line.feed, frame.received_ns
        venue_time_ns = milliseconds * 1_000_000 if type(milliseconds) is int else None
        is_awaited = future is not None and not future.done()
        if feed.received_ns != received_ns:  # a message counts once, under however many names it is handed on
            feed.received(received_ns, venue_time_ns=venue_time_ns, size_bytes=frame.size_bytes)
            if not is_awaited:
                frame.unawaited = [*(frame.unawaited or ()), feed]
        elif is_awaited and frame.unawaited is not None and feed in frame.unawaited:
            frame.unawaited.remove(feed)
        if is_awaited and line.recent is not None:
            setattr(future, _TICK, frame.tick_of(line, line.recent, venue_time_ns))

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
        tick: TickRef | None = getattr(future, _TICK, None) or _raced_tick(future)
        if tick is None or open_call() is not None:
            return
        if tick.delivered_ns is None:
            delivered_ns = tick.delivered_ns = self._orders.clock.monotonic_ns()
            if tick.feed is not None:
                tick.feed.delivered(delivered_ns - tick.received_ns)
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

    def _found(
        self, frame: Frame, client: Any, result: Any, message_hash: Any
    ) -> tuple[Line | None, int | None]:
        """The line that carries such results under this name from now on, if it is a feed; and its time."""
        told = topic(result)
        if told is None:
            return None, None
        if told.kind is TickKind.ORDER and type(result) in _PLAIN:
            frame.is_asked = True
            return None, None
        forms, form = frame.forms, frame.forms.get(message_hash)
        if form is None or form.glance(result) is OTHER:
            if len(forms) >= _MAX_NAMES:
                forms.clear()  # names of requests, which come once
            form = forms[message_hash] = form_of(result)
        instrument, milliseconds = form.glance(result)
        feed = self._streams.of(client, told.channel, told.instrument)
        line = form.lines[instrument] = Line(told, feed, self._recent_of(exchange_of(client)))
        return line, milliseconds

    def _recent_of(self, exchange: Any) -> RecentTicks | None:
        if exchange is None:
            return None
        recent = self._recent.get(exchange)
        if recent is None:
            recent = self._recent[exchange] = RecentTicks()
        return recent


def expected(future: Any, call: OrderCall) -> None:
    """A request was made inside an order call: its future is that call's answer."""
    setattr(future, _CALL, call)


def _answered(message: Message, call: OrderCall) -> None:
    message.is_answer = True
    call.mark(Point.ANSWERED, message.received_ns)


def _raced_tick(future: Any) -> TickRef | None:
    """The tick of whichever future has won the race that `future` stands for."""
    for one in getattr(future, _RACED, ()):
        if one.done() and not one.cancelled():
            tick: TickRef | None = getattr(one, _TICK, None) or _raced_tick(one)
            if tick is not None:
                return tick
    return None


_deliveries: Final[weakref.WeakKeyDictionary[Workbench, Deliveries]] = weakref.WeakKeyDictionary()

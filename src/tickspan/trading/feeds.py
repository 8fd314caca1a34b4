"""All streams of one instrumentor: their slots, what collection reads of them, and who is told of silence.

A message costs slot updates. Counters and gauges read the slots at collection; silence is found by the
process's watch, each second, also while an event loop is blocked.
"""

from __future__ import annotations

import functools
import threading
import time
import weakref
from collections import deque
from collections.abc import Hashable, Mapping
from types import FunctionType
from typing import Any, Final

from opentelemetry._logs import Logger, SeverityNumber
from opentelemetry.metrics import Histogram, Meter
from opentelemetry.trace import INVALID_SPAN, SpanKind, Tracer

from tickspan.config import TradingSettings
from tickspan.instrumentation import exception_attributes, is_suppressed, type_name
from tickspan.instrumentation.forks import renew_after_fork
from tickspan.instrumentation.operation import SECONDS_FROM_10_US
from tickspan.instrumentation.watch import Watch, process_watch
from tickspan.semconv import trading as names
from tickspan.semconv.common import ERROR_TYPE
from tickspan.trading.attributes import Attributes, AttributeValue
from tickspan.trading.clocks import VenueClocks
from tickspan.trading.connection import ConnectAttempt
from tickspan.trading.events import ERROR, INFO, WARN, Events
from tickspan.trading.feed import OTHER, Feed, FeedPlace, Record
from tickspan.trading.moments import Clock
from tickspan.trading.observing import Observed, Readings, Series, Together, observe
from tickspan.trading.staleness import SILENT

MAX_FEEDS: Final = 1_000
"""Streams of one instrumentor that are told apart."""
_MAX_KEPT: Final = 1_024
"""Measurements of one series between two looks, where the meter is not ours; of more, the newest."""
_MAX_KEPT_OF_OURS: Final = 8_192
"""The same, where it is ours but not compiled."""
_MAX_SERIES_KEPT: Final = 4 * MAX_FEEDS
_BETWEEN_PAUSES: Final = 50
_PAUSE_S: Final = 0.000_05
"""So that a look at many streams lets other threads have the GIL."""
_TOLD_AGAIN_NS: Final = 1_000_000_000
"""Between two events of one kind about one stream; what happens meanwhile is counted."""

_COUNTERS: Final[Mapping[str, tuple[str, str, str]]] = {
    names.METRIC_FEED_MESSAGES: ("messages", "{message}", "Messages of a stream"),
    names.METRIC_FEED_BYTES: ("bytes", "By", "Size of the messages of a stream"),
    names.METRIC_FEED_CONFLATED: ("conflated_messages", "{message}", "Updates that nobody awaited"),
    names.METRIC_FEED_DROPPED: ("dropped_messages", "{message}", "Messages that a full queue has lost"),
    names.METRIC_FEED_SEQUENCE_GAPS: ("sequence_gaps", "{gap}", "Jumps in a stream's numbers"),
    names.METRIC_FEED_CHECKSUM_ERRORS: ("checksum_errors", "{error}", "Books that differ from the venue's"),
    names.METRIC_FEED_HANDLER_ERRORS: ("handler_errors", "{error}", "Exceptions out of message handlers"),
    names.METRIC_STREAM_RECONNECTS: ("reconnects", "{reconnect}", "Connections after a stream's first"),
    names.METRIC_CLOCK_NEGATIVE_LAG: (
        "negative_lags",
        "{message}",
        "Messages from the future: clocks differ",
    ),
}
_TABLE: Final = (
    *(Observed(name, unit, text, is_counter=True) for name, (_, unit, text) in _COUNTERS.items()),
    Observed(names.METRIC_FEED_STALENESS, "s", "Since the last message of a stream", together=Together.MOST),
    Observed(
        names.METRIC_FEED_BACKLOG,
        "{message}",
        "Messages that wait for their consumer",
        together=Together.MOST,
    ),
    Observed(names.METRIC_STREAM_CONNECTED, "{stream}", "Streams that are open"),
)
_LAG: Final = (names.METRIC_FEED_LAG, "From the venue's own time of a message to its receipt")
_QUEUE: Final = (names.METRIC_FEED_QUEUE, "From the socket to the consumer of a market data message")


class Feeds:
    """The streams of one instrumentor. Thread-safe; nothing a member tells makes it raise."""

    def __init__(
        self,
        tracer: Tracer,
        meter: Meter,
        logger: Logger,
        settings: TradingSettings | None = None,
        *,
        clocks: VenueClocks | None = None,
        clock: Clock | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.settings = settings or TradingSettings()
        self.clock = clock or Clock()
        self._tracer = tracer
        self._events = Events(logger, self.clock)
        self._clocks = clocks
        self._watch = watch
        self._is_watched = False
        self._lag, self._queue = (_histogram(meter, *row) for row in (_LAG, _QUEUE))
        self._feeds: dict[Hashable, Feed] = {}
        self._owners: dict[Hashable, tuple[weakref.ref[Any], ...]] = {}
        # Appended to by the garbage collector, which may run anywhere, also while the lock is held.
        self._gone: deque[Hashable] = deque()
        self._kept: dict[tuple[str, Series], _Kept] = {}
        self._retired: dict[Series, dict[str, int]] = {}
        self._told_ns: weakref.WeakKeyDictionary[Feed, dict[str, int]] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        observe(meter, _TABLE, self)
        renew_after_fork(self)

    def __repr__(self) -> str:
        feeds = tuple(self._feeds.values())
        stale = sum(feed.stale_from_ns is not None for feed in feeds)
        return f"<Feeds {len(feeds)} streams, {stale} stale>"

    def feed(
        self,
        venue: str,
        channel: str,
        *,
        library: str,
        environment: str | None = None,
        key: Hashable = None,
        owner: object = None,
        is_private: bool | None = None,
    ) -> Feed:
        """The slot of one stream: same arguments, same object.

        Args:
            venue: the venue's name.
            channel: what the stream tells, without instruments: `trades`, `book`, `orders`.
            library: the client library.
            environment: live, paper…; None is the setting's.
            key: tells connections apart. An object that is compared by identity is held weakly, and the
                stream ends with it.
            owner: the stream ends with this object too.
            is_private: orders and account, which are silent by nature: only pings (`alive`) say that such a
                stream lives. None: pings count where there are any. False: only messages count.
        """
        if not self._is_watched:
            self._begin_watching()
        if self._gone:
            with self._lock:
                self._bury()
        identity = (venue, channel, library, environment, key if key is None else _weakly(key))
        feed = self._feeds.get(identity)
        if feed is None:
            place = FeedPlace(venue, channel, library, environment or self.settings.environment)
            with self._lock:
                feed = self._feeds.get(identity) or self._added(identity, place, is_private, (key, owner))
        return feed

    def feeds(self) -> tuple[Feed, ...]:
        """All streams that are told apart now."""
        return tuple(self._feeds.values())

    def look(self) -> None:
        """Find the streams that have fallen silent, and those that are back. The watch calls this."""
        with self._lock:
            self._bury()
            self._drain()
        now_ns, least_ns = self.clock.monotonic_ns(), int(self.settings.feed_stale_s * 1e9)
        shifts: dict[tuple[str, str], int] = {}
        for number, feed in enumerate(self.feeds(), 1):
            if feed.lead_ns:
                self._tell_lead(feed)
            where = (feed.place.venue, feed.place.environment)
            shift_ns = shifts.get(where)
            if shift_ns is None:
                shift_ns = shifts[where] = self._shift_ns(feed.place)
            feed.shift_ns = shift_ns
            feed.learn_pace(least_ns)
            self._judge(feed, now_ns)
            if number % _BETWEEN_PAUSES == 0:
                time.sleep(_PAUSE_S)

    def readings(self, name: str) -> Readings:
        """What the metric `name` is now."""
        with self._lock:
            self._drain()
            retired = [(series, counts.get(name, 0)) for series, counts in self._retired.items()]
            feeds = self.feeds()
        if name in _COUNTERS:
            slot = _COUNTERS[name][0]
            return [*retired, *((feed.series, getattr(feed, slot)) for feed in feeds)]
        if name == names.METRIC_FEED_STALENESS:
            now_ns = self.clock.monotonic_ns()
            heard = (feed for feed in feeds if feed.is_watched and feed.messages)
            return [(feed.series, max(0, now_ns - feed.received_ns) / 1e9) for feed in heard]
        if name == names.METRIC_FEED_BACKLOG:
            return [(feed.series, length) for feed in feeds if (length := feed.backlog_length) is not None]
        return [(feed.series, is_open) for feed in feeds if (is_open := feed.is_connected) is not None]

    def close(self) -> None:
        """Watch nothing any longer; what was counted stays readable."""
        (self._watch or process_watch("feeds")).remove(self)
        for feed in self.feeds():
            feed.closed()
        with self._lock:
            self._drain()

    def after_fork_in_child(self) -> None:
        """The parent counts on and watches its streams; the child begins with nothing."""
        self._lock = threading.Lock()
        self._is_watched = False
        self._retired.clear()
        for kept in self._kept.values():
            kept.values.clear()
        for feed in self.feeds():
            feed.after_fork_in_child()

    # What a Feed asks for.

    def now_ns(self) -> int:
        """The monotonic clock."""
        return self.clock.monotonic_ns()

    def missed(self, feed: Feed, expected: int, received: int) -> None:
        """Numbers from `expected` on are missing."""
        if self._may_tell(feed, names.EVENT_FEED_GAP):
            known = {
                names.FEED_EXPECTED_SEQUENCE: expected,
                names.FEED_SEQUENCE: received,
                names.FEED_MISSING_COUNT: received - expected,
            }
            said = f"{_title(feed)}: {received - expected} messages missing before {received}"
            self._tell(feed, names.EVENT_FEED_GAP, WARN, known, said)

    def begun_anew(self, feed: Feed, expected: int | None, received: int | None) -> None:
        """The stream is told from the beginning again."""
        if self._may_tell(feed, names.EVENT_FEED_RESYNC):
            known = {names.FEED_EXPECTED_SEQUENCE: expected, names.FEED_SEQUENCE: received}
            said = f"{_title(feed)}: begun anew"
            self._tell(feed, names.EVENT_FEED_RESYNC, INFO, known, said)

    def failed(self, feed: Feed, error: BaseException) -> None:
        """A message handler has raised."""
        if self._may_tell(feed, names.EVENT_FEED_HANDLER_ERROR):
            known: Attributes = {ERROR_TYPE: type_name(error), **_said(error)}
            said = f"{_title(feed)}: {type_name(error)} out of the message handler, its loop may be dead"
            self._tell(feed, names.EVENT_FEED_HANDLER_ERROR, ERROR, known, said)

    def attempt(self, feed: Feed) -> ConnectAttempt:
        """A connection is about to be made."""
        if is_suppressed():
            return ConnectAttempt(feed, INVALID_SPAN)
        known: Attributes = {**dict(feed.series), names.STREAM_ATTEMPT: feed.attempts}
        span = self._tracer.start_span(
            names.SPAN_STREAM_CONNECT,
            kind=SpanKind.CLIENT,
            attributes=known,
            record_exception=False,
            set_status_on_exception=False,
        )
        return ConnectAttempt(feed, span)

    # Slots.

    def _begin_watching(self) -> None:
        self._is_watched = True
        (self._watch or process_watch("feeds")).add(self)

    def _added(
        self, identity: Hashable, place: FeedPlace, is_private: bool | None, owners: tuple[object, ...]
    ) -> Feed:
        """A new slot; beyond the bound the place of a closed one, or a slot that all others share."""
        if len(self._feeds) >= MAX_FEEDS and not self._make_room():
            place = FeedPlace(place.venue, OTHER, place.library, place.environment)
            identity, is_private, owners = place, True, ()
            known = self._feeds.get(identity)
            if known is not None:
                return known
        feed = self._made(place, is_private)
        self._feeds[identity] = feed
        self._owners[identity] = tuple(
            weakref.ref(owner, lambda _, identity=identity: self._gone.append(identity))
            for owner in owners
            if owner is not None and _can_be_held_weakly(owner)
        )
        return feed

    def _made(self, place: FeedPlace, is_private: bool | None) -> Feed:
        known = _series(place)
        kind = _OtherFeed if place.channel == OTHER else Feed
        return kind(
            place,
            known,
            self,
            self._recording(names.METRIC_FEED_LAG, self._lag, known),
            self._recording(names.METRIC_FEED_QUEUE, self._queue, known),
            max_age_ns=int(self.settings.feed_stale_s * 1e9),
            shift_ns=self._shift_ns(place),
            is_private=is_private,
        )

    def _recording(self, name: str, histogram: Histogram, known: Series) -> Record:
        """What takes a stream's measurements: a compiled series at once, else a bounded list until later."""
        take, most = functools.partial(histogram.record, attributes=dict(known)), _MAX_KEPT
        bind: Any = getattr(histogram, "bind", None)
        if bind is not None:
            take, most = bind(dict(known)).record, _MAX_KEPT_OF_OURS
            if not isinstance(getattr(take, "__func__", None), FunctionType):
                return take
        return self._kept.setdefault((name, known), _Kept(take, most)).values.append

    def _make_room(self) -> bool:
        closed = next((identity for identity, feed in self._feeds.items() if feed.is_closed), None)
        if closed is None:
            return False
        self._retire(closed)
        return True

    def _bury(self) -> None:
        """Forget streams whose owners are gone."""
        while self._gone:
            self._retire(self._gone.popleft())

    def _retire(self, identity: Hashable) -> None:
        """What a stream has counted stays, without it."""
        feed = self._feeds.pop(identity, None)
        self._owners.pop(identity, None)
        if feed is None:
            return
        counts = self._retired.setdefault(self._retired_as(feed), {})
        for name, (slot, _, _) in _COUNTERS.items():
            counts[name] = counts.get(name, 0) + getattr(feed, slot)

    def _retired_as(self, feed: Feed) -> Series:
        """Under what a stream's counts are kept: its own attributes, beyond the bound those of all others."""
        if feed.series in self._retired or len(self._retired) < MAX_FEEDS:
            return feed.series
        place = feed.place
        return _series(FeedPlace(place.venue, OTHER, place.library, place.environment))

    def _drain(self) -> None:
        """Hand over measurements that were kept; forget where there are none and will be none."""
        for kept in self._kept.values():
            kept.drain()
        if len(self._kept) > _MAX_SERIES_KEPT:
            living = {feed.series for feed in self._feeds.values()}
            for place in [place for place in self._kept if place[1] not in living]:
                del self._kept[place]

    def _shift_ns(self, place: FeedPlace) -> int:
        shift_ns = self.clock.wall_ns() - self.clock.monotonic_ns()
        ahead_ns = self._clocks.ahead_ns(place.venue, place.environment) if self._clocks is not None else 0
        return shift_ns + ahead_ns

    def _tell_lead(self, feed: Feed) -> None:
        """A message cannot come before it was sent: the venue's clock is ahead by its lead or more."""
        lead_ns, feed.lead_ns = feed.lead_ns, 0
        if self._clocks is not None:
            place, shift_ns = feed.place, self.clock.wall_ns() - self.clock.monotonic_ns()
            known_ns = feed.shift_ns - shift_ns
            self._clocks.led(
                place.venue, lead_ns + known_ns, library=place.library, environment=place.environment
            )

    # What is told.

    def _judge(self, feed: Feed, now_ns: int) -> None:
        heard_ns, silence_ns = feed.heard_ns, feed.silence_ns(now_ns)
        if feed.stale_from_ns is None:
            if silence_ns is not None:
                feed.stale_from_ns = heard_ns if heard_ns is not None else now_ns - silence_ns
                self._tell_stale(feed, silence_ns)
        elif heard_ns is not None and heard_ns > feed.stale_from_ns:
            silent_ns = heard_ns - feed.stale_from_ns
            feed.stale_from_ns = None
            said = f"{_title(feed)}: heard again after {silent_ns / 1e9:.1f} s"
            self._tell(feed, names.EVENT_FEED_RECOVERED, INFO, {names.FEED_AGE: silent_ns / 1e9}, said)

    def _tell_stale(self, feed: Feed, silence_ns: int) -> None:
        known = {
            names.FEED_AGE: silence_ns / 1e9,
            names.FEED_MAX_AGE: feed.max_age_ns / 1e9,
            names.FEED_STALE_REASON: SILENT,
            ERROR_TYPE: feed.error_type,
        }
        state = {True: "connected", False: "disconnected", None: "open"}[feed.is_connected]
        said = f"{_title(feed)}: silent for {silence_ns / 1e9:.1f} s, {state}"
        self._tell(feed, names.EVENT_FEED_STALE, WARN, known, said)

    def _may_tell(self, feed: Feed, kind: str) -> bool:
        now_ns, told_ns = self.clock.monotonic_ns(), self._told_ns.setdefault(feed, {})
        if kind in told_ns and now_ns - told_ns[kind] < _TOLD_AGAIN_NS:
            return False
        told_ns[kind] = now_ns
        return True

    def _tell(
        self,
        feed: Feed,
        name: str,
        severity: SeverityNumber,
        known: Mapping[str, AttributeValue | None],
        said: str,
    ) -> None:
        present = {key: value for key, value in known.items() if value is not None}
        self._events.emit(name, severity, {**dict(feed.series), **present}, body=said)


class _OtherFeed(Feed):
    """Streams beyond the bound, counted together: numbers and silence of many say nothing."""

    __slots__ = ()

    def sequenced(self, first: int, last: int | None = None) -> None:
        """Numbers of different streams do not follow each other."""

    def silence_ns(self, now_ns: int) -> int | None:
        """Nobody can tell which of them is silent."""
        del now_ns


class _Kept:
    """Measurements on their way to an instrument for which no message is to wait; of many, the newest."""

    __slots__ = ("_take", "values")

    def __init__(self, take: Record, most: int) -> None:
        self._take = take
        self.values: deque[float] = deque(maxlen=most)

    def drain(self) -> None:
        for _ in range(len(self.values)):
            self._take(self.values.popleft())


def _series(place: FeedPlace) -> Series:
    return (
        (names.VENUE_NAME, place.venue),
        (names.VENUE_ENVIRONMENT, place.environment),
        (names.CLIENT_LIBRARY, place.library),
        (names.FEED_CHANNEL, place.channel),
    )


def _histogram(meter: Meter, name: str, description: str) -> Histogram:
    return meter.create_histogram(
        name, unit="s", description=description, explicit_bucket_boundaries_advisory=SECONDS_FROM_10_US
    )


def _can_be_held_weakly(owner: object) -> bool:
    return type(owner).__weakrefoffset__ != 0


def _weakly(key: Hashable) -> Hashable:
    """A weak reference where `key` is itself a connection: a value that equals others is nobody's life."""
    is_identity = type(key).__hash__ is object.__hash__
    return weakref.ref(key) if is_identity and _can_be_held_weakly(key) else key


def _said(error: BaseException) -> Attributes:
    return {key: text for key, text in exception_attributes(error).items() if isinstance(text, str)}


def _title(feed: Feed) -> str:
    return f"{feed.place.venue} {feed.place.channel}"

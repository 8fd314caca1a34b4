"""Market data as a kernel hands it to its strategies: the tick an order came from, and the feed it is of."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from tickspan.trading import Clock, Feed, Feeds, RecentTicks, TickRef, set_current_tick

from tickspan_nautilus.describe import LIBRARY, venue_of
from tickspan_nautilus.read import channel_of, instrument_of, is_from_venue

MAX_INSTRUMENTS: Final = 10_000
"""That are remembered at once, for each kind of data."""
_MAX_QUEUED_NS: Final = 10_000_000_000
"""What claims to have come earlier is a replay, or its clock is another."""


class _Source(NamedTuple):
    """Data of one kind about one instrument."""

    venue: str
    symbol: str
    channel: str
    feed: Feed | None


class Market:
    """The market data of one kernel. Its handlers run first, in the context of the strategies' own."""

    def __init__(
        self, clock: Clock, feeds: Feeds | None, kernel: Any, environment_at: Callable[[str], str | None]
    ) -> None:
        self.recent: Final = RecentTicks()
        """For strategies that act in another context than their handlers': timers, executors."""
        self.moment_ns = 0
        """The library's clock when it handed out the newest of them."""
        self._clock = clock
        self._feeds = feeds
        """None in a back-test: history is no feed."""
        self._kernel = weakref.ref(kernel)
        self._environment_at = environment_at
        self._sources: dict[type, dict[Any, _Source]] = {}
        """By class of data and instrument id; a class that is no market data has nothing."""

    def delivered(self, data: Any) -> None:
        """P3: `data` is handed to whoever has subscribed to it; what they do now, they do because of it."""
        source = self._source(data)
        if source is None:
            return
        clock, sent_ns = self._clock, data.ts_init
        self.moment_ns = sent_ns
        now_ns, queued_ns = clock.monotonic_ns(), clock.wall_ns() - sent_ns
        if not 0 <= queued_ns <= _MAX_QUEUED_NS:
            queued_ns = 0
        received_ns, venue_time_ns = now_ns - queued_ns, data.ts_event
        tick = TickRef(
            source.venue,
            received_ns,
            instrument=source.symbol,
            channel=source.channel,
            venue_time_ns=venue_time_ns,
        )
        tick.delivered_ns = now_ns
        feed = source.feed
        if feed is not None and is_from_venue(data):
            feed.received(received_ns, venue_time_ns=venue_time_ns)
            feed.delivered(queued_ns)
        self.recent.note(tick)
        set_current_tick(tick)

    def close(self) -> None:
        """No data is expected any more: silence is no alarm from now on."""
        for sources in self._sources.values():
            for source in sources.values():
                if source.feed is not None:
                    source.feed.closed()

    def _source(self, data: Any) -> _Source | None:
        kind = type(data)
        known = self._sources.get(kind)
        if known is None:
            known = self._sources[kind] = {}
        if not known and channel_of(kind) is None:
            return None
        instrument_id = instrument_of(data)
        source = known.get(instrument_id)
        return source if source is not None else self._added(known, kind, instrument_id)

    def _added(self, known: dict[Any, _Source], kind: type, instrument_id: Any) -> _Source:
        if len(known) >= MAX_INSTRUMENTS:
            known.clear()
        venue, channel, feed = venue_of(instrument_id), channel_of(kind) or "", None
        if self._feeds is not None:
            feed = self._feeds.feed(
                venue,
                channel,
                library=LIBRARY,
                environment=self._environment_at(venue),
                owner=self._kernel(),
            )
        source = known[instrument_id] = _Source(venue, str(instrument_id.symbol), channel, feed)
        return source

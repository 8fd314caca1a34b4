"""One stream of messages as slots: what it has carried, when it was last heard, where its numbers are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from tickspan.instrumentation import type_name

if TYPE_CHECKING:
    from tickspan.trading.connection import ConnectAttempt
    from tickspan.trading.observing import Series

Record = Callable[[float], None]
"""Takes one measurement in seconds; must cost little."""

OTHER: Final = "_other"
"""Channel under which streams beyond the bound are counted."""
_GAPS_KEPT: Final = 33
_PING_FACTOR: Final = 3
_MESSAGE_FACTOR: Final = 10
_UNKNOWN_PING_GAP_NS: Final = 60_000_000_000
"""Between two pings, until a second one has come."""


@dataclass(frozen=True, slots=True)
class FeedPlace:
    """Where a stream comes from, as it is told."""

    venue: str
    channel: str
    library: str
    environment: str


class FeedKeeper(Protocol):
    """Whom a feed tells what is worth an event: the feeds of its instrumentor."""

    def missed(self, feed: Feed, expected: int, received: int) -> None:
        """Numbers from `expected` on are missing."""
        ...

    def begun_anew(self, feed: Feed, expected: int | None, received: int | None) -> None:
        """The stream is told from the beginning again."""
        ...

    def failed(self, feed: Feed, error: BaseException) -> None:
        """A message handler has raised."""
        ...

    def attempt(self, feed: Feed) -> ConnectAttempt:
        """A connection is about to be made."""
        ...

    def now_ns(self) -> int:
        """The monotonic clock."""
        ...


class Feed:
    """The slot of one stream. Fed by one thread at a time, read by any; no method raises or waits.

    Moments are monotonic nanoseconds.
    """

    __slots__ = (
        "__weakref__",
        "_alive_ns",
        "_behind",
        "_expected",
        "_gaps",
        "_keeper",
        "_pings",
        "_record_lag",
        "_record_queue",
        "_seen_messages",
        "_seen_ns",
        "_started_ns",
        "_torn_ns",
        "_was_open",
        "attempts",
        "backlog_length",
        "bytes",
        "checksum_errors",
        "conflated_messages",
        "dropped_messages",
        "error_type",
        "handler_errors",
        "is_closed",
        "is_connected",
        "is_private",
        "is_watched",
        "lead_ns",
        "max_age_ns",
        "messages",
        "negative_lags",
        "place",
        "received_ns",
        "reconnects",
        "sequence_gaps",
        "series",
        "shift_ns",
        "stale_from_ns",
    )

    def __init__(
        self,
        place: FeedPlace,
        series: Series,
        keeper: FeedKeeper,
        record_lag: Record,
        record_queue: Record,
        *,
        max_age_ns: int,
        shift_ns: int,
        is_private: bool | None,
    ) -> None:
        self.place = place
        self.series = series
        self.is_private = is_private
        self.max_age_ns = max_age_ns
        """A silence that is longer is told; changes with the stream's own pace."""
        self.shift_ns = shift_ns
        """From our monotonic clock to the venue's, as far as that is known."""
        self._keeper = keeper
        self._record_lag = record_lag
        self._record_queue = record_queue
        self._forget()

    def __repr__(self) -> str:
        place = self.place
        state = "stale" if self.stale_from_ns is not None else "watched" if self.is_watched else "not watched"
        return f"<Feed {place.venue} {place.channel} {place.environment}: {self.messages} messages, {state}>"

    # What a member tells.

    def received(self, at_ns: int, *, venue_time_ns: int | None = None, size_bytes: int = 0) -> None:
        """A message has come at `at_ns` (P1); `venue_time_ns` is the venue's own, since 1970 (P0)."""
        self.received_ns = at_ns
        self.messages += 1
        self.bytes += size_bytes
        if venue_time_ns is not None:
            lag_ns = at_ns + self.shift_ns - venue_time_ns
            if lag_ns >= 0:
                self._record_lag(lag_ns / 1e9)
            else:
                self.negative_lags += 1
                if lag_ns < -self.lead_ns:
                    self.lead_ns = -lag_ns

    def delivered(self, queued_ns: int) -> None:
        """A message has reached its consumer `queued_ns` after its receipt (P3 - P1)."""
        self._record_queue(queued_ns / 1e9)

    def sequenced(self, first: int, last: int | None = None) -> None:
        """The message carries number `first`, or all from `first` to `last`. A jump is a gap.

        What overlaps or lies behind is late or doubled, unless it is a new numbering: two messages behind
        that follow each other.
        """
        after = (first if last is None else last) + 1
        expected = self._expected
        if expected is None or first <= expected < after:
            self._expected, self._behind = after, None
        elif first > expected:
            self._expected, self._behind = after, None
            self.sequence_gaps += 1
            self._keeper.missed(self, expected, first)
        elif first == self._behind:
            self._expected, self._behind = after, None
            self._keeper.begun_anew(self, expected, first)
        else:
            self._behind = after

    def resynced(self) -> None:
        """The consumer has thrown away what it knew and starts from a new snapshot."""
        expected, self._expected = self._expected, None
        self._keeper.begun_anew(self, expected, None)

    def checksum_failed(self) -> None:
        """What the messages added up to is not what the venue has."""
        self.checksum_errors += 1

    def conflated(self, count: int = 1) -> None:
        """Messages that nobody will see, since later ones replaced them."""
        self.conflated_messages += count

    def dropped(self, count: int = 1) -> None:
        """Messages that a full queue has lost."""
        self.dropped_messages += count

    def backlog(self, length: int) -> None:
        """So many messages wait for their consumer now."""
        self.backlog_length = length

    def handler_failed(self, error: BaseException) -> None:
        """An exception came out of the message handler: the loop that calls it may be dead."""
        self.handler_errors += 1
        self._keeper.failed(self, error)

    def connecting(self) -> ConnectAttempt:
        """An attempt to connect begins: end it by `succeeded` or `failed`, or use it as a context."""
        self.attempts += 1
        return self._keeper.attempt(self)

    def connected(self) -> None:
        """The stream is open, from now on watched, and numbered anew."""
        self.reconnects += self._was_open
        self._was_open = True
        self.is_connected = True
        self.is_closed = False
        self.is_watched = True
        self.attempts = 0
        self.error_type = None
        self._started_ns = self._keeper.now_ns()
        self._torn_ns = None
        self._expected = self._behind = None

    def disconnected(self, error: BaseException | None = None) -> None:
        """The stream has ended, not by our wish: it stays watched, for its data grows old.

        Of a private stream silence is sure from now on, whatever its pings have told before.
        """
        if self._torn_ns is None:
            self._torn_ns = self._keeper.now_ns()
        self.is_connected = False
        self.error_type = type_name(error) if error is not None else None
        self._expected = self._behind = None

    def carried(self) -> None:
        """What the stream comes by has been opened again: it may be heard, which is no sign of life yet."""
        self.is_connected = self.error_type = self._torn_ns = None
        self._expected = self._behind = None

    def closed(self) -> None:
        """The program has ended the stream: no longer watched, until it is connected or heard again."""
        self.is_closed = True
        self.is_watched = self._was_open = False
        self.is_connected = self.error_type = self.stale_from_ns = None
        self._started_ns = self._alive_ns = self._seen_ns = self._torn_ns = None
        self._expected = self._behind = None
        self._seen_messages = self.messages
        self._gaps.clear()
        self._pings.clear()

    def alive(self, at_ns: int) -> None:
        """A ping or heartbeat: the sign of life of a stream that is silent by nature."""
        before, self._alive_ns = self._alive_ns, at_ns
        if before is not None:
            self._pings.append(at_ns - before)

    # What the watch asks.

    @property
    def heard_ns(self) -> int | None:
        """The last sign of life: a message, or a ping where those count."""
        heard = self.received_ns if self.messages else None
        alive = self._alive_ns if self.is_private is not False else None
        return alive if heard is None else heard if alive is None else max(heard, alive)

    def learn_pace(self, least_age_ns: int) -> None:
        """How long a silence may be, from what has come since the last look."""
        count = self.messages - self._seen_messages
        if count:
            latest_ns = self.received_ns
            if self._seen_ns is not None:
                self._gaps.append(max(0, latest_ns - self._seen_ns) // count)
            self._seen_messages += count
            self._seen_ns = latest_ns
            self.is_closed = False
            self.is_watched = True
        self.max_age_ns = (
            least_age_ns if self._is_surely_silent else max(least_age_ns, self._longest_pause_ns())
        )

    def silence_ns(self, now_ns: int) -> int | None:
        """How long the stream has been silent, if longer than its pace allows; None where all is well."""
        if not self.is_watched:
            return None
        if self._is_surely_silent:
            moments = [self._torn_ns]
        elif self.is_private and self._alive_ns is None:
            return None  # of an order stream without pings nobody can tell silence from peace
        else:
            moments = [self.heard_ns, self._started_ns]
        known = [moment for moment in moments if moment is not None]
        age_ns = now_ns - max(known) if known else 0
        return age_ns if age_ns > self.max_age_ns else None

    @property
    def _is_surely_silent(self) -> bool:
        """What is silent by nature tells nothing by its pace; that it is torn says enough."""
        return self.is_private is True and self._torn_ns is not None

    def _longest_pause_ns(self) -> int:
        pause_ns = 0 if self.is_private else _MESSAGE_FACTOR * _median(self._gaps)
        if self.is_private is False or self._alive_ns is None:
            return pause_ns
        return max(pause_ns, _PING_FACTOR * (_median(self._pings) or _UNKNOWN_PING_GAP_NS))

    def after_fork_in_child(self) -> None:
        """The parent counts on; a stream is ours once we hear it."""
        self._forget()

    def _forget(self) -> None:
        self.received_ns = 0
        self.messages = self.bytes = self.negative_lags = 0
        self.lead_ns = 0
        """By how much a message was ahead of our clock since the last look, at most."""
        self.conflated_messages = self.dropped_messages = 0
        self.sequence_gaps = self.checksum_errors = self.handler_errors = 0
        self.reconnects = self.attempts = 0
        self.backlog_length: int | None = None
        self.is_connected: bool | None = None
        self.is_closed = False
        self.is_watched = self._was_open = False
        self.error_type: str | None = None
        self.stale_from_ns: int | None = None
        """When it was last heard before the silence that has been told."""
        self._started_ns: int | None = None
        self._torn_ns: int | None = None
        self._alive_ns: int | None = None
        self._expected: int | None = None
        self._behind: int | None = None
        self._gaps: deque[int] = deque(maxlen=_GAPS_KEPT)
        self._pings: deque[int] = deque(maxlen=_GAPS_KEPT)
        self._seen_messages = 0
        self._seen_ns: int | None = None


def _median(gaps: deque[int]) -> int:
    """The middle one; 0 of none."""
    return sorted(gaps)[len(gaps) // 2] if gaps else 0

"""A queue between a socket and its consumer, and a connection of it that is being made."""

from __future__ import annotations

from collections import deque
from typing import Any, Final, NamedTuple

from tickspan.trading import ConnectAttempt, Feed, RecentTicks, TickRef

from tickspan_binance.describe import Place
from tickspan_binance.topics import Stream

MAX_WAITING: Final = 1_000
"""Messages of one queue whose ticks are kept. The library's own bound is 100 by default, and there is none
for user data.
"""


class Waiting(NamedTuple):
    """A message that was put on a queue."""

    message: Any
    tick: TickRef
    feed: Feed


class Line:
    """One queue between a socket and its consumer, with the streams that feed it."""

    __slots__ = (
        "delivered",
        "feeds",
        "is_api",
        "is_attempting",
        "is_lost",
        "is_private",
        "lines",
        "main",
        "place",
        "queue",
        "recent",
        "serial",
        "streams",
        "waiting",
    )

    def __init__(
        self,
        lines: object,
        queue: Any,
        place: Place,
        recent: RecentTicks,
        streams: tuple[Stream, ...],
        main: Feed,
        serial: int,
    ) -> None:
        self.lines = lines
        """Who made it."""
        self.queue = queue
        self.place = place
        self.recent = recent
        """The ticks of the client that the socket works for."""
        self.streams = streams
        self.main = main
        """The feed that stands for the connection."""
        self.serial = serial
        self.feeds: dict[str, Feed] = {}
        self.waiting: deque[Waiting] = deque(maxlen=MAX_WAITING)
        self.delivered: tuple[Any, TickRef | None] = (None, None)
        """The last message that a consumer got."""
        self.is_api = False
        """It carries requests and their answers."""
        self.is_private = False
        """It carries what concerns one account."""
        self.is_attempting = False
        self.is_lost = False
        """The subscription ended with a connection and is not made again by the library."""

    def all_feeds(self) -> tuple[Feed, ...]:
        """Each feed once."""
        return tuple(dict.fromkeys((self.main, *self.feeds.values())))

    def queued(self, waiting: Waiting) -> None:
        """The library is about to put the message on the queue."""
        self.waiting.append(waiting)
        self.main.backlog(self.queue.qsize() + 1)

    def taken(self, message: Any) -> Waiting | None:
        """The entry of `message`, by identity: errors are put on the queue too, and have none."""
        if self.waiting and self.waiting[0].message is message:  # as ever
            self.main.backlog(self.queue.qsize())
            return self.waiting.popleft()
        for place, waiting in enumerate(self.waiting):
            if waiting.message is message:
                for _ in range(place + 1):
                    self.waiting.popleft()
                return waiting
        return None


class Attempt:
    """A connection that is being made, for all streams it carries."""

    __slots__ = ("_attempt", "_line")

    def __init__(self, line: Line) -> None:
        line.is_attempting = True
        self._line = line
        self._attempt: ConnectAttempt = line.main.connecting()

    def succeeded(self) -> None:
        """It is open."""
        self._line.is_attempting = self._line.is_lost = False
        self._attempt.succeeded()
        for feed in self._line.all_feeds():
            if feed is not self._line.main:
                feed.connected()

    def failed(self, error: BaseException) -> None:
        """It could not be opened."""
        self._line.is_attempting = False
        self._attempt.failed(error)
        for feed in self._line.all_feeds():
            if feed is not self._line.main:
                feed.disconnected(error)

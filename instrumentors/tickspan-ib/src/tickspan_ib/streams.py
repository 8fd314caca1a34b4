"""The two streams of a client object: what it hears of markets, and what of its orders."""

from __future__ import annotations

import weakref
from typing import Any, Final

from tickspan.trading import Feed, Feeds

from tickspan_ib.describe import place_of
from tickspan_ib.venue import VENUE

TICKS: Final = "ticks"
BARS: Final = "bars"
ORDERS: Final = "orders"


class Streams:
    """One socket carries both; each has its own pace. They last as long as the client object."""

    def __init__(self, feeds: Feeds, library: str, client: Any) -> None:
        self._feeds = feeds
        self._library = library
        self._client = weakref.ref(client)
        self._orders: Feed | None = None
        self._ticks: Feed | None = None

    def connected(self, wrapper: Any) -> None:
        """The socket is open and TWS has named the account."""
        if self._orders is None:
            environment = place_of(self._library, wrapper).environment
            self._orders = self._feed(ORDERS, environment, is_private=True)
        for feed in self._open():
            feed.connected()

    def interrupted(self, error: BaseException | None = None) -> None:
        """The socket has broken, or TWS has lost IB."""
        for feed in self._open():
            feed.disconnected(error)

    def resumed(self) -> None:
        """TWS has found IB again."""
        for feed in self._open():
            feed.connected()

    def closed(self) -> None:
        """The program has disconnected."""
        for feed in self._open():
            feed.closed()

    def ticked(self, wrapper: Any, received_ns: int, delivered_ns: int) -> None:
        """Market data has come, and is about to reach the program."""
        if self._ticks is None:
            environment = place_of(self._library, wrapper).environment
            self._ticks = self._feed(TICKS, environment, is_private=False)
            self._ticks.connected()
        self._ticks.received(received_ns)
        self._ticks.delivered(delivered_ns - received_ns)

    def unsubscribed(self) -> None:
        """The program watches no market any longer."""
        if self._ticks is not None:
            self._ticks.closed()

    def reported(self, received_ns: int) -> None:
        """TWS tells of an order."""
        if self._orders is not None:
            self._orders.received(received_ns)

    def _open(self) -> tuple[Feed, ...]:
        return tuple(feed for feed in (self._orders, self._ticks) if feed is not None)

    def _feed(self, channel: str, environment: str | None, *, is_private: bool) -> Feed:
        return self._feeds.feed(
            VENUE,
            channel,
            library=self._library,
            environment=environment,
            key=self._client(),
            is_private=is_private,
        )

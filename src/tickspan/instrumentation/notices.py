"""Who is told of an application's database connections: whoever listens to what their servers say.

Members call `watched` when they see a connection made, and tell the watch of each statement that begins, so
that what the server says of it finds its span. Nobody watches unless the distribution says so. A connection
that two members see, as SQLAlchemy's and its driver's do, is prepared once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from opentelemetry.trace import SpanContext

__all__ = [
    "ConnectionWatch",
    "ConnectionWatcher",
    "known_watch",
    "watch_connections",
    "watched",
    "watched_async",
    "watcher",
]


class ConnectionWatch(Protocol):
    """One connection, to which it holds no reference. Called by whoever holds it, behind a guard."""

    def started(self, fingerprint: str, span: SpanContext) -> None:
        """A statement has begun."""
        ...

    def acquired(self, connection: Any) -> None:
        """The connection comes out of its pool, which takes listeners off."""
        ...

    def released(self, connection: Any) -> None:
        """It is about to go back to its pool: asyncpg warns of listeners that are left on it."""
        ...


class ConnectionWatcher(Protocol):
    """Decides which connections are watched, and prepares them. Raises nothing of the driver's."""

    def connected(self, connection: Any) -> ConnectionWatch | None:
        """A synchronous connection was made, and nothing has run on it; None when it is not watched."""
        ...

    async def connected_async(self, connection: Any) -> ConnectionWatch | None:
        """An asynchronous one."""
        ...


_watcher: ConnectionWatcher | None = None
_watches: Final[WeakKeyDictionary[Any, ConnectionWatch | None]] = WeakKeyDictionary()
"""By the driver's own connection; None where the watcher has turned it down."""


def watcher() -> ConnectionWatcher | None:
    """Who is to be told; None for nobody."""
    return _watcher


def watched(connection: Any) -> ConnectionWatch | None:
    """Have a synchronous connection watched that was just made; None where nobody does."""
    if _watcher is None or connection in _watches:
        return _watches.get(connection)
    found = _watches[connection] = _watcher.connected(connection)
    return found


async def watched_async(connection: Any) -> ConnectionWatch | None:
    """The same for an asynchronous one."""
    if _watcher is None or connection in _watches:
        return _watches.get(connection)
    found = _watches[connection] = await _watcher.connected_async(connection)
    return found


def known_watch(connection: Any) -> ConnectionWatch | None:
    """The watch of a connection that somebody saw being made."""
    return _watches.get(connection)


def watch_connections(found: ConnectionWatcher) -> Callable[[], None]:
    """Tell `found` of each connection from now on, instead of anybody before; returns what stops that."""
    global _watcher
    before, _watcher = _watcher, found

    def undo() -> None:
        global _watcher
        if _watcher is found:
            _watcher = before

    return undo

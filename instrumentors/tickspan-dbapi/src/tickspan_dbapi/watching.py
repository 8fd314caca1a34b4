"""Connections to PostgreSQL, as they are made, are shown to whoever listens to what the server says."""

from __future__ import annotations

import functools
from typing import Any

from tickspan.instrumentation import Workbench, is_suppressed
from tickspan.instrumentation.notices import watched, watched_async, watcher

__all__ = ["showing", "showing_async"]


def showing(original: Any, bench: Workbench) -> Any:
    """Around a function that makes a connection."""
    guard = bench.guard("notices")

    @functools.wraps(original)
    def connect(*args: Any, **kwargs: Any) -> Any:
        connection = original(*args, **kwargs)
        if watcher() is None or not bench.is_active or is_suppressed():
            return connection
        try:
            guard.own(watched, connection, default=None)
        except BaseException:  # interrupted: nobody else has this connection
            connection.close()
            raise
        return connection

    return connect


def showing_async(original: Any, bench: Workbench) -> Any:
    """Around a coroutine function that makes one."""
    guard = bench.guard("notices")

    @functools.wraps(original)
    async def connect(*args: Any, **kwargs: Any) -> Any:
        connection = await original(*args, **kwargs)
        if watcher() is None or not bench.is_active or is_suppressed():
            return connection
        try:
            await watched_async(connection)
        except Exception as error:  # noqa: BLE001 - what `Guard.own` does, which cannot wait
            guard.caught(error)
        except BaseException:  # cancelled, as by a time-out: nobody else has this connection
            await _abandon(connection)
            raise
        return connection

    return connect


async def _abandon(connection: Any) -> None:
    """Without a word to the server: asyncpg has a name for it, in psycopg `close` is that."""
    terminate = getattr(connection, "terminate", None)
    if terminate is not None:
        terminate()
    else:
        await connection.close()

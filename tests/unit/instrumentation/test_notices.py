"""Who is shown connections, and when."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest

from tickspan.instrumentation import notices


class Watch:
    def started(self, fingerprint: str, span: object) -> None: ...
    def acquired(self, connection: object) -> None: ...
    def released(self, connection: object) -> None: ...


class Watcher:
    def __init__(self, watch: Watch | None) -> None:
        self.watch = watch
        self.shown: list[str] = []

    def connected(self, connection: Any) -> Watch | None:
        self.shown.append(f"sync {type(connection).__name__}")
        return self.watch

    async def connected_async(self, connection: Any) -> Watch | None:
        self.shown.append(f"async {type(connection).__name__}")
        return self.watch


class Connection:
    pass


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches yet; afterwards it is as before."""
    monkeypatch.setattr(notices, "_watcher", None)


def test_a_connection_that_two_see_is_shown_once() -> None:
    watcher, connection = Watcher(Watch()), Connection()
    notices.watch_connections(watcher)
    found = [notices.watched(connection), asyncio.run(notices.watched_async(connection))]
    assert found == [watcher.watch, watcher.watch]
    assert notices.known_watch(connection) is watcher.watch
    assert watcher.shown == ["sync Connection"]


def test_a_connection_that_was_turned_down_is_not_shown_again() -> None:
    watcher, connection = Watcher(None), Connection()
    notices.watch_connections(watcher)
    assert asyncio.run(notices.watched_async(connection)) is None
    assert notices.watched(connection) is None
    assert watcher.shown == ["async Connection"]


def test_without_a_watcher_nothing_is_kept_of_a_connection() -> None:
    connection = Connection()
    assert notices.watched(connection) is None
    watcher = Watcher(Watch())
    notices.watch_connections(watcher)
    assert notices.watched(connection) is watcher.watch


def test_a_watched_connection_is_let_go() -> None:
    notices.watch_connections(Watcher(Watch()))
    connection = Connection()
    notices.watched(connection)
    left = weakref.ref(connection)
    del connection
    gc.collect()
    assert left() is None

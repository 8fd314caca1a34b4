"""Keepers without a server: this process's memory, and a SQLite file beside the cache's disk."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

from tickspan_spool.home import create_file, private_folder

from tickspan.cache.sessions.record import HEAD_BYTES
from tickspan.cache.sessions.requests import (
    Answer,
    Extend,
    Fetch,
    Fetched,
    Forget,
    Insert,
    List,
    Listed,
    Note,
    Remove,
    Replace,
    Request,
)
from tickspan.cache.sessions.session import SessionStoreUnavailable
from tickspan.instrumentation.forks import renew_after_fork

__all__ = ["FileKeeper", "MemoryKeeper"]

MOST_SESSIONS: Final = 100_000
"""In memory; then nobody can log in until some have ended."""
_PATIENCE_S: Final = 1.0
_PURGE_EACH: Final = 256
_MARKS: Final = 500
"""Digests of one statement."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS sessions (
    digest BLOB PRIMARY KEY, expires_ms INTEGER NOT NULL, raw BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS users (
    user TEXT NOT NULL, digest BLOB NOT NULL, noted_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
    PRIMARY KEY (user, digest)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_end ON sessions (expires_ms);
CREATE INDEX IF NOT EXISTS users_by_end ON users (expires_ms);
"""


class MemoryKeeper:
    """Sessions of one process, which end with it."""

    def __init__(self, now_ms: Callable[[], int], *, most: int = MOST_SESSIONS) -> None:
        self._now_ms = now_ms
        self._most = most
        self._records: dict[bytes, tuple[bytes, int]] = {}
        self._users: dict[str, dict[bytes, int]] = {}
        self._lock = threading.Lock()
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<MemoryKeeper {len(self._records)} sessions>"

    def perform(self, request: Request, /) -> Answer:
        """Raises `SessionStoreUnavailable` when there is no room for another one."""
        with self._lock:
            return self._performed(request, self._now_ms())

    async def perform_async(self, request: Request, /) -> Answer:
        """As `perform`, which waits for nothing."""
        return self.perform(request)

    def close(self) -> None:
        """Nothing is to be given back."""

    def after_fork_in_child(self) -> None:
        """The parent's lock may be held by a thread that is not here."""
        self._lock = threading.Lock()

    def _performed(self, request: Request, now_ms: int) -> Answer:  # noqa: PLR0911 - one for each kind
        if isinstance(request, Note | List | Forget):
            return self._of_users(request)
        match request:
            case Fetch(digests):
                return tuple(self._fetched(digest, now_ms) for digest in digests)
            case Insert(digest, raw, ttl_ms):
                self._make_room(now_ms)
                self._records[digest] = (raw, now_ms + ttl_ms)
                return None
            case Replace(digest, head, raw, ttl_ms):
                held = self._fetched(digest, now_ms)
                if held is None or held.raw[:HEAD_BYTES] != head:
                    return False
                self._records[digest] = (raw, now_ms + ttl_ms)
                return True
            case Extend(digest, ttl_ms):
                held = self._fetched(digest, now_ms)
                if held is not None:
                    self._records[digest] = (held.raw, now_ms + ttl_ms)
                return None
            case Remove(digests):
                there = [digest for digest in digests if self._fetched(digest, now_ms) is not None]
                for digest in there:
                    self._records.pop(digest, None)
                return len(there)

    def _of_users(self, request: Note | List | Forget) -> Answer:
        match request:
            case Note(user, digest, noted_ms):
                self._users.setdefault(user, {})[digest] = noted_ms
                return None
            case List(user):
                index = self._users.get(user, {})
                return tuple(Listed(digest, noted_ms) for digest, noted_ms in index.items())
            case Forget(user, digests):
                self._forget(user, digests)
                return None

    def _fetched(self, digest: bytes, now_ms: int) -> Fetched | None:
        raw, expires_ms = self._records.get(digest, (b"", 0))
        if now_ms < expires_ms:
            return Fetched(raw, expires_ms - now_ms)
        self._records.pop(digest, None)
        return None

    def _forget(self, user: str, digests: tuple[bytes, ...]) -> None:
        index = self._users.get(user, {})
        for digest in digests:
            index.pop(digest, None)
        if not index:
            self._users.pop(user, None)

    def _make_room(self, now_ms: int) -> None:
        if len(self._records) < self._most:
            return
        over = [digest for digest, (_, expires_ms) in self._records.items() if expires_ms <= now_ms]
        for digest in over:
            del self._records[digest]
        if len(self._records) >= self._most:
            raise SessionStoreUnavailable("full")
        for user, index in tuple(self._users.items()):
            self._forget(user, tuple(digest for digest in index if digest not in self._records))


class FileKeeper:
    """Sessions in a SQLite file, mode 0600, which processes of one user share.

    Its folder is made with mode 0700; one that others may write is not used. Each change is written through
    before it is answered: what was revoked stays so, whatever loses power.
    """

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._path = path.expanduser()
        self._now_ms = now_ms
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._inserts = 0
        renew_after_fork(self)

    def __repr__(self) -> str:
        return f"<FileKeeper {self._path}>"

    def perform(self, request: Request, /) -> Answer:
        """Raises `SessionStoreUnavailable`: the file cannot be opened, read or written."""
        with self._lock:
            try:
                return self._performed(self._opened(), request, self._now_ms())
            except (sqlite3.Error, OSError) as error:
                self._drop()
                raise SessionStoreUnavailable(_reason_of(error)) from error

    async def perform_async(self, request: Request, /) -> Answer:
        """As `perform`, on another thread."""
        return await asyncio.to_thread(self.perform, request)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._is_closed = True
            self._drop()

    def after_fork_in_child(self) -> None:
        """SQLite's connections are not carried over a fork: this one is left as it is, and never closed."""
        self._lock = threading.Lock()
        if self._connection is not None:
            _left_behind.append(self._connection)
        self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._is_closed:
            raise SessionStoreUnavailable("closed")
        if self._connection is None:
            folder = self._path.parent
            folder.parent.mkdir(parents=True, exist_ok=True)
            private_folder(folder)
            with contextlib.suppress(FileExistsError):
                os.close(create_file(self._path))
            # The class is named, so that an instrumented `sqlite3.connect` records nothing of sessions.
            self._connection = sqlite3.connect(
                self._path,
                timeout=_PATIENCE_S,
                isolation_level=None,
                check_same_thread=False,
                factory=sqlite3.Connection,
            )
            self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.executescript(_SCHEMA)
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _performed(self, file: sqlite3.Connection, request: Request, now_ms: int) -> Answer:  # noqa: PLR0911 - one answer for each kind
        match request:
            case Fetch(digests):
                return _fetched(file, digests, now_ms)
            case Insert(digest, raw, ttl_ms):
                self._purge(file, now_ms)
                file.execute(
                    "INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", (digest, now_ms + ttl_ms, raw)
                )
                return None
            case Replace(digest, head, raw, ttl_ms):
                done = file.execute(
                    "UPDATE sessions SET raw = ?, expires_ms = ? WHERE digest = ? AND expires_ms > ?"
                    " AND substr(raw, 1, ?) = ?",
                    (raw, now_ms + ttl_ms, digest, now_ms, HEAD_BYTES, head),
                )
                return done.rowcount == 1
            case Extend(digest, ttl_ms):
                file.execute(
                    "UPDATE sessions SET expires_ms = ? WHERE digest = ? AND expires_ms > ?",
                    (now_ms + ttl_ms, digest, now_ms),
                )
                return None
            case Remove(digests):
                return sum(
                    file.execute(
                        "DELETE FROM sessions WHERE digest = ? AND expires_ms > ?", (digest, now_ms)
                    ).rowcount
                    for digest in digests
                )
            case Note(user, digest, noted_ms, ttl_ms):
                row = (user, digest, noted_ms, now_ms + ttl_ms)
                file.execute("INSERT OR REPLACE INTO users VALUES (?, ?, ?, ?)", row)
                return None
            case List(user):
                found = file.execute("SELECT digest, noted_ms FROM users WHERE user = ?", (user,))
                return tuple(Listed(digest, noted_ms) for digest, noted_ms in found)
            case Forget(user, digests):
                rows = [(user, digest) for digest in digests]
                file.executemany("DELETE FROM users WHERE user = ? AND digest = ?", rows)
                return None

    def _purge(self, file: sqlite3.Connection, now_ms: int) -> None:
        """Each so many logins what has ended leaves the file."""
        if self._inserts % _PURGE_EACH == 0:
            file.execute("DELETE FROM sessions WHERE expires_ms <= ?", (now_ms,))
            file.execute("DELETE FROM users WHERE expires_ms <= ?", (now_ms,))
        self._inserts += 1


_left_behind: Final[list[sqlite3.Connection]] = []


def _fetched(file: sqlite3.Connection, digests: tuple[bytes, ...], now_ms: int) -> tuple[Fetched | None, ...]:
    rows: dict[bytes, Fetched] = {}
    for some in _slices(digests):
        marks = ", ".join("?" * len(some))
        found = file.execute(
            f"SELECT digest, raw, expires_ms FROM sessions WHERE expires_ms > ? AND digest IN ({marks})",  # noqa: S608 - only marks
            (now_ms, *some),
        )
        rows |= {digest: Fetched(raw, expires_ms - now_ms) for digest, raw, expires_ms in found}
    return tuple(rows.get(digest) for digest in digests)


def _slices(digests: tuple[bytes, ...]) -> Generator[tuple[bytes, ...]]:
    for start in range(0, len(digests), _MARKS):
        yield digests[start : start + _MARKS]


def _reason_of(error: Exception) -> str:
    if (
        isinstance(error, sqlite3.OperationalError)
        and getattr(error, "sqlite_errorname", "") == "SQLITE_BUSY"
    ):
        return "busy"
    return (
        "damaged"
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        else "disk"
    )

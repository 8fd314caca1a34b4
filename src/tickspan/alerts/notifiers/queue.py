"""The queue: notices that wait for their notifiers, on disk, so that no end of a process loses one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from tickspan_spool import sqlite_file

from tickspan.alerts.notice import Notice
from tickspan.recording import diagnostics

__all__ = ["FILE", "MOST_WAITING", "Queue", "Waiting"]

FILE: Final = "alerts-queue.sqlite3"
"""In the folder of the spool, or of the gateway's storage."""
MOST_WAITING: Final = 1_000
_TOLD_KEPT_S: Final = 7 * 86_400.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    starts_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (channel, fingerprint, starts_ms, state));
CREATE TABLE IF NOT EXISTS told (
    channel TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    starts_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    at_s REAL NOT NULL,
    PRIMARY KEY (channel, fingerprint));
CREATE TABLE IF NOT EXISTS standing (fingerprint TEXT PRIMARY KEY, body TEXT NOT NULL);
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice in the queue."""

    id: int
    notice: Notice


class Queue:
    """Safe for any thread. A file that cannot be used costs durability: the queue goes on in memory."""

    def __init__(self, path: Path | None) -> None:
        """Without a path it is in memory."""
        self._path = path
        self._lock = threading.Lock()
        self._dropped = 0
        self._connection = self._opened()

    def __repr__(self) -> str:
        return f"<Queue {self._path or 'in memory'} {self.size()} waiting, {self._dropped} dropped>"

    @property
    def dropped(self) -> int:
        """Notices that were given up because too many waited."""
        return self._dropped

    def put(self, channel: str, notice: Notice) -> bool:
        """Let a notice wait for a channel; False when it waits or was told already."""
        return self._used(lambda connection: self._put(connection, channel, notice), otherwise=False)

    def waiting(self, channel: str, most: int) -> list[Waiting]:
        """What waits for a channel, oldest first."""
        rows = self._used(
            lambda connection: connection.execute(
                "SELECT id, body FROM waiting WHERE channel = ? ORDER BY id LIMIT ?", (channel, most)
            ).fetchall(),
            otherwise=[],
        )
        found: list[Waiting] = []
        for number, body in rows:
            try:
                found.append(Waiting(number, Notice.from_json(body)))
            except ValueError:
                self._discard([number])
        return found

    def settle(self, channel: str, settled: Iterable[Waiting], now_s: float, *, is_told: bool = True) -> None:
        """These need not wait any more: they were told, or never will be."""
        done = list(settled)

        def settle(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM waiting WHERE id = ?", [(one.id,) for one in done])
            if is_told:
                connection.executemany(
                    "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, ?)",
                    [(channel, *_key(one.notice), now_s) for one in done],
                )
            connection.execute("DELETE FROM told WHERE at_s < ?", (now_s - _TOLD_KEPT_S,))

        self._used(settle, otherwise=None)

    def was_told_firing(self, channel: str, notice: Notice) -> bool:
        """Whether the last that the channel was told of this alert is that it fires."""
        row = self._used(
            lambda connection: connection.execute(
                "SELECT state FROM told WHERE channel = ? AND fingerprint = ?", (channel, notice.fingerprint)
            ).fetchone(),
            otherwise=None,
        )
        return row is not None and row[0] == "firing"

    def keep_standing(self, fingerprint: str, body: str | None) -> None:
        """Note an alert that fires, for the next start; None forgets it."""
        if body is None:
            statement, values = "DELETE FROM standing WHERE fingerprint = ?", (fingerprint,)
        else:
            statement, values = "INSERT OR REPLACE INTO standing VALUES (?, ?)", (fingerprint, body)
        self._used(lambda connection: connection.execute(statement, values), otherwise=None)

    def standing(self) -> list[str]:
        """What `keep_standing` noted."""
        rows = self._used(
            lambda connection: connection.execute("SELECT body FROM standing").fetchall(), otherwise=[]
        )
        return [row[0] for row in rows]

    def forget_channels(self, known: Iterable[str]) -> None:
        """Drop what waits for channels that are no more, counted."""
        names = sorted(known)
        marks = ",".join("?" * len(names))

        def forget(connection: sqlite3.Connection) -> int:
            return connection.execute(f"DELETE FROM waiting WHERE channel NOT IN ({marks})", names).rowcount  # noqa: S608 - marks only

        self._dropped += self._used(forget, otherwise=0)

    def size(self) -> int:
        """How many notices wait."""
        return self._used(
            lambda connection: connection.execute("SELECT count(*) FROM waiting").fetchone()[0], otherwise=0
        )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _put(self, connection: sqlite3.Connection, channel: str, notice: Notice) -> bool:
        fingerprint, starts_ms, state = _key(notice)
        told = connection.execute(
            "SELECT starts_ms, state FROM told WHERE channel = ? AND fingerprint = ?", (channel, fingerprint)
        ).fetchone()
        if told is not None:
            is_older = starts_ms < told[0]
            is_same = starts_ms == told[0] and (state == told[1] or told[1] == "resolved")
            if is_older or is_same:
                return False
        added = connection.execute(
            "INSERT OR IGNORE INTO waiting (channel, fingerprint, starts_ms, state, body)"
            " VALUES (?, ?, ?, ?, ?)",
            (channel, fingerprint, starts_ms, state, notice.to_json()),
        ).rowcount
        self._dropped += connection.execute(
            "DELETE FROM waiting WHERE id <= (SELECT id FROM waiting ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (MOST_WAITING,),
        ).rowcount
        return added > 0

    def _discard(self, ids: list[int]) -> None:
        self._used(
            lambda connection: connection.executemany(
                "DELETE FROM waiting WHERE id = ?", [(number,) for number in ids]
            ),
            otherwise=None,
        )

    def _used(self, act: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        with self._lock:
            try:
                with self._connection:
                    return act(self._connection)
            except sqlite3.ProgrammingError:  # closed: the end of the process
                return otherwise
            except sqlite3.Error as error:
                self._go_on_in_memory(error)
            try:
                with self._connection:
                    return act(self._connection)
            except sqlite3.Error:
                return otherwise

    def _opened(self) -> sqlite3.Connection:
        if self._path is not None:
            try:
                return sqlite_file.writer(self._path, _SCHEMA, is_shared=True)
            except (sqlite3.Error, OSError) as error:
                diagnostics.warning(
                    "alerts: %s cannot be used (%s); notices wait in memory", self._path, type(error).__name__
                )
        return _in_memory()

    def _go_on_in_memory(self, error: sqlite3.Error) -> None:
        diagnostics.warning(
            "alerts: %s cannot be used (%s); notices wait in memory", self._path, type(error).__name__
        )
        fresh = _in_memory()
        before, self._connection = self._connection, fresh
        with closing(before):
            try:
                rows = before.execute("SELECT channel, fingerprint, starts_ms, state, body FROM waiting")
                fresh.executemany(
                    "INSERT OR IGNORE INTO waiting (channel, fingerprint, starts_ms, state, body)"
                    " VALUES (?, ?, ?, ?, ?)",
                    rows.fetchall(),
                )
            except sqlite3.Error:
                return


def _in_memory() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", factory=sqlite3.Connection, check_same_thread=False)
    connection.executescript(_SCHEMA)
    return connection


def _key(notice: Notice) -> tuple[str, int, str]:
    return notice.fingerprint, round(notice.starts_at_s * 1000), notice.state.value

"""File: the SQLite file of the disk tier, its tables and its transactions.

A connection's class is named, so that an instrumented `sqlite3.connect` records nothing of it. Writes go in
few long statements, not in one for each row: the driver gives the interpreter's lock away at each step, and
gets it back late from a busy program.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tickspan_spool.home import create_file, private_folder
from tickspan_spool.mapping import file_system

from tickspan.cache.disk.pending import Batch, Claimed, Condition, Row
from tickspan.cache.envelope import ID
from tickspan.cache.tiers import NOTHING

__all__ = ["CLOSED", "VERSION", "FileProblem", "Outcome", "SharedFile", "is_met", "move_aside"]

VERSION: Final = slice(8, 16)
"""Where an envelope's version stands."""

CLOSED: Final = "closed"
_NAME: Final = "cache-1.db"
"""With the number of the tables' form: other ones are other files."""
_NETWORKED: Final = frozenset(("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs"))
"""File systems whose hosts do not share memory, which a write-ahead log needs."""
_OLDEST_SQLITE: Final = (3, 35, 0)
"""RETURNING, and UPDATE ... FROM."""
_READ_PATIENCE_S: Final = 0.05
_WRITE_PATIENCE_S: Final = 1.0
_TURN_S: Final = 0.005
"""How long to stand back from a file that SQLite itself does not wait for."""
_CHUNKS: Final = (1024, 128, 16, 1)
"""Rows of one statement: few texts, so that each stays prepared."""
_LOG_BYTES: Final = 16 * 1024 * 1024
_SLICE: Final = 20_000
_TRIMMED: Final = 500
"""How many are looked at once for their age: a sixteenth, and not more than this."""
_KEPT: Final = 0.9
_MANY_EPOCHS: Final = 10_000

_OWNERS: Final = 0o600
_LAST: Final = 200 * chr(0x10FFFF)
"""Behind any name of up to 512 bytes."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    age INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, expires_ms INTEGER NOT NULL,
    is_rewritten INTEGER NOT NULL DEFAULT 0, raw BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS epochs (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    name TEXT PRIMARY KEY, owner BLOB NOT NULL, expires_ms INTEGER NOT NULL
) WITHOUT ROWID;
"""
_READ: Final = "SELECT raw, expires_ms FROM entries WHERE name = ?"
_READ_EPOCH: Final = "SELECT number FROM epochs WHERE name = ?"
_READ_BOTH: Final = """SELECT raw, expires_ms, number FROM (SELECT ? AS value, ? AS epoch)
LEFT JOIN entries ON entries.name = value LEFT JOIN epochs ON epochs.name = epoch"""
"""One value and one epoch, which is what most readers ask for, in one step."""
_STORE: Final = """INSERT INTO entries (name, expires_ms, raw) VALUES {places} ON CONFLICT (name)
DO UPDATE SET expires_ms = excluded.expires_ms, is_rewritten = 1, raw = excluded.raw"""
_STORE_UNLESS_HELD: Final = f"{_STORE} WHERE entries.expires_ms <= ?"
_STORE_UNLESS_NEWER: Final = """WITH new (name, expires_ms, raw, version) AS (VALUES {places})
INSERT INTO entries (name, expires_ms, raw) SELECT name, expires_ms, raw FROM new WHERE NOT EXISTS (
SELECT 1 FROM entries AS held WHERE held.name = new.name
AND held.expires_ms > ? AND substr(held.raw, 9, 8) > new.version) ON CONFLICT (name)
DO UPDATE SET expires_ms = excluded.expires_ms, is_rewritten = 1, raw = excluded.raw"""
_STORE_IF_HELD: Final = """WITH new (name, expires_ms, raw, expected, version) AS (VALUES {places})
UPDATE entries SET expires_ms = new.expires_ms, is_rewritten = 1, raw = new.raw
FROM new WHERE entries.name = new.name
AND entries.expires_ms > ? AND substr(entries.raw, 17, 8) = new.expected
AND (new.version IS NULL OR substr(entries.raw, 9, 8) <= new.version)"""
_REMOVE: Final = "DELETE FROM entries WHERE name IN ({places})"
_HEADS: Final = """SELECT name, substr(raw, 1, 24) FROM entries WHERE name IN ({places})
AND expires_ms > ?"""
_BUMP: Final = """INSERT INTO epochs (name, number) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET number = max(excluded.number, number + 1) RETURNING number"""
_CLAIM: Final = """INSERT INTO claims (name, owner, expires_ms) VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires_ms = excluded.expires_ms
WHERE claims.expires_ms <= ? OR claims.owner = excluded.owner"""
_RELEASE: Final = "DELETE FROM claims WHERE name = ? AND owner = ?"
_ERASE: Final = """DELETE FROM entries WHERE age IN (
SELECT age FROM entries WHERE name >= ? AND name < ? LIMIT ?)"""
_EXPIRED: Final = "DELETE FROM entries WHERE age > ? AND age <= ? AND expires_ms <= ?"
_AGES: Final = "SELECT min(age), max(age) FROM entries"
_OLDEST: Final = "SELECT age FROM entries ORDER BY age LIMIT ?"
_REMOVE_OLDEST: Final = "DELETE FROM entries WHERE age <= ? AND NOT is_rewritten"
_REJUVENATE: Final = """UPDATE entries SET age = age + (SELECT max(age) FROM entries), is_rewritten = 0
WHERE age <= ? AND is_rewritten"""


class FileProblem(Exception):  # noqa: N818 - what is wrong with a file, which the tier goes on from
    """The file cannot be used; `reason` is one word. What `is_passing` may be tried again at once."""

    def __init__(self, reason: str, *, is_passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_passing = is_passing


@dataclass(slots=True)
class Outcome:
    """What a batch has become."""

    refused: int = 0
    """Rows that the file holds something newer than."""
    answers: list[tuple[Future[Any], object]] = field(default_factory=list[tuple[Future[Any], object]])


def is_met(condition: Condition, held: bytes | None) -> bool:
    """Whether what is held under a key allows a row of this condition."""
    identity = NOTHING if held is None else held[ID]
    if condition.expected_id is not None and identity != condition.expected_id:
        return False
    return condition.version is None or held is None or held[VERSION] <= condition.version


class SharedFile:
    """The file in `folder`, open. Any threads may read and write; those who write wait for one another.

    Every method that touches the disk raises FileProblem. Before a fork all connections of the process have
    to be closed: SQLite keeps one table of locks for each process, and a child would inherit a wrong one.
    """

    def __init__(self, folder: Path, *, vfs: str = "") -> None:
        self._folder = folder
        self._address = f"{(folder / _NAME).absolute().as_uri()}{f'?vfs={vfs}' if vfs else ''}"
        self._reading = threading.Lock()
        self._writing = threading.Lock()
        self._is_closed = False
        with _told():
            self._inode = _prepare(folder)
            self._writer = self._connect(_WRITE_PATIENCE_S)
            try:
                self._use_log()
                self._writer.executescript(_SCHEMA)
                self._reader = self._connect(_READ_PATIENCE_S)
            except BaseException:
                self._writer.close()
                raise

    def __repr__(self) -> str:
        return f"<SharedFile {self._folder / _NAME}, {self.size_bytes} bytes>"

    @property
    def size_bytes(self) -> int:
        """On the disk, with its log."""
        sizes = 0
        for log in ("", "-wal"):
            with contextlib.suppress(OSError):
                sizes += (self._folder / f"{_NAME}{log}").stat().st_size
        return sizes

    @property
    def is_current(self) -> bool:
        """Whether the file is still the one that is found under its name."""
        try:
            return (self._folder / _NAME).stat().st_ino == self._inode
        except OSError:
            return False

    def read(
        self, keys: Sequence[str], epochs: Sequence[str], now_ms: int
    ) -> tuple[list[bytes | None], list[int]]:
        """What is there and has not expired, then numbers of epochs, 0 for unknown ones."""
        found: list[bytes | None] = []
        with self._reading:
            if self._is_closed:
                raise FileProblem(CLOSED, is_passing=True)
            execute = self._reader.execute
            try:
                if len(keys) == 1 == len(epochs):
                    raw, expires_ms, number = execute(_READ_BOTH, (keys[0], epochs[0])).fetchone()
                    return [None if raw is None or expires_ms <= now_ms else raw], [number or 0]
                for key in keys:
                    row = execute(_READ, (key,)).fetchone()
                    found.append(None if row is None or row[1] <= now_ms else row[0])
                rows = [execute(_READ_EPOCH, (name,)).fetchone() for name in epochs]
            except sqlite3.Error as error:
                raise _problem(error) from error
        return found, [0 if row is None else row[0] for row in rows]

    def apply(self, batch: Batch, now_ms: int) -> Outcome:
        """Do all of it, or nothing; long removals come before in transactions of their own."""
        outcome = Outcome()
        with self._to_write():
            if batch.wipe:
                self._remove_between("", None)
            for prefix, ticket in batch.prefixes:
                outcome.answers.append((ticket, self._remove_between(prefix, _after(prefix))))
            with self._transaction():
                for name, number, ticket in batch.bumps:
                    (bumped,) = self._writer.execute(_BUMP, (name, number)).fetchall()[0]
                    outcome.answers.append((ticket, bumped))
                self._apply_rows(batch.rows, now_ms, outcome)
                for claimed in batch.claims:
                    outcome.answers.append((claimed.ticket, self._claim(claimed, now_ms)))
        outcome.answers += [(ticket, None) for ticket in batch.tickets]
        return outcome

    def trim(self, max_bytes: int, now_ms: int) -> tuple[int, int]:
        """Bring a file that is too large to nine tenths of `max_bytes`; how many left expired, and by age."""
        aged = 0
        with self._to_write():
            if self._used_bytes() <= max_bytes:
                return 0, 0
            expired = self._remove_expired(now_ms)
            while self._used_bytes() > _KEPT * max_bytes:
                removed = self._remove_oldest()
                if removed is None:
                    break
                aged += removed
            self._forget_epochs()
        return expired, aged

    def close(self, deadline_s: float = -1) -> bool:
        """Close the connections when nobody is using them; idempotent.

        Returns:
            False when somebody still was after `deadline_s`; then they stay open. Below 0 is for ever.
        """
        if not self._writing.acquire(timeout=deadline_s):
            return False
        try:
            if not self._reading.acquire(timeout=deadline_s):
                return False
            try:
                self._close()
            finally:
                self._reading.release()
        finally:
            self._writing.release()
        return True

    def _close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            for connection in (self._reader, self._writer):
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    @contextlib.contextmanager
    def _to_write(self) -> Generator[None]:
        with self._writing, _told():
            if self._is_closed:
                raise FileProblem(CLOSED, is_passing=True)
            yield

    def _connect(self, patience_s: float) -> sqlite3.Connection:
        return sqlite3.connect(
            self._address,
            uri=True,
            timeout=patience_s,
            isolation_level=None,
            check_same_thread=False,
            factory=sqlite3.Connection,
        )

    def _use_log(self) -> None:
        if self._mode_with_log() != "wal":
            raise FileProblem("no_write_ahead_log")
        self._writer.execute("PRAGMA synchronous = NORMAL")
        self._writer.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")

    def _mode_with_log(self) -> str:
        end_s = time.monotonic() + _WRITE_PATIENCE_S
        while True:
            try:
                return self._writer.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            except sqlite3.OperationalError as error:
                # Of two processes that make a new file SQLite refuses one at once, whatever its timeout.
                if not _problem(error).is_passing or time.monotonic() >= end_s:
                    raise
            time.sleep(_TURN_S)

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            raise
        self._writer.execute("COMMIT")

    def _apply_rows(self, rows: list[tuple[str, Row]], now_ms: int, outcome: Outcome) -> None:
        plain: list[tuple[Any, ...]] = []
        removed: list[tuple[Any, ...]] = []
        unless_held: list[tuple[Any, ...]] = []
        unless_newer: list[tuple[Any, ...]] = []
        if_held: list[tuple[Any, ...]] = []
        looked_at: dict[str, Row] = {}
        for name, row in rows:
            if row.raw is None:
                removed.append((name,))
            elif row.is_tombstone or len(row.any_of) > 1:
                looked_at[name] = row
            elif not row.any_of:
                plain.append((name, row.expires_ms, row.raw))
            else:
                (condition,) = row.any_of
                if condition.expected_id is None:
                    unless_newer.append((name, row.expires_ms, row.raw, condition.version))
                elif condition.expected_id == NOTHING:
                    unless_held.append((name, row.expires_ms, row.raw))
                else:
                    if_held.append((name, row.expires_ms, row.raw, condition.expected_id, condition.version))
        after_look = list(self._after_look(looked_at, now_ms))
        self._run(_REMOVE, removed)
        self._run(_STORE, plain + after_look)
        stored = self._run(_STORE_UNLESS_HELD, unless_held, now_ms)
        stored += self._run(_STORE_UNLESS_NEWER, unless_newer, now_ms)
        stored += self._run(_STORE_IF_HELD, if_held, now_ms)
        conditional = len(unless_held) + len(unless_newer) + len(if_held) + len(looked_at)
        outcome.refused += conditional - stored - len(after_look)

    def _after_look(self, rows: dict[str, Row], now_ms: int) -> Iterator[tuple[Any, ...]]:
        """Those that the file meets a condition of; tombstones keep a higher version of what they replace."""
        heads: dict[str, bytes] = {}
        for names in _chunks(list(rows)):
            heads.update(self._writer.execute(_filled(_HEADS, len(names), 1), (*names, now_ms)).fetchall())
        for name, row in rows.items():
            raw, head = row.raw or b"", heads.get(name)
            if not row.is_tombstone:
                if any(is_met(condition, head) for condition in row.any_of):
                    yield name, row.expires_ms, raw
                continue
            if head is not None and head[VERSION] > raw[VERSION]:
                raw = raw[: VERSION.start] + head[VERSION] + raw[VERSION.stop :]
            yield name, row.expires_ms, raw

    def _run(self, text: str, rows: list[tuple[Any, ...]], *last: int) -> int:
        """A statement over all rows; how many it has changed."""
        before = self._writer.total_changes
        for chunk in _chunks(rows):
            values = [value for row in chunk for value in row]
            self._writer.execute(_filled(text, len(chunk), len(chunk[0])), (*values, *last))
        return self._writer.total_changes - before

    def _claim(self, claimed: Claimed, now_ms: int) -> bool:
        if not claimed.expires_ms:
            self._writer.execute(_RELEASE, (claimed.key, claimed.owner))
            return True
        values = (claimed.key, claimed.owner, claimed.expires_ms, now_ms)
        return self._writer.execute(_CLAIM, values).rowcount > 0

    def _remove_between(self, first: str, end: str | None) -> int:
        """Names from `first` to before `end`; all, if that is None."""
        removed = 0
        while True:
            with self._transaction():
                if end is None:
                    gone = self._writer.execute("DELETE FROM entries").rowcount
                else:
                    gone = self._writer.execute(_ERASE, (first, end, _SLICE)).rowcount
            removed += gone
            if gone < _SLICE or end is None:
                return removed

    def _remove_expired(self, now_ms: int) -> int:
        (first, last) = self._writer.execute(_AGES).fetchone()
        removed = 0
        for start in range((first or 1) - 1, last or 0, _SLICE):
            with self._transaction():
                removed += self._writer.execute(_EXPIRED, (start, start + _SLICE, now_ms)).rowcount
        with self._transaction():
            self._writer.execute("DELETE FROM claims WHERE expires_ms <= ?", (now_ms,))
        return removed

    def _remove_oldest(self) -> int | None:
        """Of the oldest those not written again, while the others begin anew; None when there are none."""
        (first, last) = self._writer.execute(_AGES).fetchone()
        if first is None:
            return None
        count = min(_TRIMMED, (last - first) // 16 + 1)
        oldest = self._writer.execute(_OLDEST, (count,)).fetchall()
        with self._transaction():
            removed = self._writer.execute(_REMOVE_OLDEST, oldest[-1]).rowcount
            self._writer.execute(_REJUVENATE, oldest[-1])
        return removed

    def _forget_epochs(self) -> None:
        """Epochs are needed as long as a value is there that is older."""
        (count,) = self._writer.execute("SELECT count(*) FROM epochs").fetchone()
        if count <= _MANY_EPOCHS:
            return
        (oldest,) = self._writer.execute("SELECT min(substr(raw, 25, 8)) FROM entries").fetchone()
        if oldest is not None:
            with self._transaction():
                self._writer.execute("DELETE FROM epochs WHERE number < ?", (int.from_bytes(oldest),))

    def _used_bytes(self) -> int:
        pages, free, page_bytes = (
            self._writer.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * page_bytes


def move_aside(folder: Path, is_wanted: Callable[[], bool]) -> bool:
    """Give a damaged file another name, unless `is_wanted` denies it: another process may have done so.

    One damaged file is kept, for people to look at. Raises FileProblem.
    """
    path = folder / _NAME
    with _told():
        lock = os.open(folder / "cache.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_wanted():
                return False
            path.replace(folder / f"{_NAME}.damaged")
            for log in ("-wal", "-shm"):
                (folder / f"{_NAME}{log}").unlink(missing_ok=True)
            return True
        finally:
            os.close(lock)


@contextlib.contextmanager
def _told() -> Generator[None]:
    """Errors of SQLite and of the system as a FileProblem."""
    try:
        yield
    except sqlite3.Error as error:
        raise _problem(error) from error
    except OSError as error:
        raise FileProblem(_OS_REASONS.get(error.errno or 0, "os_error")) from error


_OS_REASONS: Final = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EPERM: "not_allowed",
    errno.EACCES: "not_allowed",
    errno.EROFS: "read_only",
    errno.ENOTDIR: "no_folder",
    errno.ENOENT: "no_folder",
    errno.ELOOP: "no_folder",
    errno.EMFILE: "too_many_files",
    errno.ENFILE: "too_many_files",
}
_SQLITE_REASONS: Final = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_CORRUPT: "damaged",
    sqlite3.SQLITE_NOTADB: "damaged",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_CANTOPEN: "cannot_open",
    sqlite3.SQLITE_IOERR: "io_error",
    sqlite3.SQLITE_PROTOCOL: "busy",
}


def _problem(error: sqlite3.Error) -> FileProblem:
    code = getattr(error, "sqlite_errorcode", None)
    reason = "sqlite_error" if code is None else _SQLITE_REASONS.get(code & 0xFF, "sqlite_error")
    return FileProblem(reason, is_passing=reason == "busy")


def _prepare(folder: Path) -> int:
    """A folder and a file that their owner alone can use; the file's inode."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise FileProblem("old_sqlite")
    folder.parent.mkdir(parents=True, exist_ok=True)
    private_folder(folder)
    if file_system(folder) in _NETWORKED:
        raise FileProblem("network_disk")
    path = folder / _NAME
    # Closing any descriptor of a file gives up the locks that this process has on it (POSIX), and thereby
    # those of its other connections: one that exists is not opened here.
    with contextlib.suppress(FileExistsError):
        os.close(create_file(path))
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise FileProblem("not_allowed")
    if stat.S_IMODE(found.st_mode) != _OWNERS:
        path.chmod(_OWNERS)
    return found.st_ino


def _after(prefix: str) -> str:
    """The first text behind all that begin with `prefix`, in the order of code points."""
    return prefix + _LAST


def _chunks(rows: list[Any]) -> Iterator[list[Any]]:
    start = 0
    for size in _CHUNKS:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


_texts: Final[dict[tuple[str, int, int], str]] = {}


def _filled(text: str, rows: int, columns: int) -> str:
    """`text` with places for so many values; made once for each size."""
    key = (text, rows, columns)
    found = _texts.get(key)
    if found is None:
        row = "?" if "({places})" in text else f"({', '.join('?' * columns)})"
        found = _texts[key] = text.format(places=", ".join([row] * rows))
    return found

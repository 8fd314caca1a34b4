"""Schema: the tables of a store's file, and how the file is opened."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from pathlib import Path
from typing import Final

__all__ = ["APPLICATION", "SCHEMA_VERSION", "StoreError", "open_reader", "open_writer"]

APPLICATION: Final = 0x6465_736B
"""`PRAGMA application_id` of a store: "desk"."""
SCHEMA_VERSION: Final = 1
_BUSY_TIMEOUT_S: Final = 10.0
_CACHE_KIB: Final = 32_768
_CHECKPOINT_PAGES: Final = 2_000
_WAL_BYTES: Final = 16 << 20

_TABLES: Final = """
-- A part is the unit of retention: everything of it goes at once, so its rows stand beside one another.
CREATE TABLE part (
    id INTEGER PRIMARY KEY, opened_ns INTEGER, last_ns INTEGER, batches INTEGER DEFAULT 0,
    spans INTEGER DEFAULT 0, logs INTEGER DEFAULT 0, points INTEGER DEFAULT 0, bytes INTEGER DEFAULT 0,
    is_closed INTEGER DEFAULT 0
) STRICT;
CREATE TABLE batch (
    id INTEGER PRIMARY KEY, part INTEGER, signal TEXT, came_ns INTEGER, records INTEGER, since_ns INTEGER,
    until_ns INTEGER, severity INTEGER, digest BLOB
) STRICT;
CREATE UNIQUE INDEX batch_digest ON batch (digest);
CREATE INDEX batch_part ON batch (part);
CREATE INDEX batch_signal ON batch (signal, id, since_ns, until_ns, severity, part);
CREATE TABLE body (id INTEGER PRIMARY KEY, packed BLOB) STRICT;
CREATE TABLE posting (
    part INTEGER, value INTEGER, batch INTEGER, PRIMARY KEY (part, value, batch)
) STRICT, WITHOUT ROWID;
CREATE TABLE service (
    part INTEGER, id INTEGER, name TEXT, PRIMARY KEY (part, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE operation (
    part INTEGER, id INTEGER, service INTEGER, name TEXT, kind INTEGER, PRIMARY KEY (part, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE trace (
    id INTEGER PRIMARY KEY, part INTEGER, trace_id BLOB, start_ns INTEGER, end_ns INTEGER, spans INTEGER,
    errors INTEGER, root_ns INTEGER, root INTEGER, first INTEGER, services TEXT, is_split INTEGER DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX trace_by_id ON trace (trace_id, part);
CREATE INDEX trace_by_start ON trace (start_ns);
CREATE INDEX trace_with_errors ON trace (start_ns) WHERE errors > 0;
CREATE TABLE minute (
    part INTEGER, minute INTEGER, operation INTEGER, calls INTEGER, errors INTEGER, sketch BLOB, slow BLOB,
    PRIMARY KEY (part, minute, operation)
) STRICT, WITHOUT ROWID;
CREATE TABLE trading_order (
    id INTEGER PRIMARY KEY, order_id TEXT, venue TEXT, symbol TEXT, side TEXT, status TEXT, status_ns INTEGER,
    service TEXT, start_ns INTEGER, end_ns INTEGER, trace_id BLOB, trace_rank INTEGER, last_part INTEGER
) STRICT;
CREATE INDEX trading_order_start ON trading_order (start_ns);
CREATE INDEX trading_order_part ON trading_order (last_part);
CREATE TABLE order_name (
    name TEXT, trading_order INTEGER, id TEXT, place INTEGER, PRIMARY KEY (name, trading_order)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_name_id ON order_name (id);
CREATE INDEX order_name_order ON order_name (trading_order);
CREATE TABLE order_trace (
    trading_order INTEGER, trace_id BLOB, part INTEGER, time_ns INTEGER,
    PRIMARY KEY (trading_order, trace_id, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_trace_part ON order_trace (part);
CREATE TABLE series (
    id INTEGER PRIMARY KEY, digest BLOB UNIQUE, name TEXT, service TEXT, unit TEXT, description TEXT,
    kind TEXT, temporality TEXT, is_monotonic INTEGER, attributes BLOB, resource BLOB, last_part INTEGER
) STRICT;
CREATE INDEX series_name ON series (name);
CREATE INDEX series_part ON series (last_part);
CREATE TABLE point (
    part INTEGER, series INTEGER, time_ns INTEGER, number INTEGER, start_ns INTEGER, value ANY, detail BLOB,
    PRIMARY KEY (part, series, time_ns, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE eviction (reason TEXT PRIMARY KEY, records INTEGER) STRICT, WITHOUT ROWID;
"""


class StoreError(Exception):
    """The store's file cannot be used, or written; the text names the file and says what to do."""


def open_writer(path: Path) -> sqlite3.Connection:
    """The file for writing, made where there is none, for its owner alone.

    Raises:
        StoreError: it belongs to another, is a link or damaged, or is no store of this version.
    """
    try:
        _make_private(path)
        connection = sqlite3.connect(
            path,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            factory=sqlite3.Connection,
        )
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: cannot be opened: {error}") from error
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(
            f"{path}: expected a store of tickspan desk, got a file that cannot be read as one ({error}); "
            "move it away or name another file"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """The file for questions; one thread at a time. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        factory=sqlite3.Connection,
    )
    connection.execute("PRAGMA query_only = 1")
    return connection


def _make_private(path: Path) -> None:
    """The file and those that SQLite puts beside it are their owner's, whatever the umask."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, mode=0o700)
        path.parent.chmod(0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise StoreError(f"{path}: expected a file of this user; name another file")
        os.fchmod(descriptor, 0o600)  # SQLite gives its -wal and -shm the same mode
    finally:
        os.close(descriptor)


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Check whose file it is before a byte of it is changed."""
    application = _pragma(connection, "application_id")
    version = _pragma(connection, "user_version")
    is_empty = not _pragma(connection, "schema_version")
    if not is_empty and application != APPLICATION:
        raise StoreError(
            f"{path}: expected a store of tickspan desk, got a database of another program; name another file"
        )
    if not is_empty and version != SCHEMA_VERSION:
        raise StoreError(
            f"{path}: expected schema version {SCHEMA_VERSION}, got {version}; open it with the "
            "tickspan-desk that wrote it, or move it away and a new one is made"
        )
    if is_empty:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    if is_empty:
        try:
            connection.executescript(
                f"BEGIN;{_TABLES}PRAGMA application_id = {APPLICATION};"
                f"PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
            )
        except sqlite3.Error:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

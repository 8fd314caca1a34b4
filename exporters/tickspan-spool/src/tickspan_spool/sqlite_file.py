"""A SQLite file beside a spool: one process writes it, any of its owner's may read it meanwhile.

The class of a connection is named, so that an instrumented `sqlite3.connect` records nothing of it.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

__all__ = ["reader", "writer"]

_BUSY_TIMEOUT_S: Final = 1.0


def writer(path: Path, schema: str, *, is_shared: bool = False) -> sqlite3.Connection:
    """The file for writing, made where there is none; `schema` is run, so it says IF NOT EXISTS.

    Args:
        path: of the file.
        schema: statements.
        is_shared: several threads use the connection, one at a time: the caller sees to that.

    Raises:
        sqlite3.Error, OSError: it cannot be made or written, or is no database; nothing stays open.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    connection = sqlite3.connect(
        path, timeout=_BUSY_TIMEOUT_S, factory=sqlite3.Connection, check_same_thread=not is_shared
    )
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(schema)
    except BaseException:
        connection.close()
        raise
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """The file for reading only. Raises `sqlite3.Error` when there is none, or at the first question."""
    address = f"{path.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_TIMEOUT_S, factory=sqlite3.Connection)

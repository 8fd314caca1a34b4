"""The little of a DB-API connection that catalogs and what-ifs need, whichever driver it is of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["Connection", "Cursor", "rows"]


class Cursor(Protocol):
    """A cursor; it may have more."""

    def execute(self, operation: Any, /) -> Any:
        """Run one statement."""
        ...

    def fetchall(self) -> Sequence[Sequence[Any]]:
        """All rows that it returned."""
        ...

    def close(self) -> Any:
        """Free it."""
        ...


class Connection(Protocol):
    """A connection that is in autocommit mode, and that nobody else uses."""

    def cursor(self) -> Any:
        """A new cursor."""
        ...


def rows(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    """All rows of one statement. The driver's errors pass."""
    cursor: Cursor = connection.cursor()
    try:
        cursor.execute(sql)
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        cursor.close()

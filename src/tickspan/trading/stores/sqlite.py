"""The index of orders in one SQLite file: written by one process, the agent, and read by any."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from tickspan_spool import sqlite_file

from tickspan.trading.model import OrderKey
from tickspan.trading.store import StoredOrder
from tickspan.trading.stores import records

MAX_ORDERS: Final = 500_000
"""Beyond that the ones that were silent longest leave."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS orders (
    number INTEGER PRIMARY KEY, trace TEXT NOT NULL, span TEXT NOT NULL,
    told_ns INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS orders_by_call ON orders (trace, span);
CREATE INDEX IF NOT EXISTS orders_by_time ON orders (told_ns);
CREATE TABLE IF NOT EXISTS ids (
    venue TEXT NOT NULL, id TEXT NOT NULL, is_venue_id INTEGER NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (venue, id, is_venue_id, number)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS ids_by_order ON ids (number);
"""


class SqliteOrders:
    """Orders by id, in the file `path`, which is made when something is taken. Only its owner can read it.

    `take` and `forget` are for one thread of one process; `find` for any of any.
    """

    def __init__(self, path: Path, *, max_orders: int = MAX_ORDERS) -> None:
        self.path = path
        self._max_orders = max_orders
        self._writer: sqlite3.Connection | None = None

    def __repr__(self) -> str:
        return f"<SqliteOrders {self.path}>"

    def find(self, key: OrderKey) -> StoredOrder | None:
        """The newest order of that venue, id and account.

        Raises:
            sqlite3.Error: the file cannot be read, or is none of ours.
        """
        if not self.path.exists():
            return None
        query = """
            SELECT body FROM ids JOIN orders USING (number)
            WHERE venue = ? AND id = ? AND is_venue_id = ? ORDER BY number DESC
        """
        with closing(sqlite_file.reader(self.path)) as reader:
            rows = reader.execute(query, (key.venue, key.id, int(key.is_venue_id))).fetchall()
        orders = (records.from_json(body) for (body,) in rows)
        return next((order for order in orders if records.is_of_account(order, key.account)), None)

    def take(self, told: Iterable[StoredOrder]) -> None:
        """Add what events tell, oldest first, in one transaction.

        Raises:
            sqlite3.Error, OSError: it cannot be written; nothing of it is.
        """
        with self._connection() as writer:
            for order in told:
                self._take(writer, order)

    def forget(self, until_unix_ns: int) -> None:
        """Drop what nothing was told of since then, and the oldest beyond the bound.

        Raises:
            sqlite3.Error, OSError: as `take`.
        """
        with self._connection() as writer:
            writer.execute("DELETE FROM orders WHERE told_ns < ?", (until_unix_ns,))
            oldest = "SELECT number FROM orders ORDER BY told_ns DESC LIMIT -1 OFFSET ?"
            writer.execute(f"DELETE FROM orders WHERE number IN ({oldest})", (self._max_orders,))  # noqa: S608 - our own text
            writer.execute("DELETE FROM ids WHERE number NOT IN (SELECT number FROM orders)")

    def close(self) -> None:
        """Let go of the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = sqlite_file.writer(self.path, _SCHEMA)
        return self._writer

    def _take(self, writer: sqlite3.Connection, told: StoredOrder) -> None:
        call = (f"{told.trace_id:032x}", f"{told.span_id:016x}")
        rows = writer.execute("SELECT number, body FROM orders WHERE trace = ? AND span = ?", call).fetchall()
        known = ((number, records.from_json(body)) for number, body in rows)
        number, order = next((row for row in known if records.is_same(row[1], told)), (None, None))
        order = told if order is None else records.joined(order, told)
        row = (number, *call, told.submitted_unix_ns, records.to_json(order))
        number = writer.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?)", row).lastrowid
        names = [(order.venue, id_, int(is_venue_id), number) for id_, is_venue_id in records.ids_of(order)]
        writer.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?, ?, ?)", names)

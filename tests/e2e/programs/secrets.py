"""A program whose statements are full of secrets, and of which many fail; it ends when its input does.

Arguments: the database's file, a seed, how many statements. It prints how many succeeded and how many failed.
"""

import re
import sqlite3
import sys
from typing import Any

from opentelemetry import trace
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from tickspan.testing.sql import statements

FILE, SEED, COUNT = sys.argv[1:]
COLUMNS = (
    "id INTEGER PRIMARY KEY, symbol TEXT, price REAL, side TEXT, created_at TEXT,"
    " venue_order_id TEXT, note TEXT"
)
engine = create_engine(f"sqlite:///{FILE}")
tracer = trace.get_tracer("program")
wanted = re.compile(r"The current statement uses (\d+)")


@event.listens_for(engine, "connect")
def attach(connection: sqlite3.Connection, _record: object) -> None:
    """SQLite has no namespaces but attached files; one table of the statements is in `public`."""
    connection.execute("ATTACH ':memory:' AS public")
    connection.execute(f"CREATE TABLE public.trades ({COLUMNS})")


def execute(connection: Connection, sql: str) -> None:
    """With as many secret parameters as it wants; its rows are fetched."""
    try:
        result = connection.exec_driver_sql(sql)
    except DBAPIError as error:
        found = wanted.search(str(error.orig))
        if found is None:
            raise
        values: tuple[Any, ...] = tuple(f"Secret{number}y" for number in range(int(found[1])))
        result = connection.exec_driver_sql(sql, values)
    if result.returns_rows:
        result.fetchall()


def is_executed(connection: Connection, sql: str) -> bool:
    """Whether it succeeded; its failure passes through a span of the program's."""
    try:
        with tracer.start_as_current_span("decide"), connection.begin_nested():
            execute(connection, sql)
    except Exception:  # noqa: BLE001 - whatever the driver says of such a text
        return False
    return True


def main() -> None:
    """All statements, then two whose effects are waited for."""
    numbers = {True: 0, False: 0}
    with engine.connect() as connection:
        for statement in statements(int(SEED), "sqlite", int(COUNT)):
            numbers[is_executed(connection, statement.sql)] += 1
        for note in ("Secret0z", "Secret1z") * 20:
            connection.execute(
                text("SELECT id FROM notes WHERE note = :note AND price > 9172351"), {"note": note}
            )
        connection.execute(text("DELETE FROM markers"))
        connection.commit()
    sys.stdout.write(f"{numbers[True]} {numbers[False]}\n")
    sys.stdout.flush()
    sys.stdin.read()


main()

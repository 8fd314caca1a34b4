"""A program that uses its database badly, or well.

Arguments: the database's file, a URL, and `bad` or `good`.
"""

import sys
import urllib.request
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from sqlalchemy import Connection, create_engine, text

FILE, URL, WAY = sys.argv[1:]
engine = create_engine(f"sqlite:///{FILE}")
tracer = trace.get_tracer("program")


def rows(connection: Connection, sql: str, **parameters: Any) -> list[Any]:
    """All rows of a query."""
    return list(connection.execute(text(sql), parameters))


def ask() -> None:
    """Somebody else, by HTTP."""
    with tracer.start_as_current_span("GET", kind=SpanKind.CLIENT, attributes={"http.request.method": "GET"}):
        urllib.request.urlopen(URL).read()


def bad() -> None:
    """One of each."""
    with tracer.start_as_current_span("n plus one"), engine.connect() as connection:
        for (number,) in rows(connection, "SELECT id FROM orders"):
            rows(connection, "SELECT price FROM fills WHERE order_id = :id", id=number)
    with tracer.start_as_current_span("duplicate"), engine.connect() as connection:
        for _ in range(2):
            rows(connection, "SELECT name FROM accounts WHERE id = :id", id=7)
    with tracer.start_as_current_span("pay"), engine.begin() as connection:
        connection.execute(
            text("UPDATE accounts SET name = :name WHERE id = :id"), {"name": "s3cret", "id": 7}
        )
        ask()
    with tracer.start_as_current_span("clear"), engine.begin() as connection:
        connection.execute(text("DELETE FROM notes"))
    with tracer.start_as_current_span("search"), engine.connect() as connection:
        rows(connection, "SELECT id FROM accounts WHERE name LIKE '%s3cret'")


def good() -> None:
    """The same work, as it should be."""
    with tracer.start_as_current_span("report"), engine.connect() as connection:
        rows(
            connection,
            "SELECT o.id, f.price FROM orders o JOIN fills f ON f.order_id = o.id WHERE o.id < :id LIMIT 100",
            id=40,
        )
    with tracer.start_as_current_span("pay"):
        with engine.begin() as connection:
            rows(connection, "SELECT name FROM accounts WHERE id = :id", id=7)
            connection.execute(
                text("UPDATE accounts SET name = :name WHERE id = :id"), {"name": "s3cret", "id": 7}
            )
        ask()
    with tracer.start_as_current_span("search"), engine.connect() as connection:
        rows(connection, "SELECT id FROM accounts WHERE name = :name", name="s3cret")


{"bad": bad, "good": good}[WAY]()

"""SQLAlchemy above a driver, both instrumented: each statement executed is one span, whoever tells it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from tickspan.testing import Capture

pytestmark = pytest.mark.library("sqlalchemy", at_least=(2, 0))  # 1.4 has no dialect for psycopg 3

orders = sqlalchemy.Table(
    "orders",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
    sqlalchemy.Column("symbol", sqlalchemy.String(9)),
)


@pytest.fixture
def both(recorded: Capture) -> Generator[Capture]:
    """Telemetry of the drivers and of SQLAlchemy."""
    tickspan_sqlalchemy = pytest.importorskip("tickspan_sqlalchemy")
    instrumentor = tickspan_sqlalchemy.SQLAlchemyInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.tracer_provider, meter_provider=recorded.meter_provider)
    yield recorded
    instrumentor.uninstrument()


def use(connection: Any) -> None:
    orders.create(connection)
    connection.execute(orders.insert(), [{"symbol": "A"}, {"symbol": "B"}])
    rows = connection.execute(sqlalchemy.select(orders.c.symbol).order_by(orders.c.id)).scalars().all()
    assert rows == ["A", "B"]
    connection.commit()
    orders.drop(connection)
    connection.commit()


TOLD = [
    ("CREATE TABLE orders", "tickspan_sqlalchemy"),
    ("INSERT orders", "tickspan_sqlalchemy"),
    ("SELECT orders", "tickspan_sqlalchemy"),
    ("COMMIT", "tickspan_sqlalchemy"),
    ("DROP TABLE orders", "tickspan_sqlalchemy"),
    ("COMMIT", "tickspan_sqlalchemy"),
]


def told(both: Capture) -> list[tuple[str, str]]:
    return [(span.name, span.scope) for span in both.spans()]


def run(url: Any, both: Capture) -> None:
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        both.clear()  # of what the dialect has asked
        use(connection)
    engine.dispose()


def run_async(url: Any, both: Capture) -> None:
    async def main() -> None:
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            both.clear()
            await connection.run_sync(use)
        await engine.dispose()

    asyncio.run(main())


def test_sqlite(both: Capture, tmp_path: Path) -> None:
    run(f"sqlite:///{tmp_path}/book.db", both)
    assert told(both) == TOLD


def test_aiosqlite(both: Capture, tmp_path: Path) -> None:
    run_async(f"sqlite+aiosqlite:///{tmp_path}/book.db", both)
    assert told(both) == TOLD


@pytest.mark.integration
@pytest.mark.backends
@pytest.mark.parametrize(
    ("driver", "runner"),
    [("psycopg", run), ("psycopg2", run), ("psycopg_async", run_async), ("asyncpg", run_async)],
)
def test_postgresql(
    both: Capture, postgresql_server: str, driver: str, runner: Callable[[Any, Capture], None]
) -> None:
    runner(make_url(postgresql_server).set(drivername=f"postgresql+{driver}"), both)
    assert told(both) == TOLD


@pytest.mark.integration
@pytest.mark.backends
@pytest.mark.parametrize(("driver", "runner"), [("pymysql", run), ("aiomysql", run_async)])
def test_mariadb(
    both: Capture, mariadb_server: Any, driver: str, runner: Callable[[Any, Capture], None]
) -> None:
    url = sqlalchemy.URL.create(
        f"mariadb+{driver}",
        mariadb_server.user,
        host=mariadb_server.host,
        port=mariadb_server.port,
        database=mariadb_server.database,
    )
    runner(url, both)
    assert told(both) == TOLD


def test_a_driver_beside_an_engine_is_told_by_its_own(both: Capture, tmp_path: Path) -> None:
    run(f"sqlite:///{tmp_path}/book.db", both)
    both.clear()
    connection = sqlite3.connect(tmp_path / "book.db")
    connection.execute("SELECT 1").fetchall()
    connection.close()
    assert told(both) == [("SELECT", "tickspan_dbapi")]


@pytest.mark.integration
@pytest.mark.backends
def test_as_many_spans_as_statements_in_the_servers_own_log(both: Capture, postgresql_server: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    log = _log_of(psycopg, postgresql_server)
    options = {"options": "-c log_statement=all"}
    url = make_url(postgresql_server).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, connect_args=options)
    with engine.connect() as connection:
        both.clear()
        before = _executed(log)
        use(connection)
    engine.dispose()
    with psycopg.connect(postgresql_server, **options) as connection:
        connection.execute("SELECT 1")
    executed = _executed(log) - before
    del executed["BEGIN"], executed["DEALLOCATE"]  # the driver's own: nobody calls for them
    sizes = [span.attributes.get("db.operation.batch.size", 1) for span in both.spans()]
    assert sum(sizes) == sum(executed.values())
    assert told(both)[-2:] == [("SELECT", "tickspan_dbapi"), ("COMMIT", "tickspan_dbapi")]


def _log_of(psycopg: Any, url: str) -> Path:
    with psycopg.connect(url) as connection:
        folder = connection.execute("SHOW data_directory").fetchone()[0]
    return Path(folder).parent / "postgresql.log"


def _executed(log: Path) -> Counter[str]:
    """Statements in the server's log, by their first word."""
    words = re.findall(r"LOG:  (?:statement|execute [^:]*):\s+(\w+)", log.read_text(errors="replace"))
    return Counter(word.upper() for word in words)

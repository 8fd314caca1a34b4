"""With auto_explain watched, the plan of a statement is an event in its trace, whichever driver sent it."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Generator
from typing import Any

import asyncpg
import psycopg
import psycopg2
import pytest
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool
from tickspan.processors.queries import auto_explain
from tickspan.testing import Capture, RecordedLogEvent, RecordedSpan

pytestmark = [pytest.mark.integration, pytest.mark.backends]

PLAN = "db.server.query_plan"
SETTABLE = ("log_min_duration", "log_analyze", "log_timing", "log_format", "log_level", "sample_rate")
SETTING = (
    "SELECT current_setting('auto_explain.log_analyze'), current_setting('auto_explain.log_min_duration')"
)
TEXT = "SELECT id FROM planned WHERE symbol = ?"

Trade = Callable[[str], None]


@pytest.fixture(scope="module")
def urls(hypopg_server: Any) -> Generator[dict[str, str]]:
    """Of a database with the table `planned`, for two accounts: one may set auto_explain, one may not."""
    root = hypopg_server.url.rpartition("/")[0]
    granted = ", ".join(f"auto_explain.{name}" for name in SETTABLE)
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE dbapi_plans")
        connection.execute("CREATE ROLE dbapi_planned LOGIN")
        connection.execute("CREATE ROLE dbapi_plain LOGIN")
        connection.execute(f"GRANT SET ON PARAMETER {granted} TO dbapi_planned".encode())
    with psycopg.connect(f"{root}/dbapi_plans", autocommit=True) as connection:
        connection.execute("CREATE TABLE planned (id int, symbol text)")
        connection.execute("INSERT INTO planned SELECT n, 'S' || n FROM generate_series(1, 100) n")
        connection.execute("GRANT SELECT ON planned TO PUBLIC")
    yield {
        name: f"{root.replace('postgres@', f'dbapi_{name}@')}/dbapi_plans" for name in ("planned", "plain")
    }
    with psycopg.connect(hypopg_server.url, autocommit=True) as connection:
        connection.execute("DROP DATABASE dbapi_plans WITH (FORCE)")
        connection.execute(f"REVOKE SET ON PARAMETER {granted} FROM dbapi_planned".encode())
        connection.execute("DROP ROLE dbapi_planned, dbapi_plain")


@pytest.fixture
def watched(telemetry: Capture) -> Generator[None]:
    """As the distribution does with `queries.plans=auto_explain`, for statements of any duration."""
    stop = auto_explain.install(telemetry.logger_provider, 0.0)
    yield
    stop()


def by_psycopg(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("SELECT id FROM planned WHERE symbol = %s", ("SECRET",))
        connection.execute("SELECT 1")


def by_psycopg_class(url: str) -> None:
    with psycopg.Connection[DictRow].connect(url, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("SELECT id FROM planned WHERE symbol = 'SECRET'")
        connection.execute("SELECT 1")


def by_psycopg_pool(url: str) -> None:
    with ConnectionPool(url, min_size=1, open=False) as pool:
        pool.open(wait=True)
        with pool.connection() as connection:
            connection.execute("SELECT id FROM planned WHERE symbol = %s", ("SECRET",))
        with pool.connection() as connection:
            connection.execute("SELECT 1")


def by_psycopg_server_cursor(url: str) -> None:
    with psycopg.connect(url) as connection, connection.cursor("c") as cursor:
        cursor.execute("SELECT id FROM planned WHERE symbol = %s", ("SECRET",))


def by_psycopg_async(url: str) -> None:
    async def trade() -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("SELECT id FROM planned WHERE symbol = %s", ("SECRET",))
            await connection.execute("SELECT 1")

    asyncio.run(trade())


def by_psycopg_async_pool(url: str) -> None:
    async def trade() -> None:
        async with AsyncConnectionPool(url, min_size=1, open=False) as pool:
            await pool.open(wait=True)
            async with pool.connection() as connection:
                await connection.execute("SELECT id FROM planned WHERE symbol = %s", ("SECRET",))
            async with pool.connection() as connection:
                await connection.execute("SELECT 1")

    asyncio.run(trade())


def by_psycopg2(url: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM planned WHERE symbol = %s", ("SECRET",))
        cursor.execute("SELECT 1")
    connection.close()


def by_asyncpg(url: str) -> None:
    async def trade() -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await connection.fetch("SELECT id FROM planned WHERE symbol = $1", "SECRET")
            await connection.fetch("SELECT 1")
        await connection.close()

    asyncio.run(trade())


def by_asyncpg_pool(url: str) -> None:
    """The second time the connection has been reset, listeners and settings."""

    async def trade() -> None:
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            await pool.fetch("SELECT 1")
            await pool.fetch("SELECT id FROM planned WHERE symbol = $1", "SECRET")

    asyncio.run(trade())


DRIVERS = pytest.mark.parametrize(
    "trade",
    [
        by_psycopg,
        by_psycopg_class,
        by_psycopg_pool,
        by_psycopg_server_cursor,
        by_psycopg_async,
        by_psycopg_async_pool,
        by_psycopg2,
        by_asyncpg,
        by_asyncpg_pool,
    ],
)


def plans(telemetry: Capture) -> list[RecordedLogEvent]:
    return [event for event in telemetry.events(PLAN) if event.attributes["db.query.text"] == TEXT]


def spans(telemetry: Capture) -> list[RecordedSpan]:
    return [span for span in telemetry.spans() if span.attributes.get("db.query.text") == TEXT]


@DRIVERS
@pytest.mark.usefixtures("watched")
def test_a_plan_is_told_in_the_trace_of_its_statement(
    urls: dict[str, str], recorded: Capture, trade: Trade
) -> None:
    trade(urls["planned"])
    (span,) = spans(recorded)
    (plan,) = plans(recorded)
    assert (plan.trace_id, plan.span_id) == (span.trace_id, span.span_id)
    assert (
        plan.attributes["tickspan.db.query.fingerprint"] == span.attributes["tickspan.db.query.fingerprint"]
    )
    assert '"Seq Scan"' in (plan.body or "")
    assert "SECRET" not in repr(recorded.events())


@DRIVERS
@pytest.mark.usefixtures("watched")
def test_an_account_without_the_grant_is_told_of_once_and_goes_on(
    urls: dict[str, str], recorded: Capture, caplog: pytest.LogCaptureFixture, trade: Trade
) -> None:
    trade(urls["plain"])
    trade(urls["plain"])
    assert len(spans(recorded)) == 2
    assert recorded.events(PLAN) == []
    assert caplog.text.count("GRANT SET ON PARAMETER") == 1


def test_nothing_is_set_on_a_connection_that_nobody_watches(urls: dict[str, str], recorded: Capture) -> None:
    async def ask() -> Any:
        connection = await asyncpg.connect(urls["planned"])
        found = await connection.fetchrow(SETTING)
        await connection.close()
        return found

    with psycopg.connect(urls["planned"]) as connection:
        by_psycopg = connection.execute(SETTING).fetchone()
    names = [span.name for span in recorded.spans()]
    assert (by_psycopg, tuple(asyncio.run(ask()))) == (("off", "-1"), ("off", "-1"))
    assert names == ["SELECT", "COMMIT"]


@pytest.mark.usefixtures("watched", "recorded")
def test_a_watched_connection_is_handed_over_as_it_was_asked_for(urls: dict[str, str]) -> None:
    with psycopg.connect(urls["planned"], autocommit=False) as connection:
        assert not connection.autocommit
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        assert connection.execute(SETTING).fetchone() == ("on", "0")
    legacy = psycopg2.connect(urls["planned"])
    assert (legacy.autocommit, legacy.get_transaction_status(), list(legacy.notices)) == (False, 0, [])
    legacy.close()


@pytest.mark.usefixtures("watched", "recorded")
def test_a_connection_that_is_given_up_while_it_is_prepared_is_closed(
    urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    async def prepared(_watcher: object, connection: Any) -> None:
        seen.append(connection)
        await asyncio.Event().wait()

    async def connect() -> None:
        with pytest.raises(TimeoutError):
            await asyncpg.connect(urls["planned"], timeout=1)

    monkeypatch.setattr(auto_explain.AutoExplain, "connected_async", prepared)
    asyncio.run(connect())
    assert [connection.is_closed() for connection in seen] == [True]


@pytest.mark.usefixtures("watched", "recorded")
def test_a_watched_connection_is_let_go(urls: dict[str, str]) -> None:
    async def trade() -> weakref.ref[Any]:
        connection = await asyncpg.connect(urls["planned"])
        await connection.fetch("SELECT id FROM planned")
        await connection.close()
        return weakref.ref(connection)

    left = [asyncio.run(trade())]
    with psycopg.connect(urls["planned"]) as connection:
        connection.execute("SELECT id FROM planned")
        left.append(weakref.ref(connection))
    del connection
    gc.collect()
    assert [reference() for reference in left] == [None, None]

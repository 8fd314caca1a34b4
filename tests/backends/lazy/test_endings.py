"""Whatever ends an iteration, the database has its connection back, and no statement goes on."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from trades import trades

from tickspan import lazy

DRIVERS = ("postgresql+psycopg", "postgresql+asyncpg", "mariadb+aiomysql", "sqlite+aiosqlite")
MARKS = {
    "sqlite": pytest.mark.integration,
    "postgresql": pytest.mark.backends,
    "mariadb": pytest.mark.backends,
}
ASYNC = pytest.mark.parametrize(
    "driver", [pytest.param(driver, marks=MARKS[driver.partition("+")[0]]) for driver in DRIVERS]
)
SYNC = [pytest.param(name, marks=MARKS[name]) for name in ("sqlite", "postgresql")]
SOURCES = pytest.mark.parametrize("arguments", [{}, {"snapshot": True}, {"until": "start"}])


def out(engine: sa.Engine | AsyncEngine) -> int:
    """Connections that are out of the pool."""
    return engine.pool.checkedout()  # pyright: ignore[reportAttributeAccessIssue] - of a QueuePool


def feeders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("tickspan-lazy")]


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.002)
    return is_so()


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    yield
    assert within(5, lambda: not feeders())


@SOURCES
def test_a_break_returns_the_connection_at_once(engine: sa.Engine, arguments: dict[str, Any]) -> None:
    rows = lazy.rows(lazy.table(engine, "trades", **arguments), chunk=10)
    assert list(islice(rows, 25)) == trades(1, 25)
    assert (out(engine), feeders(), rows.statistics().is_open) == (0, [], False)
    assert list(rows) == trades(26, 5000)


def test_a_break_ends_a_stream_without_reading_what_is_left(engine: sa.Engine) -> None:
    source = lazy.stream(engine, "SELECT a.id, b.id AS other FROM trades a, trades b, trades c")
    began = time.monotonic()
    assert len(list(islice(lazy.rows(source, chunk=10), 25))) == 25
    assert (out(engine), feeders()) == (0, [])
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("engine", SYNC, indirect=True)
def test_a_thousand_abandoned_iterators_leave_nothing(engine: sa.Engine) -> None:
    sources = [lazy.table(engine, "trades", snapshot=is_snapshot) for is_snapshot in (False, True)]
    for number in range(1_000):
        rows = lazy.rows(sources[number % 2], chunk=5)
        assert next(rows) == (1, 0, "S1", 3)
        if number % 3 == 0:
            next(iter(rows))
        del rows
    gc.collect()
    assert (out(engine), feeders()) == (0, [])


@ASYNC
def test_abandoned_iterators_leave_nothing_on_an_event_loop(
    request: pytest.FixtureRequest, driver: str
) -> None:
    url = request.getfixturevalue(driver.partition("+")[0]).set(drivername=driver)

    async def read() -> tuple[int, int]:
        engine = create_async_engine(url)
        try:
            sources = [lazy.table(engine, "trades", snapshot=is_snapshot) for is_snapshot in (False, True)]
            for number in range(100):
                async for row in lazy.rows(sources[number % 2], chunk=5):
                    assert row == (1, 0, "S1", 3)
                    break
            gc.collect()
            for _ in range(20_000):
                if not out(engine) and len(asyncio.all_tasks()) == 1:
                    break
                await asyncio.sleep(0.001)
            return out(engine), len(asyncio.all_tasks())
        finally:
            await engine.dispose()

    assert asyncio.run(read()) == (0, 1)


@ASYNC
def test_closing_on_an_event_loop_has_returned_everything_when_it_is_done(
    request: pytest.FixtureRequest, driver: str
) -> None:
    url = request.getfixturevalue(driver.partition("+")[0]).set(drivername=driver)

    async def read() -> tuple[int, int]:
        engine = create_async_engine(url)
        try:
            async with lazy.rows(lazy.table(engine, "trades", snapshot=True), chunk=5) as rows:
                async for _ in rows:
                    break
            async with lazy.rows(lazy.stream(engine, "SELECT * FROM trades"), chunk=5) as streamed:
                async for _ in streamed:
                    break
            return out(engine), len(asyncio.all_tasks())
        finally:
            await engine.dispose()

    assert asyncio.run(read()) == (0, 1)


SLOW = {
    "sqlite": (
        "id <= 10 OR (WITH RECURSIVE n(i) AS (SELECT id UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
        "SELECT max(i) FROM n) > 0"
    ),
    "postgresql": "id <= 10 OR pg_sleep(60) IS NULL",
}


@pytest.mark.parametrize("name", SYNC)
def test_a_statement_that_runs_is_cancelled(request: pytest.FixtureRequest, name: str) -> None:
    engine = sa.create_engine(request.getfixturevalue(name))
    slow = threading.Event()

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "id > " in statement:
            slow.set()

    event.listen(engine, "before_cursor_execute", note)
    rows = iter(lazy.rows(lazy.table(engine, "trades", where=SLOW[name]), chunk=5))
    assert next(rows)[0] == 1
    assert slow.wait(5)  # the next page is being fetched, with a row that takes a minute
    began = time.monotonic()
    del rows
    assert time.monotonic() - began < 3
    assert (out(engine), feeders()) == (0, [])
    engine.dispose()


@pytest.mark.backends
def test_a_statement_that_runs_on_an_event_loop_is_cancelled_with_its_task(postgresql: sa.URL) -> None:
    async def read() -> tuple[int, list[Any]]:
        engine = create_async_engine(postgresql.set(drivername="postgresql+asyncpg"))
        try:

            async def consume() -> None:
                async for _ in lazy.rows(lazy.table(engine, "trades", where=SLOW["postgresql"]), chunk=5):
                    pass

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(consume(), 0.3)
            for _ in range(3_000):
                if not out(engine) and len(asyncio.all_tasks()) == 1:
                    break
                await asyncio.sleep(0.001)
            async with engine.connect() as connection:
                asked = (
                    "SELECT query FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(%' "
                )
                left = await connection.execute(sa.text(asked + "AND pid <> pg_backend_pid()"))
                return len(asyncio.all_tasks()), list(left)
        finally:
            await engine.dispose()

    assert asyncio.run(read()) == (1, [])


@pytest.mark.backends
@pytest.mark.parametrize("is_snapshot", [False, True])
def test_a_connection_that_dies_is_told_after_the_rows_before_it_and_can_be_gone_on_from(
    postgresql: sa.URL, is_snapshot: bool
) -> None:
    engine = sa.create_engine(postgresql, pool_size=1, max_overflow=0)
    killer = sa.create_engine(postgresql, isolation_level="AUTOCOMMIT")
    source = lazy.table(engine, "trades", snapshot=is_snapshot)
    rows = lazy.rows(source, chunk=10)
    got: list[Any] = []

    def consume() -> None:
        for row in rows:
            got.append(row)
            if len(got) == 5:
                with killer.connect() as connection:
                    connection.exec_driver_sql(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
                    )

    with pytest.raises(DBAPIError):
        consume()
    assert (out(engine), feeders()) == (0, [])
    assert got == trades(1, len(got))
    assert got + list(lazy.rows(source, resume=rows.token)) == trades(1, 5000)
    engine.dispose()
    killer.dispose()


def test_an_error_of_the_database_comes_as_it_is(engine: sa.Engine) -> None:
    with pytest.raises(DBAPIError) as caught:
        next(lazy.rows(lazy.table(engine, "trades", where="no_such_function(id) = 1")))
    assert caught.value.statement is not None
    assert out(engine) == 0


def test_memory_stays_flat(engine: sa.Engine) -> None:
    import tracemalloc

    source = lazy.select(
        engine,
        "SELECT a.id * 10 + b.id AS id, a.symbol, a.price, b.ts FROM trades a, trades b WHERE b.id <= 10",
        key="id",
        not_null=True,
    )
    if engine.dialect.name == "mariadb":
        source = lazy.table(
            engine, "trades"
        )  # a derived table without an index is sorted for each page there
    bound = 256 * 1024
    rows = lazy.rows(source, prefetch_bytes=bound, chunk=100)
    tracemalloc.start()
    try:
        next(rows)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        count = sum(1 for _ in rows)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert count + 1 in {5_000, 50_000}
    assert peak < bound + 2 * bound / 2

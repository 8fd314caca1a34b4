"""However reading is broken off and gone on with, it gives the rows of one SELECT with ORDER BY."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixed_keys import Reading, interleaved, interleaved_async, readings
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

SETTINGS = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


def expected(engine: sa.Engine, reading: Reading) -> list[tuple[object, ...]]:
    with engine.begin() as connection:
        reading.fill(connection)
        return [tuple(row) for row in connection.execute(reading.statement())]


@SETTINGS
@given(reading=readings(), prefetch=st.integers(0, 2), is_bounded=st.booleans(), is_snapshot=st.booleans())
def test_any_interleaving_gives_the_rows_of_one_select(
    engine: sa.Engine, reading: Reading, prefetch: int, is_bounded: bool, is_snapshot: bool
) -> None:
    wanted = expected(engine, reading)
    source = reading.source(engine, until="start" if is_bounded else None, snapshot=is_snapshot)
    assert list(interleaved(source, reading, prefetch)) == wanted
    assert engine.pool.checkedout() == 0  # pyright: ignore[reportAttributeAccessIssue] - of a QueuePool


@pytest.mark.backends
@pytest.mark.parametrize("driver", ["postgresql+psycopg2", "postgresql+psycopg", "postgresql+asyncpg"])
def test_any_interleaving_with_every_driver_of_postgresql(postgresql: sa.URL, driver: str) -> None:
    url = postgresql.set(drivername=driver)
    if url.get_dialect().is_async or driver == "postgresql+psycopg":
        on_a_loop(postgresql, create_async_engine(url))
    else:
        by_threads(postgresql, sa.create_engine(url))


@pytest.mark.backends
def test_any_interleaving_with_aiomysql(mariadb: sa.URL) -> None:
    on_a_loop(mariadb, create_async_engine(mariadb.set(drivername="mariadb+aiomysql")))


@pytest.mark.integration
def test_any_interleaving_with_aiosqlite(sqlite: sa.URL) -> None:
    on_a_loop(sqlite, create_async_engine(sqlite.set(drivername="sqlite+aiosqlite")))


def by_threads(url: sa.URL, engine: sa.Engine) -> None:
    filler = sa.create_engine(url)

    @settings(SETTINGS, max_examples=20)
    @given(reading=readings())
    def every(reading: Reading) -> None:
        wanted = expected(filler, reading)
        assert list(interleaved(reading.source(engine), reading, 2)) == wanted

    every()
    filler.dispose()
    engine.dispose()


def on_a_loop(url: sa.URL, engine: AsyncEngine) -> None:
    filler = sa.create_engine(url)
    with asyncio.Runner() as runner:

        async def read(reading: Reading) -> list[object]:
            return [row async for row in interleaved_async(reading.source(engine), reading, 2)]

        @settings(SETTINGS, max_examples=20)
        @given(reading=readings())
        def every(reading: Reading) -> None:
            wanted = expected(filler, reading)
            assert runner.run(read(reading)) == wanted

        every()
        runner.run(engine.dispose())
    filler.dispose()

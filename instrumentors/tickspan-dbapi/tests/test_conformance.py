"""What every instrumentor owes, on each driver; where a library has an asyncio twin both tell the same."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import aiomysql
import aiosqlite
import asyncpg
import psycopg
import psycopg2
import pymysql
import pytest
from tickspan.instrumentation import Instrumentor
from tickspan.testing.conformance import Call, InstrumentorConformance
from tickspan_dbapi import DbapiInstrumentor

DROP = "DROP TABLE IF EXISTS conformance"
CREATE = "CREATE TABLE conformance (id int PRIMARY KEY, symbol varchar(9))"
INSERT = "INSERT INTO conformance VALUES (1, 'A')"
SELECT = "SELECT id, symbol FROM conformance WHERE id > 0 ORDER BY id"
NOWHERE = "SELECT id FROM nowhere"


class TestSQLite(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = DbapiInstrumentor

    @pytest.fixture
    def calls(self, tmp_path: Path) -> Sequence[Call]:
        book = tmp_path / "book.db"

        def sync(*statements: str) -> Callable[[], Any]:
            def run() -> Any:
                with closing(sqlite3.connect(book)) as connection:
                    found = [connection.execute(text).fetchall() for text in statements]
                    connection.commit()
                return found[-1]

            return run

        def asynchronous(*statements: str) -> Callable[[], Awaitable[Any]]:
            async def run() -> Any:
                async with aiosqlite.connect(book) as connection:
                    found: list[Any] = []
                    for text in statements:
                        async with connection.execute(text) as cursor:
                            found.append(list(await cursor.fetchall()))
                    await connection.commit()
                return found[-1]

            return run

        return [
            Call("write", sync(DROP, CREATE, INSERT), asynchronous(DROP, CREATE, INSERT)),
            Call("select", sync(SELECT), asynchronous(SELECT)),
            Call("nowhere", sync(NOWHERE), asynchronous(NOWHERE), error=sqlite3.OperationalError),
        ]


def by_psycopg(url: str, *statements: Any) -> Callable[[], Any]:
    def run() -> Any:
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            for text in statements:
                cursor.execute(text)
            return cursor.fetchall() if cursor.description else cursor.rowcount

    return run


def by_psycopg_async(url: str, *statements: Any) -> Callable[[], Awaitable[Any]]:
    async def run() -> Any:
        connecting = psycopg.AsyncConnection.connect(url)
        async with await connecting as connection, connection.cursor() as cursor:
            for text in statements:
                await cursor.execute(text)
            return await cursor.fetchall() if cursor.description else cursor.rowcount

    return run


def by_psycopg2(url: str, *statements: str) -> Callable[[], Any]:
    def run() -> Any:
        with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
            for text in statements:
                cursor.execute(text)
            return cursor.fetchall() if cursor.description else cursor.rowcount

    return run


def by_asyncpg(url: str, *statements: str) -> Callable[[], Awaitable[Any]]:
    async def run() -> Any:
        connection: Any = await asyncpg.connect(url)
        try:
            async with connection.transaction():
                found = [await connection.fetch(text) for text in statements]
            return [tuple(row) for row in found[-1]]
        finally:
            await connection.close()

    return run


@pytest.mark.integration
@pytest.mark.backends
class TestPostgreSQL(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = DbapiInstrumentor

    @pytest.fixture
    def calls(self, postgresql_server: str) -> Sequence[Call]:
        url = postgresql_server
        write = (DROP, CREATE, INSERT)
        undefined = psycopg.errors.UndefinedTable
        return [
            Call("write", by_psycopg(url, *write), by_psycopg_async(url, *write)),
            Call("select", by_psycopg(url, SELECT), by_psycopg_async(url, SELECT)),
            Call("nowhere", by_psycopg(url, NOWHERE), by_psycopg_async(url, NOWHERE), undefined),
            Call("psycopg2 write", by_psycopg2(url, *write)),
            Call("psycopg2 nowhere", by_psycopg2(url, NOWHERE), error=psycopg2.errors.UndefinedTable),
            Call("asyncpg write", asynchronous=by_asyncpg(url, *write)),
            Call("asyncpg select", asynchronous=by_asyncpg(url, SELECT)),
            Call("asyncpg nowhere", asynchronous=by_asyncpg(url, NOWHERE), error=asyncpg.UndefinedTableError),
        ]


def by_pymysql(where: Any, database: str, *statements: str) -> Callable[[], Any]:
    def run() -> Any:
        with (
            closing(pymysql.connect(**where, database=database)) as connection,
            connection.cursor() as cursor,
        ):
            for text in statements:
                cursor.execute(text)
            connection.commit()
            return list(cursor.fetchall())

    return run


def by_aiomysql(where: Any, database: str, *statements: str) -> Callable[[], Awaitable[Any]]:
    async def run() -> Any:
        connection: Any = await aiomysql.connect(**where, db=database)
        try:
            async with connection.cursor() as cursor:
                for text in statements:
                    await cursor.execute(text)
                await connection.commit()
                return list(await cursor.fetchall())
        finally:
            connection.close()

    return run


@pytest.mark.integration
@pytest.mark.backends
class TestMariaDB(InstrumentorConformance):
    instrumentor: ClassVar[type[Instrumentor]] = DbapiInstrumentor

    @pytest.fixture
    def calls(self, mariadb_server: Any) -> Sequence[Call]:
        where = {
            "host": mariadb_server.host,
            "port": mariadb_server.port,
            "user": mariadb_server.user,
        }
        database: str = mariadb_server.database
        write = (DROP, CREATE, INSERT)
        return [
            Call("write", by_pymysql(where, database, *write), by_aiomysql(where, database, *write)),
            Call("select", by_pymysql(where, database, SELECT), by_aiomysql(where, database, SELECT)),
            Call(
                "nowhere",
                by_pymysql(where, database, NOWHERE),
                by_aiomysql(where, database, NOWHERE),
                error=pymysql.err.ProgrammingError,
            ),
        ]

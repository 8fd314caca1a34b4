"""The instrumentor of all drivers."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from tickspan.instrumentation import Instrumentor, Row

from tickspan_dbapi.on_asyncpg import ASYNCPG_ROWS
from tickspan_dbapi.on_mysql import MYSQL_ROWS
from tickspan_dbapi.on_psycopg import PSYCOPG_ROWS
from tickspan_dbapi.on_psycopg2 import PSYCOPG2_ROWS
from tickspan_dbapi.on_sqlite import SQLITE_ROWS


class DbapiInstrumentor(Instrumentor):
    """psycopg 2 and 3, asyncpg, sqlite3, aiosqlite, PyMySQL and aiomysql, each where it is imported."""

    scope: ClassVar[str] = "tickspan_dbapi"
    version: ClassVar[str] = "0.1.0"
    dependencies: ClassVar[tuple[str, ...]] = ()
    tested: ClassVar[tuple[str, ...]] = (
        "aiomysql >= 0.2",
        "aiosqlite >= 0.20",
        "asyncpg >= 0.29",
        "psycopg >= 3.1, < 4",
        "psycopg-pool >= 3.1, < 4",
        "psycopg2 >= 2.9, < 3",
        "psycopg2-binary >= 2.9, < 3",
        "pymysql >= 1.1, < 2",
    )
    rows: ClassVar[tuple[Row, ...]] = (
        *PSYCOPG_ROWS,
        *PSYCOPG2_ROWS,
        *ASYNCPG_ROWS,
        *SQLITE_ROWS,
        *MYSQL_ROWS,
    )

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: sqlite3 is always there, and rows of drivers that are not wait for ever."""
        return self.dependencies

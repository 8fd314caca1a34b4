"""Statements as a PostgreSQL server counted them: the view `pg_stat_statements`."""

from __future__ import annotations

from typing import Any, Final

from tickspan.analysis.sql import Dialect, canonicalise
from tickspan.cli.errors import CommandError
from tickspan.cli.queries.options import UNREACHABLE
from tickspan.cli.queries.shown import Row

__all__ = ["rows_of"]

_CONNECT_S: Final = 5
_STATEMENT_MS: Final = 5_000
_QUERY: Final = """
    SELECT s.query, s.calls, s.rows, s.total_exec_time / 1000, s.mean_exec_time / 1000, current_database()
    FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
    WHERE d.datname = current_database() AND s.toplevel
    ORDER BY s.total_exec_time DESC LIMIT 5000
"""


def rows_of(dsn: str) -> list[Row]:
    """One row for each statement of the database that `dsn` names. Raises `CommandError`."""
    try:
        import psycopg  # an extra: nothing else of the command line needs it
    except ImportError:
        raise CommandError("psycopg is not installed; pip install 'tickspan[queries]'") from None
    try:
        with psycopg.connect(
            dsn,
            connect_timeout=_CONNECT_S,
            autocommit=True,
            options=f"-c statement_timeout={_STATEMENT_MS} -c default_transaction_read_only=on",
        ) as connection:
            found = connection.execute(_QUERY).fetchall()
    except psycopg.errors.UndefinedTable:
        raise CommandError(
            "the database has no pg_stat_statements; CREATE EXTENSION pg_stat_statements", UNREACHABLE
        ) from None
    except psycopg.Error as error:
        said = f"{type(error).__name__} {error.sqlstate or ''}".rstrip()
        raise CommandError(f"the database cannot be asked: {said}", UNREACHABLE) from None
    return [_row(*one) for one in found]


def _row(query: str, calls: int, rows: int, total_s: float, mean_s: float, database: Any) -> Row:
    statement = canonicalise(query, Dialect.POSTGRESQL)
    return Row(
        "",
        f"postgresql {database}",
        statement.fingerprint,
        statement.summary or statement.text,
        statement.text,
        calls,
        0,
        rows,
        total_s,
        mean_s,
        None,
    )

"""Comments after statements, where the settings ask for them."""

from __future__ import annotations

from typing import Any, Final

from tickspan.instrumentation.db import ActiveStatement, Comments, Teller

__all__ = ["Commenting"]

_WITHOUT_A_SERVER: Final = frozenset({"sqlite", "duckdb"})
_UNPREPARED: Final = frozenset({"psycopg2", "psycopg2cffi", "pymysql", "mysqldb", "aiomysql", "asyncmy"})
"""Drivers that send each text as it is. What others keep prepared by its text must not differ each time."""
_FORMATS: Final = frozenset({"format", "pyformat"})
_WITH_PARAMETERS: Final = 4
"""Arguments of an event that has parameters."""


class Commenting:
    """Puts a comment into the arguments of a dialect event."""

    def __init__(self, teller: Teller) -> None:
        self._teller = teller
        self._comments: dict[str, Comments | None] = {}

    @staticmethod
    def of(teller: Teller) -> Commenting | None:
        """None where no comments are asked for."""
        return None if teller.comments("") is None else Commenting(teller)

    def added(self, started: ActiveStatement, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """`(cursor, statement[, parameters], context)` with a comment in the statement."""
        dialect = args[-1].dialect
        comments = self._of_driver(dialect.name, dialect.driver)
        if comments is None:
            return args
        sql = comments.added(
            args[1],
            started.span,
            is_prepared=_is_prepared(dialect, args[-1]),
            doubles_percent=len(args) == _WITH_PARAMETERS and dialect.paramstyle in _FORMATS,
        )
        return (args[0], sql, *args[2:])

    def _of_driver(self, system: str, driver: str) -> Comments | None:
        if driver not in self._comments:
            is_served = system not in _WITHOUT_A_SERVER
            self._comments[driver] = self._teller.comments(f"sqlalchemy:{driver}") if is_served else None
        return self._comments[driver]


def _is_prepared(dialect: Any, context: Any) -> bool:
    if dialect.driver in _UNPREPARED:
        return False
    connection = context.root_connection.connection
    # psycopg 3 says so itself; 1.4 has no such dialect.
    driver = getattr(connection, "driver_connection", None)
    return getattr(driver, "prepare_threshold", 0) is not None

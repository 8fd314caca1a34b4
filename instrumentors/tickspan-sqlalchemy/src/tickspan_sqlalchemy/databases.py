"""Which database an engine speaks to, in the words of the database conventions."""

from __future__ import annotations

from typing import Any, Final

from tickspan.instrumentation.db import Database

__all__ = ["database_of"]

_SYSTEMS: Final = {
    "mssql": "microsoft.sql_server",
    "oracle": "oracle.db",
    "redshift": "aws.redshift",
    "db2": "ibm.db2",
    "hana": "sap.hana",
}
"""SQLAlchemy's dialect names that differ from `db.system.name`."""


def database_of(engine: Any, cursor: Any = None) -> Database:
    """From the engine's URL; what that leaves open (`creator=`), from the driver's connection."""
    url = engine.url
    system = _system(engine.dialect)
    if system == "sqlite":
        return Database.in_file(url.database)
    namespace, address, port = url.database, url.host or _in_query(url, "host"), url.port
    if not (namespace and address):
        told = _from_connection(cursor)
        namespace, address, port = namespace or told[0], address or told[1], port or told[2]
    return Database.on_server(system, namespace, address, port)


def _system(dialect: Any) -> str:
    if getattr(dialect, "is_mariadb", False):
        return "mariadb"
    name = str(dialect.name)
    return _SYSTEMS.get(name, name)


def _in_query(url: Any, name: str) -> str | None:
    value = url.query.get(name)
    return value if isinstance(value, str) else None


def _from_connection(cursor: Any) -> tuple[str | None, str | None, int | None]:
    """Database, host and port as psycopg's and psycopg2's `connection.info` tell them."""
    info = getattr(getattr(cursor, "connection", None), "info", None)
    port = getattr(info, "port", None)
    return (
        _text(getattr(info, "dbname", None)),
        _text(getattr(info, "host", None)),
        port if isinstance(port, int) else None,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

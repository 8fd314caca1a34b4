"""Which database an engine speaks to, in the words of the database conventions."""

from __future__ import annotations

from pathlib import PurePath
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


def database_of(engine: Any, cursor: Any) -> Database:
    """From the engine's URL; what that leaves open (`creator=`), from the driver's connection."""
    url = engine.url
    system = _system(engine.dialect)
    if system == "sqlite":
        return Database(system, _file_name(url.database))
    namespace, address, port = url.database, url.host or _in_query(url, "host"), url.port
    if not (namespace and address):
        told = _from_connection(cursor)
        namespace, address, port = namespace or told[0], address or told[1], port or told[2]
    if address and address.startswith("/"):
        address, port = _socket(system, address, port), None
    return Database(system, namespace or None, address or None, port)


def _system(dialect: Any) -> str:
    if getattr(dialect, "is_mariadb", False):
        return "mariadb"
    name = str(dialect.name)
    return _SYSTEMS.get(name, name)


def _file_name(database: str | None) -> str | None:
    """SQLite's database without its folders: paths name users and machines."""
    if not database:
        return None
    path = database.removeprefix("file:").partition("?")[0]
    return PurePath(path).name or None


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


def _socket(system: str, folder: str, port: int | None) -> str:
    if system != "postgresql":
        return folder
    return f"{folder.rstrip('/')}/.s.PGSQL.{port or 5432}"

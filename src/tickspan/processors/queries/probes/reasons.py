"""Why a database cannot be reached: where it was looked for, what that means, and nothing else of the DSN."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from tickspan.analysis.plans.probe import Unreachable

__all__ = ["of_mysql", "of_postgresql", "of_sqlite", "of_sqlite_refusal", "unreachable"]

_NOBODY: Final = "nobody answers there; is the server up?"
_NO_HOST: Final = "its host has no address"
_REFUSED: Final = "the account or its password is refused"
_NO_DATABASE: Final = "there is no such database or account"
_FULL: Final = "it has no connection left"
_SLOW: Final = "it did not answer in time"
_LOST: Final = "the connection is lost"

_CODES: Final[Mapping[str, str]] = {
    "28": _REFUSED,
    "3D": _NO_DATABASE,
    "53300": _FULL,
    "57P01": "it shut down, or somebody ended the connection",
    "57P02": "it crashed",
    "57P03": "it is starting, or shutting down",
    "08": _LOST,
}
"""Beginnings of SQLSTATEs."""

_LIBPQ: Final[Mapping[str, str]] = {
    "connection refused": _NOBODY,
    "no such file or directory": _NOBODY,
    "no route to host": _NOBODY,
    "network is unreachable": _NOBODY,
    "could not translate host name": _NO_HOST,
    "failed to resolve host": _NO_HOST,
    "name or service not known": _NO_HOST,
    "authentication failed": _REFUSED,
    "no password supplied": _REFUSED,
    "no pg_hba.conf entry": "the server lets nobody in from here, see its pg_hba.conf",
    "does not exist": _NO_DATABASE,
    "too many": _FULL,
    "timeout expired": _SLOW,
    "timed out": _SLOW,
    "connection is lost": _LOST,
    "connection is closed": _LOST,
    "server closed the connection": _LOST,
    "terminating connection": _LOST,
    "ssl connection has been closed": _LOST,
    "ssl": "TLS does not come about, see sslmode",
}
"""Parts of libpq's messages, which are looked for and never shown: the rest of them names accounts."""

_MYSQL: Final[Mapping[int, str]] = {
    1040: _FULL,
    1044: _REFUSED,
    1045: _REFUSED,
    1049: _NO_DATABASE,
    1130: "the server lets nobody in from here",
    2002: _NOBODY,
    2003: _NOBODY,
    2005: _NO_HOST,
    2013: _LOST,
}
"""Numbers of errors that a client meets before, or instead of, an answer."""

_SQLITE: Final[Mapping[str, str]] = {
    "SQLITE_CANTOPEN": "there is no such file, or it may not be read",
    "SQLITE_NOTADB": "the file is no SQLite database",
    "SQLITE_BUSY": "the file is locked",
    "SQLITE_IOERR": "the file cannot be read",
    "SQLITE_CORRUPT": "the file is damaged",
}
"""Names of errors, without the further parts that extended ones have."""

_SQLITE_REFUSALS: Final = ("no such table", "no such column", "no such function", "syntax error")
"""Parts of SQLite's messages; the rest quotes the statement, and with it what may be data."""


def unreachable(system: str, dsn: str, why: str) -> Unreachable:
    """What is told of a database of this DSN: `PostgreSQL at db.example:5432: nobody answers there`."""
    return Unreachable(f"{system}{_place(dsn)}: {why}")


def of_postgresql(error: Exception) -> str:
    """What an error of psycopg means, by its SQLSTATE or else by known parts of libpq's message."""
    code = getattr(error, "sqlstate", None)
    if code is not None:
        known = next((why for start, why in _CODES.items() if code.startswith(start)), type(error).__name__)
        return f"{known} ({code})"
    said = str(error).lower()
    return next((why for part, why in _LIBPQ.items() if part in said), type(error).__name__)


def of_mysql(error: Exception) -> str:
    """What an error of PyMySQL means, by its number."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    known = _MYSQL.get(number, type(error).__name__)
    return f"{known} ({number})" if number else known


def of_sqlite(error: sqlite3.Error) -> str | None:
    """What an error means that is the file's, not the statement's; None for one of the statement."""
    name = getattr(error, "sqlite_errorname", "")
    known = next((why for part, why in _SQLITE.items() if name.startswith(part)), None)
    return known and f"{known} ({name})"


def of_sqlite_refusal(error: sqlite3.Error) -> str:
    """What an error of a statement means: by a known part of the message, else by its name."""
    said = str(error)
    known = next((part for part in _SQLITE_REFUSALS if part in said), None)
    return known or getattr(error, "sqlite_errorname", type(error).__name__)


def _place(dsn: str) -> str:
    """Host and port, where the DSN is a URL that has them."""
    try:
        url = urlsplit(dsn)
        host, port = url.hostname, url.port
    except ValueError:
        return ""
    if not host:
        return ""
    shown = f"[{host}]" if ":" in host else host
    return f" at {shown}:{port}" if port else f" at {shown}"

"""What a driver's exception means: its code and what it concerns, never its text."""

from __future__ import annotations

import re
from typing import Final

from tickspan.instrumentation.faults import type_name
from tickspan.instrumentation.operation import Failure
from tickspan.semconv.db import DB_RESPONSE_STATUS_CODE


def describe_error(error: BaseException) -> Failure:
    """What a driver's exception, or one that wraps it as `orig`, means on a span.

    The code is the database's own: SQLSTATE, SQLite's error name, MySQL's number. The description holds
    class, code, constraint and table; the text of the exception quotes values and is never kept.
    """
    cause = _drivers_own(error)
    code = _status_code(cause)
    name = type(cause).__name__
    if code is None:
        return Failure(type_name(cause), description=name)
    description = " ".join((name, code, *_concerned(cause)))
    return Failure(code, {DB_RESPONSE_STATUS_CODE: code}, description)


def scrub(error: BaseException) -> str:
    """What of a database's exception may be recorded: `IntegrityError 23505 constraint orders_symbol_key`.

    For whoever records such an exception by hand: its own text quotes statements, parameters and rows.
    """
    return describe_error(error).description or type_name(error)


def _drivers_own(error: BaseException) -> BaseException:
    original = getattr(error, "orig", None)
    return original if isinstance(original, BaseException) else error


def _status_code(error: BaseException) -> str | None:
    if isinstance(error, OSError):
        return None  # its number is the operating system's
    number = getattr(error, "errno", None)
    first = error.args[0] if error.args else None
    for code in (number, first):  # MySQL's: the SQLSTATE that some drivers have besides says less
        if isinstance(code, int) and not isinstance(code, bool) and code > 0:
            return str(code)
    for name in ("sqlstate", "pgcode", "sqlite_errorname"):
        code = getattr(error, name, None)
        if isinstance(code, str) and code:
            return code
    return None


_NAMED: Final = (("constraint_name", "constraint"), ("table_name", "table"))
_SQLITE_SAYS: Final = re.compile(
    r"(?:UNIQUE|NOT NULL) constraint failed: ([\w., ]{1,200})|no such (table): ([\w.]{1,100})"
)


def _concerned(error: BaseException) -> list[str]:
    """Constraint and table by name, from the fields that drivers have for them."""
    found: list[str] = []
    for holder in (getattr(error, "diag", None), error, error.__cause__):
        for field, word in _NAMED:
            name = getattr(holder, field, None)
            if isinstance(name, str) and name:
                found.append(f"{word} {name}")
    return list(dict.fromkeys(found)) or _concerned_in_sqlite(error)


def _concerned_in_sqlite(error: BaseException) -> list[str]:
    if not hasattr(error, "sqlite_errorname"):
        return []
    said = _SQLITE_SAYS.fullmatch(str(error))
    if said is None:
        return []
    columns, _, table = said.groups()
    return [f"columns {columns}"] if columns else [f"table {table}"]

"""A database call of a trace: a span, and what its statement is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from tickspan.analysis.sql import Dialect, Flag, Kind, Statement, StatementCache
from tickspan.analysis.traces.span import CLIENT, SeenSpan
from tickspan.semconv import code, db, foreign
from tickspan.semconv.common import ERROR_TYPE

__all__ = ["Calls", "CodeLocation", "DatabaseCall"]

_SQL_SYSTEMS: Final = frozenset(
    """
    postgresql mysql mariadb sqlite cockroachdb oracle oracle.db mssql microsoft.sql_server clickhouse trino
    redshift snowflake duckdb other_sql
    """.split()  # noqa: SIM905 - words read better than quoted words
)
_ENDS: Final = frozenset({"COMMIT", "ROLLBACK", "END", "ABORT"})
_LOCKING: Final = (" FOR UPDATE", " FOR SHARE", " FOR NO KEY UPDATE", " FOR KEY SHARE", " LOCK IN SHARE MODE")
_SUMMARY_VERBS: Final = frozenset(
    """
    SELECT INSERT UPDATE DELETE MERGE REPLACE VALUES CREATE ALTER DROP TRUNCATE TABLE INDEX VIEW CALL COPY
    SET FETCH
    """.split()  # noqa: SIM905 - as above
)


class CodeLocation(NamedTuple):
    """Where in the application a call stands."""

    file: str = ""
    line: int = 0
    function: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else ""


class DatabaseCall(NamedTuple):
    """One call.

    Attributes:
        span: that tells of it.
        system: a `db.system.name`.
        namespace: of the database, "" for none.
        statement: what ran; None for a COMMIT or the like that went through the driver's own call.
        fingerprint: of the statement; "" for none.
        verb: COMMIT, ROLLBACK or PREPARE of a call without a statement; else the statement's first word.
        tables: that the statement names.
        is_read: it only reads, and takes no lock.
        is_write: it changes rows.
        is_end: it ends a transaction.
        params_hash: what tells equal parameters: "" for a statement that has none, None when it is not known.
        transaction_id: common to the statements of a transaction; "" when there is none, or none is known.
        error_code: the database's own, or the class of the error; "" for none.
        duration_ns: from its start to its last row, what the program did between rows included.
    """

    span: SeenSpan
    system: str
    namespace: str
    statement: Statement | None
    fingerprint: str
    verb: str
    tables: tuple[str, ...]
    is_read: bool
    is_write: bool
    is_end: bool
    params_hash: str | None
    transaction_id: str
    error_code: str
    duration_ns: int

    @property
    def summary(self) -> str:
        """Of the statement, or the verb."""
        return (self.statement.summary if self.statement is not None else "") or self.verb

    @property
    def location(self) -> CodeLocation:
        """Where the application made it, if that is told."""
        attributes = self.span.attributes
        file, line = attributes.get(code.CODE_FILE_PATH), attributes.get(code.CODE_LINE_NUMBER)
        if not isinstance(file, str) or not isinstance(line, int):
            return CodeLocation()
        return CodeLocation(file, line, str(attributes.get(code.CODE_FUNCTION_NAME, "")))

    def number(self, name: str) -> float | None:
        """A number among the attributes."""
        found = self.span.attributes.get(name)
        return found if isinstance(found, int | float) else None


class _Reading(NamedTuple):
    """What a text tells, once for all its calls."""

    statement: Statement | None
    fingerprint: str
    verb: str
    tables: tuple[str, ...]
    is_read: bool
    is_write: bool
    is_end: bool
    has_parameters: bool


@dataclass(slots=True)
class Calls:
    """Makes calls of spans; remembers statements. For one thread.

    Texts are read again here: a span of another's instrumentation may have a raw one.
    """

    max_readings: int = 10_000
    _caches: dict[str, StatementCache] = field(default_factory=dict[str, StatementCache])
    _readings: dict[tuple[str, str], _Reading] = field(default_factory=dict[tuple[str, str], _Reading])

    def of(self, span: SeenSpan) -> DatabaseCall | None:
        """The call that a span tells of; None when it tells of none to an SQL database."""
        attributes = span.attributes
        system = attributes.get(db.DB_SYSTEM_NAME) or attributes.get(foreign.DB_SYSTEM_OLD)
        if system not in _SQL_SYSTEMS or span.kind != CLIENT:
            return None
        system = str(system)
        text = attributes.get(db.DB_QUERY_TEXT) or attributes.get(foreign.DB_STATEMENT_OLD)
        if isinstance(text, str) and text:
            read = self._readings.get((system, text)) or self._reading(system, text)
        else:
            read = _without_text(str(attributes.get(db.DB_OPERATION_NAME) or span.name))
        hashed = attributes.get(db.TICKSPAN_DB_PARAMS_HASH)
        return DatabaseCall(
            span,
            system,
            str(attributes.get(db.DB_NAMESPACE) or attributes.get(foreign.DB_NAME_OLD) or ""),
            *read[:-1],
            hashed if isinstance(hashed, str) and hashed else None if read.has_parameters else "",
            str(attributes.get(db.TICKSPAN_DB_TRANSACTION_ID, "")),
            str(attributes.get(db.DB_RESPONSE_STATUS_CODE) or attributes.get(ERROR_TYPE) or ""),
            span.end_ns - span.start_ns,
        )

    def _reading(self, system: str, text: str) -> _Reading:
        if len(self._readings) >= self.max_readings:
            del self._readings[next(iter(self._readings))]
        cache = self._caches.setdefault(system, StatementCache(Dialect.of(system)))
        read = self._readings[system, text] = _read(cache.get(text))
        return read


@lru_cache(maxsize=256)
def _without_text(name: str) -> _Reading:
    """A COMMIT or the like."""
    verb = name.partition(" ")[0].upper()
    return _Reading(
        None, "", verb, (), is_read=False, is_write=False, is_end=verb in _ENDS, has_parameters=True
    )


def _read(statement: Statement) -> _Reading:
    words = statement.summary.split()
    is_write = Flag.WRITES in statement.flags or statement.kind is Kind.COPY
    upper = statement.text.upper()
    verb = words[0].upper() if words else upper.partition(" ")[0]
    is_plain = statement.kind is Kind.SELECT and not any(word in upper for word in _LOCKING)
    return _Reading(
        statement,
        statement.fingerprint,
        verb,
        tuple(dict.fromkeys(word for word in words if word.upper() not in _SUMMARY_VERBS)),
        is_read=is_plain and not is_write,
        is_write=is_write,
        is_end=statement.kind is Kind.TX and verb in _ENDS and " TO " not in f"{upper} ",
        has_parameters="?" in statement.text,
    )

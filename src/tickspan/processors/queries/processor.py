"""Database spans of other instrumentors, told as ours are: no data, a summary as name, a fingerprint.

It works on spans of our providers, which may be changed until they have ended.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tickspan.instrumentation import positions
from tickspan.providers import RecordedSpan, TracerProvider
from tickspan.recording import AttributeValue, Guard
from tickspan.semconv.db import (
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_SYSTEM_NAME,
    TICKSPAN_DB_FINDINGS,
    TICKSPAN_DB_QUERY_FINGERPRINT,
)
from tickspan.semconv.foreign import DB_STATEMENT_OLD, DB_SYSTEM_OLD, STATEMENTS

if TYPE_CHECKING:
    from tickspan.analysis.sql import Statement, StatementCache

__all__ = ["UNCHANGED", "Retold", "install", "retold"]

_SQL: Final = frozenset(
    {
        *("aws.redshift", "clickhouse", "cockroachdb", "db2", "derby", "firebirdsql", "h2database", "hanadb"),
        *(
            "hive",
            "hsqldb",
            "ibm.db2",
            "informix",
            "mariadb",
            "microsoft.sql_server",
            "mssql",
            "mysql",
            "oracle",
        ),
        *("oracle.db", "other_sql", "postgresql", "redshift", "sap.hana", "snowflake", "spanner", "sqlite"),
        *("teradata", "trino", "vertica"),
    }
)
"""Values of `db.system.name`, old and new, of systems that speak SQL."""
_INSTRUMENTORS: Final = "opentelemetry.instrumentation."
_NO_NAME: Final = frozenset("-/#(;")
"""What a comment or a bracket before a statement begins with."""
_UNKNOWN: Final = "SQL"


@dataclass(frozen=True, slots=True)
class Retold:
    """What a span gets."""

    name: str | None
    """None: it keeps its own."""
    attributes: Mapping[str, AttributeValue]


UNCHANGED: Final = Retold(None, {})


def install(provider: object) -> Callable[[], None]:
    """Rewrite ending spans of `provider` from now on, if it is one of ours; returns what stops that."""
    if not isinstance(provider, TracerProvider):
        return _nothing
    guard = Guard("processor", "queries")

    def rewrite(span: Any) -> None:
        # Every span of others comes here: one that our own recording made is asked without a call.
        attributes = span.attribute_values if isinstance(span, RecordedSpan) else span.attributes
        if DB_STATEMENT_OLD in attributes or DB_QUERY_TEXT in attributes:
            guard.own(_rewrite, span, attributes, default=None)

    provider.rewrite_endings(rewrite)
    return functools.partial(provider.rewrite_endings, None)


def _nothing() -> None:
    """Stops nothing."""


def _rewrite(span: Any, attributes: Mapping[str, Any]) -> None:
    scope = span.instrumentation_scope
    told = retold(span.name, "" if scope is None else scope.name, attributes)
    if told.name is not None:
        span.update_name(told.name)
    if told.attributes:
        span.set_attributes(told.attributes)


def retold(name: str, scope: str, attributes: Mapping[str, Any]) -> Retold:
    """What a span of that name and scope gets for the statement among its attributes.

    A span that carries a fingerprint was told by us. Of what is no SQL only the data goes. A name that the
    application has chosen stays; an instrumentor's own, or one that begins as the statement does, becomes the
    summary, or the system where there is none.
    """
    texts = {key: attributes[key] for key in STATEMENTS if isinstance(attributes.get(key), str)}
    if not texts or TICKSPAN_DB_QUERY_FINGERPRINT in attributes:
        return UNCHANGED
    system = str(attributes.get(DB_SYSTEM_NAME) or attributes.get(DB_SYSTEM_OLD) or "")
    if system and system not in _SQL:
        return Retold(None, {key: positions.statement_without_data(text) for key, text in texts.items()})
    statements = {key: _statement(text, system) for key, text in texts.items()}
    for statement in statements.values():
        positions.vouch(statement.text)
    kept: dict[str, AttributeValue] = {key: statement.text for key, statement in statements.items()}
    told = statements[next(reversed(statements))]
    is_generated = scope.startswith(_INSTRUMENTORS) or _is_a_statement(name, told.summary)
    return Retold(told.summary or system or _UNKNOWN if is_generated else None, {**kept, **_of(told)})


def _of(statement: Statement) -> dict[str, AttributeValue]:
    from tickspan.analysis.sql import broken_rules  # as in `_cache`

    attributes: dict[str, AttributeValue] = {TICKSPAN_DB_QUERY_FINGERPRINT: statement.fingerprint}
    if statement.summary:
        attributes[DB_QUERY_SUMMARY] = statement.summary
    broken = broken_rules(statement.flags)
    if broken:
        attributes[TICKSPAN_DB_FINDINGS] = broken
    return attributes


def _is_a_statement(name: str, summary: str) -> bool:
    """Whether a name looks like the statement itself, or like the beginning of one."""
    first = name.split(maxsplit=1)[0] if name.strip() else ""
    return first[:1] in _NO_NAME or first.casefold() == summary.partition(" ")[0].casefold()


def _statement(text: str, system: str) -> Statement:
    """Of a text that recording has kept, what it was before; of any other, by the rules of its system."""
    return positions.READ.get(text) or _cache(system).get(text)


@functools.lru_cache(maxsize=64)
def _cache(system: str) -> StatementCache:
    # Read when the first statement comes: a process without a database has nothing to do with SQL.
    from tickspan.analysis.sql import Dialect, StatementCache

    return StatementCache(Dialect.of(system), max_entries=2_000, max_bytes=2 << 20)

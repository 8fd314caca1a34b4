"""Comments after SQL texts, by the rules of sqlcommenter: who asks, and on request in which trace.

https://google.github.io/sqlcommenter/spec/: keys sorted, values percent-encoded in single quotes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from opentelemetry.trace import Span

from tickspan.config import SqlCommenter

_APPLICATION: Final = "application"
_DRIVER: Final = "db_driver"
_TRACEPARENT: Final = "traceparent"


class Comments:
    """Appends to SQL what its settings ask for."""

    __slots__ = ("_is_full", "_tags")

    def __init__(self, mode: SqlCommenter, service_name: str | None, driver: str) -> None:
        self._is_full = mode is SqlCommenter.FULL
        tags = {_APPLICATION: service_name, _DRIVER: driver}
        self._tags = {name: value for name, value in tags.items() if value}

    def __repr__(self) -> str:
        return f"<Comments {self._tags}{' with the trace' if self._is_full else ''}>"

    def added(self, sql: str, span: Span, *, is_prepared: bool, doubles_percent: bool) -> str:
        """`sql` with its comment; as it is where it has one already.

        Args:
            sql: the text that goes to the driver.
            span: whose trace is told.
            is_prepared: whether a prepared statement is kept for the text: then it must be the same each
                time, and no trace is told.
            doubles_percent: whether the driver will look for placeholders that begin with `%`.
        """
        if "/*" in sql:
            return sql
        tags = self._tags
        if self._is_full and not is_prepared:
            tags = {**tags, _TRACEPARENT: _traceparent(span)}
        comment = _written(tags)
        if doubles_percent:
            comment = comment.replace("%", "%%")
        bare = sql.rstrip()
        end = ";" if bare.endswith(";") else ""
        return f"{bare.removesuffix(';')} {comment}{end}"


def _traceparent(span: Span) -> str:
    known = span.get_span_context()
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-{known.trace_flags & 1:02x}"


def _written(tags: Mapping[str, str]) -> str:
    pairs = (f"{quote(name, safe='')}='{quote(value, safe='')}'" for name, value in sorted(tags.items()))
    return f"/*{','.join(pairs)}*/"

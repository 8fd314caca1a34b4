"""A finished span as rules see it, and the names of the attributes that they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from tickspan.semconv import code, db, foreign
from tickspan.semconv.common import ERROR_TYPE
from tickspan.semconv.trading import VENUE_NAME

__all__ = ["CLIENT", "WANTED", "SeenSpan", "Value"]

Value: TypeAlias = str | int | float | bool | tuple[str, ...]

CLIENT: Final = 3
"""OTLP's number of the kind "client"."""

WANTED: Final = frozenset(
    {
        db.DB_NAMESPACE,
        db.DB_OPERATION_BATCH_SIZE,
        db.DB_OPERATION_NAME,
        db.DB_QUERY_SUMMARY,
        db.DB_QUERY_TEXT,
        db.DB_RESPONSE_RETURNED_ROWS,
        db.DB_RESPONSE_STATUS_CODE,
        db.DB_SYSTEM_NAME,
        db.TICKSPAN_DB_FETCH_DURATION,
        db.TICKSPAN_DB_FINDINGS,
        db.TICKSPAN_DB_ORM_PATH,
        db.TICKSPAN_DB_PARAMS_HASH,
        db.TICKSPAN_DB_POOL_WAIT,
        db.TICKSPAN_DB_QUERY_FINGERPRINT,
        db.TICKSPAN_DB_ROWS_AFFECTED,
        db.TICKSPAN_DB_TRANSACTION_DURATION,
        db.TICKSPAN_DB_TRANSACTION_ID,
        db.TICKSPAN_DB_TRANSACTION_IDLE,
        db.TICKSPAN_DB_TRANSACTION_IDLE_MAX,
        db.TICKSPAN_DB_TRANSACTION_STATEMENTS,
        db.TICKSPAN_DB_TRANSACTION_WRITES,
        ERROR_TYPE,
        foreign.DB_NAME_OLD,
        foreign.DB_SYSTEM_OLD,
        foreign.HTTP_METHOD_OLD,
        foreign.HTTP_REQUEST_METHOD,
        foreign.HTTP_URL,
        foreign.URL_FULL,
        code.CODE_FILE_PATH,
        code.CODE_FUNCTION_NAME,
        code.CODE_LINE_NUMBER,
        VENUE_NAME,
        *foreign.STATEMENTS,
    }
)
"""No rule asks for any other attribute; whoever makes spans may leave those out."""


class SeenSpan(NamedTuple):
    """One finished span. Ids are numbers; times are nanoseconds since 1970.

    Attributes:
        trace_id: 128 bits.
        span_id: 64 bits.
        parent_id: 64 bits; 0 for none.
        start_ns: when it began.
        end_ns: when it ended.
        name: of the span.
        kind: OTLP's number, 1 to 5.
        attributes: by name; those of `WANTED` are enough.
        is_root: whether its parent, if any, is in another process.
    """

    trace_id: int
    span_id: int
    parent_id: int
    start_ns: int
    end_ns: int
    name: str
    kind: int
    attributes: Mapping[str, Value]
    is_root: bool

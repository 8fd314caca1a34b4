"""An exception as telemetry may tell it: type, scrubbed message, frames without source lines, causes."""

from __future__ import annotations

import linecache
from collections import deque
from types import TracebackType
from typing import Final

from tickspan.instrumentation import redact
from tickspan.instrumentation.operation import Failure
from tickspan.recording.attribute import AttributeValue
from tickspan.recording.scan import scrubbed
from tickspan.recording.values import clean_text, foreign_text, type_text
from tickspan.semconv.common import EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, EXCEPTION_TYPE

MAX_FRAMES: Final = 64
"""The first and the last half of them are kept."""
MAX_CAUSES: Final = 8
"""Exceptions that are told below the one that was recorded: causes, contexts, members of a group."""
_HALF: Final = MAX_FRAMES // 2
_DATABASE_PACKAGES: Final = frozenset(
    """
    MySQLdb aiomysql aiosqlite asyncmy asyncpg cassandra clickhouse_connect clickhouse_driver cx_Oracle
    django duckdb mysql oracledb peewee pg8000 psycopg psycopg2 psycopg_pool pymysql pyodbc sqlalchemy
    sqlite3 tortoise
    """.split()  # noqa: SIM905 - words read better than quoted words
)
"""Packages whose errors quote statements and values."""


def exception_event(
    error: BaseException, *, with_source: bool = False, message: str | None = None
) -> dict[str, AttributeValue]:
    """Attributes of an `exception` event, under the names that the SDK has for them; never raises.

    The message is scrubbed; of a database's error what it quotes is left out. The stack holds frames as
    `file:line function`, first and last 32, then up to eight causes with theirs.

    Args:
        error: only read; neither it nor its frames are kept.
        with_source: also tell source lines, scrubbed. Literals in source are secrets, and reading files costs
            a hundred times the frames: that is for a development machine (`TICKSPAN_STACK_SOURCE=1`).
        message: replaces the exception's own text where the caller knows what of it is safe; then causes are
            told by their types alone, since their texts are likely to say the same.
    """
    return {
        EXCEPTION_TYPE: type_name(error),
        EXCEPTION_MESSAGE: message if message is not None else safe_message(error),
        EXCEPTION_STACKTRACE: _story(error, with_source=with_source, with_messages=message is None),
    }


def exception_attributes(error: BaseException, message: str | None = None) -> dict[str, AttributeValue]:
    """As `exception_event`, without a message where there is none."""
    attributes = exception_event(error, message=message)
    if not attributes[EXCEPTION_MESSAGE]:
        del attributes[EXCEPTION_MESSAGE]
    return attributes


def failure_of(error: BaseException) -> Failure:
    """The default reading of an exception: its qualified class name, no text."""
    return Failure(error_type=type_name(error))


def type_name(error: BaseException) -> str:
    """The qualified class name, without `builtins`."""
    return type_text(type(error))[1:-1].removeprefix("builtins.")


def stack_text(traceback: TracebackType | None, *, with_source: bool = False) -> str:
    """Frames, outermost first, as `file:line function`; of many the first and the last 32."""
    first: list[str] = []
    last: deque[tuple[TracebackType, int]] = deque(maxlen=_HALF)
    depth = 0
    while traceback is not None:
        if depth < _HALF:
            first.append(_frame_text(traceback, with_source=with_source))
        else:
            last.append((traceback, depth))
        traceback = traceback.tb_next
        depth += 1
    left_out = depth - len(first) - len(last)
    between = [f"… {left_out} frames …"] if left_out else []
    return "\n".join([*first, *between, *(_frame_text(entry, with_source=with_source) for entry, _ in last)])


def exception_message(error: BaseException) -> str:
    """What the exception says, not scrubbed; nothing where its `__str__` raises."""
    try:
        return clean_text(str(error))
    except Exception:  # noqa: BLE001 - a raising `__str__` is the exception's own business
        return ""


def safe_message(error: BaseException) -> str:
    """What the exception says, as it may be recorded; nothing where its `__str__` raises."""
    if is_from_a_database(error):
        return redact.database_text(exception_message(error))
    text = foreign_text(error)
    return "" if text == type_text(type(error)) else text


def is_from_a_database(error: BaseException) -> bool:
    """Whether a database library's class is among those that the exception is derived from."""
    modules = (str(base.__module__) for base in type(error).__mro__)
    return any(module.partition(".")[0] in _DATABASE_PACKAGES for module in modules)


def _frame_text(traceback: TracebackType, *, with_source: bool) -> str:
    code = traceback.tb_frame.f_code
    told = f"{code.co_filename}:{traceback.tb_lineno} {code.co_qualname}"
    if not with_source:
        return told
    line = linecache.getline(code.co_filename, traceback.tb_lineno, traceback.tb_frame.f_globals).strip()
    return f"{told}\n    {scrubbed(line)}" if line else told


def _story(error: BaseException, *, with_source: bool, with_messages: bool) -> str:
    """The stack of the exception, then of those behind it, each under its type and message."""
    lines = [stack_text(error.__traceback__, with_source=with_source)]
    for relation, other in _behind(error):
        said = safe_message(other) if with_messages else ""
        lines.append(f"{relation} {type_name(other)}{': ' if said else ''}{said}")
        lines.append(stack_text(other.__traceback__, with_source=with_source))
    return clean_text("\n".join(line for line in lines if line))


def _behind(error: BaseException) -> list[tuple[str, BaseException]]:
    """What led to `error`, nearest first, each once: an exception may be its own cause."""
    found: list[tuple[str, BaseException]] = []
    seen = {id(error)}
    waiting = deque(_next_to(error))
    while waiting and len(found) < MAX_CAUSES:
        relation, other = waiting.popleft()
        if id(other) not in seen:
            seen.add(id(other))
            found.append((relation, other))
            waiting.extend(_next_to(other))
    return found


def _next_to(error: BaseException) -> list[tuple[str, BaseException]]:
    next_to: list[tuple[str, BaseException]] = []
    if isinstance(error, BaseExceptionGroup):
        members = BaseExceptionGroup.exceptions.__get__(error)
        next_to.extend(("member", member) for member in members[:MAX_CAUSES])
    if error.__cause__ is not None:
        next_to.append(("caused by", error.__cause__))
    elif error.__context__ is not None and not error.__suppress_context__:
        next_to.append(("while handling", error.__context__))
    return next_to

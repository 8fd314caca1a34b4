"""From which line of the application a statement comes."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from tickspan.instrumentation.operation import NO_ATTRIBUTES, Attributes
from tickspan.semconv.code import CODE_FILE_PATH, CODE_FUNCTION_NAME, CODE_LINE_NUMBER

_MAX_FRAMES: Final = 96
_DATABASE_PACKAGES: Final = frozenset(
    """
    aiomysql aiosqlite asyncpg concurrent contextlib functools greenlet opentelemetry psycopg psycopg2
    psycopg_pool pymysql sqlalchemy sqlite3 threading tickspan tickspan_dbapi tickspan_sqlalchemy
    """.split()  # noqa: SIM905 - words read better than quoted words
)
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


def caller_attributes() -> Attributes:
    """`code.*` of the nearest frame that is the application's; empty where there is none.

    The application's are those outside the standard library and installed packages. Where all are inside, as
    in a program that is installed itself, the nearest frame outside of drivers and ORMs is told.
    """
    nearest: FrameType | None = None
    for frame in _frames():
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in _DATABASE_PACKAGES:
            continue
        nearest = nearest or frame
        if not frame.f_code.co_filename.startswith((*_INSTALLED, "<frozen")):
            return _told(frame)
    return NO_ATTRIBUTES if nearest is None else _told(nearest)


def _frames() -> Iterator[FrameType]:
    """Outwards from here, at most 96. From a greenlet, in which SQLAlchemy waits, on in the one above it."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - `inspect.stack` reads source files
    greenlet = _current_greenlet()
    for _ in range(_MAX_FRAMES):
        if frame is None:
            greenlet = getattr(greenlet, "parent", None)
            frame = getattr(greenlet, "gr_frame", None)
            if frame is None:
                return
        yield frame
        frame = frame.f_back


def _current_greenlet() -> Any:
    module = sys.modules.get("greenlet")
    return None if module is None else module.getcurrent()


def _told(frame: FrameType) -> Attributes:
    code = frame.f_code
    module = frame.f_globals.get("__name__")
    return {
        CODE_FUNCTION_NAME: f"{module}.{code.co_qualname}" if module else code.co_qualname,
        CODE_FILE_PATH: code.co_filename,
        CODE_LINE_NUMBER: frame.f_lineno,
    }

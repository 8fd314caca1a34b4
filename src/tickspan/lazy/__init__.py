"""Rows by the million in flat memory: keyset paging, prefetch, back-pressure, tokens to go on from."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tickspan.lazy.cursors import OffsetWarning, offset, stream
    from tickspan.lazy.engines import AnyEngine
    from tickspan.lazy.files import csv, parquet
    from tickspan.lazy.iterables import iterable
    from tickspan.lazy.iteration import Rows, rows
    from tickspan.lazy.paging import pages
    from tickspan.lazy.progress import Progress, RowsStatistics
    from tickspan.lazy.redis import redis_scan, redis_stream
    from tickspan.lazy.rules import LazyRules, configure, configure_for_analytics
    from tickspan.lazy.source import AsyncReader, Chunk, Dataset, MissingLibraryError, Reader, Source
    from tickspan.lazy.tables import KeyColumn, select, table
    from tickspan.lazy.token import TokenError

_HOMES = {
    "AnyEngine": "engines",
    "AsyncReader": "source",
    "Chunk": "source",
    "Dataset": "source",
    "KeyColumn": "tables",
    "LazyRules": "rules",
    "MissingLibraryError": "source",
    "OffsetWarning": "cursors",
    "Progress": "progress",
    "Reader": "source",
    "Rows": "iteration",
    "RowsStatistics": "progress",
    "Source": "source",
    "TokenError": "token",
    "configure": "rules",
    "configure_for_analytics": "rules",
    "csv": "files",
    "iterable": "iterables",
    "offset": "cursors",
    "pages": "paging",
    "parquet": "files",
    "redis_scan": "redis",
    "redis_stream": "redis",
    "rows": "iteration",
    "select": "tables",
    "stream": "cursors",
    "table": "tables",
}

__all__ = [
    "AnyEngine",
    "AsyncReader",
    "Chunk",
    "Dataset",
    "KeyColumn",
    "LazyRules",
    "MissingLibraryError",
    "OffsetWarning",
    "Progress",
    "Reader",
    "Rows",
    "RowsStatistics",
    "Source",
    "TokenError",
    "configure",
    "configure_for_analytics",
    "csv",
    "iterable",
    "offset",
    "pages",
    "parquet",
    "redis_scan",
    "redis_stream",
    "rows",
    "select",
    "stream",
    "table",
]


def __getattr__(name: str) -> Any:
    from importlib import import_module  # SQLAlchemy, pyarrow and redis are loaded by who uses them

    if name not in _HOMES:
        raise AttributeError(f"module 'tickspan.lazy' has no attribute {name!r}")
    return getattr(import_module(f"tickspan.lazy.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)

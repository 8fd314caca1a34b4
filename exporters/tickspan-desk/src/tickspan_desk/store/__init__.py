"""What the desk keeps: OTLP as it came, compressed, and a light index over it, in one SQLite file."""

from tickspan_desk.store.reading import (
    LogEntry,
    LogFilter,
    Match,
    Operation,
    OrderEntry,
    Reading,
    Series,
    StoreStatistics,
    TraceEntry,
    TraceFilter,
    Window,
)
from tickspan_desk.store.store import Store

__all__ = [
    "LogEntry",
    "LogFilter",
    "Match",
    "Operation",
    "OrderEntry",
    "Reading",
    "Series",
    "Store",
    "StoreStatistics",
    "TraceEntry",
    "TraceFilter",
    "Window",
]

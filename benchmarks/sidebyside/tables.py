"""The tables: which contenders stand side by side, and what each is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidebyside.telemetry import Kind


@dataclass(frozen=True, slots=True)
class Row:
    """One contender."""

    label: str
    workload: str
    kind: Kind
    over: str | None = None
    """Label of the row to subtract, which leaves what was added; None: others stand over this one."""
    goal: float | None = None
    """What is aimed at: at most this multiple of the peer's caller CPU time."""


@dataclass(frozen=True, slots=True)
class Table:
    """Contenders that take turns in the same rounds."""

    name: str
    title: str
    operations: int
    """In one turn. Their spans are fewer than a batch of 512, so that the exporter's thread, which would take
    the interpreter from the caller, sleeps until the caller's clock has stopped."""
    rows: tuple[Row, ...]
    peer: str
    """Label of the row whose cost is 1."""
    server: str = ""
    overlay: str = ""
    """Folder of packages that are to be found before the installed ones."""


_EMPTY: Final = "empty loop"
_BARE: Final = "bare"
_STOCK: Final = "upstream's instrumentor"
_OURS: Final = "tickspan"
_STOCK_SPAN: Final = "a recorded stock span"


def _instrumented(workload: str) -> tuple[Row, ...]:
    """The rows of a library that upstream instruments, too."""
    return (
        Row(_EMPTY, "nothing", Kind.NONE),
        Row(_BARE, workload, Kind.NONE),
        Row("bare, again", workload, Kind.NONE, over=_BARE),
        Row(_STOCK, workload, Kind.STOCK, over=_BARE),
        Row(_OURS, workload, Kind.OURS, over=_BARE),
        Row("tickspan, spans only", workload, Kind.OURS_SPANS, over=_BARE),
    )


def _order_path(workload: str, goal: float) -> tuple[Row, ...]:
    """The rows of a library that only tickspan instruments."""
    return (
        Row(_EMPTY, "nothing", Kind.NONE),
        Row(_STOCK_SPAN, "span", Kind.STOCK, over=_EMPTY),
        Row(_BARE, workload, Kind.NONE),
        Row("bare, again", workload, Kind.NONE, over=_BARE),
        Row(_OURS, workload, Kind.OURS, over=_BARE, goal=goal),
    )


TABLES: Final[Sequence[Table]] = (
    Table(
        "span",
        "A recorded span: current, five attributes, ended",
        200,
        (
            Row(_EMPTY, "nothing", Kind.NONE),
            Row("no-op API", "span", Kind.NOOP, over=_EMPTY),
            Row("stock SDK", "span", Kind.STOCK, over=_EMPTY),
            Row("stock SDK, again", "span", Kind.STOCK, over=_EMPTY),
            Row("tickspan.providers", "span", Kind.OURS, over=_EMPTY),
        ),
        peer="stock SDK",
    ),
    Table("redis", "Redis: GET", 200, _instrumented("redis"), peer=_STOCK, server="redis"),
    Table(
        "sqlalchemy",
        "SQLAlchemy: SELECT of a row by primary key, SQLite in memory",
        200,
        _instrumented("sqlalchemy"),
        peer=_STOCK,
        overlay="sqlalchemy-2.0",
    ),
    Table(
        "tick",
        "ccxt.pro: a tick is delivered, no order follows",
        200,
        _order_path("tick", goal=1 / 20),
        peer=_STOCK_SPAN,
    ),
    Table(
        "order",
        "ccxt.pro: a tick, an order on it, its fill: the whole life",
        40,
        _order_path("order", goal=4),
        peer=_STOCK_SPAN,
    ),
)
